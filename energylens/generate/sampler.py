"""Langevin steps down an energy, from a start to an image: eq. 7 of Mirza et al. 2024 and its relatives."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from energylens import spec
from energylens.attacks.attack import Observe
from energylens.attacks.settings import check_batch, check_choices, check_numbers, short
from energylens.errors import UserError, unknown
from energylens.generate.losses import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

PRESETS: dict[str, dict[str, Any]] = {
    "eq7": {},
    "sgld": {"step_size": 0.5, "steps": 50, "momentum": 0.0},
    "jem": {"step_size": 0.5, "steps": 20, "momentum": 0.0, "noise": 0.005, "loss": "marginal"},
    "jeat": {"step_size": 0.5, "steps": 100, "momentum": 0.0, "noise": 0.005},
    "none": {"steps": 0},
}
"""what differs from eq7"""


@dataclass(frozen=True)
class Sampler:
    """Stochastic gradient Langevin dynamics with momentum, in eval mode, from v = 0.

        v <- momentum v - (step_size / 2) grad_x loss
        x <- clamp(x + v + noise N(0, 1), 0, 1)

    Noise is not accumulated in v. The gradient is each image's own, whatever its batch. Presets:

    - `eq7`: Mirza et al. 2024 (arXiv:2407.06315), eq. 7, with the settings of its released notebook.
    - `sgld`: the same without momentum, as the other notebooks of that code run it.
    - `jem`: Grathwohl et al. 2020 (arXiv:1912.03263). JEM's images lie in [-1, 1]: its step 1 and noise 0.01 are a
      factor of the gradient of 0.25 and 0.005 here. JEM itself does not clamp.
    - `jeat`: Zhu et al. 2021 (arXiv:2108.09093), reconstructed: E(x, y) from uniform noise is the paper's, the
      numbers are JEM's, with 100 steps, since the paper's own are not known.
    - `none`: no step at all, the starts themselves; what a network adds is told by comparison with these.

    The released code of eq. 7 clamps v + noise to [-1, 1] first. That changes nothing: a pixel in [0, 1] that moves
    by more than 1 ends at the same border. Its `ce` and `reference` are means over the batch, so that a step is as much
    smaller as the batch is larger; here each image has its own.
    """

    version: ClassVar[int] = 1
    """Grows when the same settings give other images; part of a table's key."""

    preset: str = "eq7"
    """what its name is told from; it decides nothing else"""
    step_size: float = 0.025
    """eta; half of it is the factor of the gradient"""
    steps: int = 500
    momentum: float = 0.8
    """zeta; a steady gradient moves x by step_size / 2 / (1 - momentum) a step"""
    noise: float = 0.001
    """standard deviation of a step's noise, in pixel units of [0, 1]"""
    loss: str = "joint"
    """joint: E(x, y); ce: E(x, y) - E(x); marginal: E(x); reference: (E(x, y) - mean E(x, y) of the class)^2"""
    stop: float | None = None
    """adaptive stop, nats squared: a chain stands still once (E(x, y) - mean E(x, y) of the class)^2 is below this"""
    tries: int = 1
    """adaptive noise: a step's noise is drawn up to this often, until the loss does not rise by the step; the last
    draw is taken unseen. The released code's is 100. Each draw but the last costs a forward pass."""

    def __post_init__(self):
        check_choices(self, preset=PRESETS, loss=LOSSES)
        fewest = int(self.preset != "none")
        check_numbers(self, step_size=1e-12, steps=fewest, momentum=0.0, noise=0.0, stop=1e-12, tries=1)
        if self.steps and not fewest:
            raise UserError(f"sampler none takes no steps; take eq7:steps={self.steps}, or leave steps out")
        if self.momentum >= 1:
            raise UserError(f"Sampler(momentum={self.momentum:g}): momentum must be below 1; eq. 7's is 0.8")
        if self.tries > 1 and not self.noise:
            raise UserError(
                f"Sampler(tries={self.tries}) without noise would draw the same point again; say noise, too"
            )

    @property
    def name(self) -> str:
        """Its preset, and every setting that differs from it: `eq7`, `eq7-steps200-momentum0`."""
        usual = SAMPLERS[self.preset]
        changed = [
            f"{field.name.replace('_', '')}{short(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        ]
        return "-".join([self.preset, *changed])

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its images; part of a table's key."""
        settings = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "preset"}
        return {"version": self.version, **settings}

    @property
    def needs_reference(self) -> bool:
        """Whether it must know each class's mean energy."""
        return self.stop is not None or self.loss == "reference"

    def __call__(
        self,
        net,
        x: Tensor,
        y: Tensor,
        *,
        index: list[int],
        seed: int,
        reference: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Tensor:
        """The ends of a batch of chains. Without `stop`, each step is one forward and one backward pass.

        A chain whose image or logits become NaN is NaN from then on; the others do not notice.

        Args:
            net: images [B, C, H, W] in [0, 1] -> logits [B, K]; left as it was, modes and parameters.
                In a memory format that it likes x saves time; `attacks.precision.Half(net)` runs in bfloat16.
            x: float32 starts; left as they are.
            y: [B] classes wanted, int64.
            index: each chain's number, which with the seed keys its noise: neither batch nor device matters.
            seed: of the noise.
            reference: [K] mean E(x, y) of each class's training images, for samplers with `needs_reference`.
            observe: called with (step, x, logits), the whole batch each time: step 0 is the start, k the state
                after k updates, the last one `steps`. With `stop`, chains that stand still keep their logits; if all
                do at step k, that call is the last. It may keep its tensors.

        Returns:
            [B, C, H, W] in [0, 1], in the memory format of x.

        Raises:
            UserError: images outside [0, 1], another number of classes or indices than of images, no
                reference where one is needed.
        """
        import torch  # here, so that a recipe can be read without it

        from energylens.attacks.frozen import frozen
        from energylens.generate.walk import Noise, walk

        check_batch(x, y)
        if len(index) != len(x):
            raise UserError(f"{len(x)} images and {len(index)} indices; give each chain its number")
        if self.needs_reference and reference is None:
            raise UserError(f"sampler {self.name} goes by the classes' mean energies; give reference, E(x, y) by class")
        goal = reference.to(y.device)[y] if self.needs_reference and reference is not None else None
        with frozen(net), torch.enable_grad():
            return walk(self, net, x.detach(), y, goal, Noise(seed, index, x), observe)


SAMPLERS: dict[str, Sampler] = {name: Sampler(name, **settings) for name, settings in PRESETS.items()}


def parse(text: str) -> Sampler:
    """The sampler of a reference such as `eq7` or `eq7:steps=200:momentum=0`.

    Raises:
        UserError: unknown preset or setting, or a value that the sampler refuses.
    """
    name, settings = spec.parse(text)
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS)
    known = [field.name for field in fields(Sampler) if field.name != "preset"]
    return replace(SAMPLERS[name], **spec.check(settings, known, f"sampler {name}"))
