"""The calling shape that all attacks share: frozen settings, called with a model and a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks import targets
from energylens.attacks.settings import check_batch, short
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from energylens.attacks.losses import Loss

Observe = Callable[[int, "Tensor", "Tensor"], None]


@dataclass(frozen=True)
class Attack:
    """Settings that can be called. A method's own class adds its fields and `_search`.

    Images and radii are in pixel units of [0, 1].
    """

    version: ClassVar[int] = 1
    """Grows when the same settings give other points; part of a table's key."""
    KINDS: ClassVar[dict[str, dict[str, Any]]] = {}
    """name -> the settings that make it"""
    parts: ClassVar[tuple[str, ...]] = ()
    """The attacks that it runs one after the other; step k is then the state after k of them."""

    # What a method has and another lacks; those that have it make it a field.

    @property
    def eps(self) -> float | None:
        """Radius of its ball; None for a method without one."""
        return None

    @property
    def radius(self) -> float | None:
        """How far from the image its points may lie: eps, where it has no way to leave that ball."""
        return self.eps

    @property
    def norm(self) -> str:
        """Of its ball, or of the distance that it keeps small."""
        return "l2"

    @property
    def seed(self) -> int | None:
        """Of its random choices; None where it makes none."""
        return None

    @property
    def batch(self) -> int | None:
        """How many images it takes at once, where the result depends on that; None for any number."""
        return None

    @property
    def target(self) -> str | int | None:
        """The class that it wants: `random`, `least-likely`, or a class; None for a method that wants none."""
        return None

    @property
    def observed(self) -> bool:
        """Whether it calls `observe` itself; of the others, the calls of their model are watched."""
        return True

    @property
    def kind(self) -> str:
        """Which of KINDS it is."""
        return next(iter(self.KINDS))

    @property
    def targeted(self) -> bool:
        """Whether it wants a given class."""
        return self.target is not None

    @property
    def falls_back(self) -> bool:
        """Whether images that it cannot move over, or that were wrong before, come back as they were."""
        return False

    @property
    def classes_needed(self) -> int:
        """The fewest classes of a model that it can attack."""
        return self.target + 1 if isinstance(self.target, int) else 2

    @property
    def has_forces(self) -> bool:
        """Whether it takes steps up a loss, `objective`, whose directions can be compared with gradients."""
        return self.observed and type(self).objective is not Attack.objective

    @property
    def facts(self) -> dict[str, Any]:
        """All settings that decide its points; part of a table's key."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def objective(self, model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
        """What it climbs: logits at x* [B, K] -> [B]. Only for attacks with forces."""
        raise NotImplementedError

    def check_classes(self, classes: int, model: str) -> None:
        """Whether a model has classes enough.

        Raises:
            UserError: it has not.
        """
        if classes < self.classes_needed:
            wanted = f"needs a model of at least {self.classes_needed} classes, {model} has {classes}"
            remedy = f"take a target from 0 to {classes - 1}" if self.targeted else "take apgd-ce, fab or square"
            raise UserError(f"attack {self.name} {wanted}; {remedy}")

    @property
    def name(self) -> str:
        """Short name that carries every setting that is not the default: `pgd`, `pgd-steps50`."""
        usual = type(self)(**self.KINDS[self.kind])
        changed = [
            f"{field.name.replace('_', '')}{short(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        ]
        return "-".join([self.kind, *changed])

    def wanted(self, logits: Tensor, y: Tensor, index: list[int]) -> Tensor | None:
        """[B] the classes it wants, from logits [B, K] at the natural images; None if it wants none.

        Raises:
            UserError: the model has too few classes.
        """
        self.check_classes(logits.shape[1], "this one")
        return None if self.target is None else targets.wanted(self.target, logits, y, self.seed or 0, index)

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        *,
        index: Tensor | None = None,
        target: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Tensor:
        """Adversarial images for a batch.

        Args:
            model: images [B, C, H, W] in [0, 1] -> logits [B, K]; attacked in eval mode, left as it was.
            x: natural images.
            y: [B] true classes, int64.
            index: [B] places in the split, which key random choices; 0 to B-1 if None.
            target: [B] wanted classes, for attacks that want one; what their setting `target` says if None.
            observe: called with (step, x_adv, logits); step k is the state after k updates, or after k
                calls of the model for methods that do not tell. It sees restarts, and batches of the
                setting `batch`, one after the other, each from step 0.

        Returns:
            [B, C, H, W] points in [0, 1], within eps of x, in the memory format of x.

        Raises:
            UserError: images outside [0, 1], labels that are no classes, a target for an attack that takes
                none, or a model that the method cannot attack.
        """
        import torch  # here, so that a recipe can be read without it

        from energylens.attacks.frozen import frozen
        from energylens.attacks.watch import Watched

        if target is not None and not self.targeted:
            raise UserError(f"attack {self.name} takes no target; given-class attacks are pgd-t, cw-t and square-t")
        check_batch(x, y)
        x = x.detach()
        keys = list(range(len(x))) if index is None else index.tolist()
        size = self.batch or max(1, len(x))
        done = []
        with frozen(model), torch.enable_grad():
            for start in range(0, len(x), size):
                rows = slice(start, start + size)
                part, classes = x[rows], y[rows]
                seen = model if observe is None or self.observed else Watched(model, part, observe)
                wish = target[rows] if target is not None else None
                if wish is None and self.targeted:
                    wish = self.wanted(model(part).detach(), classes, keys[rows])
                done.append(self._search(seen, part, classes, keys[rows], wish, observe).detach())
        return done[0] if len(done) == 1 else torch.cat(done) if done else x.clone()

    def _search(
        self, model, x: Tensor, y: Tensor, keys: list[int], target: Tensor | None, observe: Observe | None
    ) -> Tensor:
        raise NotImplementedError
