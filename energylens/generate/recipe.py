"""Images to be generated, as a table that a figure is drawn from. Reading it imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from energylens import references
from energylens.errors import UserError, unknown
from energylens.generate import files
from energylens.generate.files import Made
from energylens.generate.method import Method
from energylens.need import Need, Where
from energylens.recipe import PRECISIONS

COLUMNS = [
    "model", "method", "sample", "label", "status", "step", "pred", "energy", "joint_energy", "ce", "entropy",
    "prob_margin", "logit_margin", "loss", "linf", "l2", "saturated", "reference", "reference_spread",
    "reference_saturated", "logits", "image", "data", "precision", "seed",
]  # fmt: skip


@dataclass(frozen=True)
class Generation(Need):
    """Which images are generated: by which networks, with which methods, of which classes."""

    UNUSED: ClassVar[frozenset[str]] = Need.UNUSED | {"eps", "shuffle_seed"}
    models: tuple[str, ...]
    """references, `NAME=REFERENCE` for a display name"""
    data: str
    """the training images, whose classes the starts are of"""
    methods: tuple[Method, ...]
    images: int = 100
    """chains of each model and method"""
    classes: tuple[int, ...] | None = None
    """chain i makes an image of classes[i % len(classes)]; None for all classes in turn"""
    every: int = 0
    """steps between two recorded states; 0 for the start and the end alone"""
    precision: str = "fp32"
    """of the sampler's gradients, fp32 or bf16; what is recorded is float32 always"""
    frames: bool = False
    """whether the images of every recorded state are kept"""

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.images < 1:
            raise UserError(f"{self.images} images are asked for; ask for 1 or more")
        if self.classes is not None and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise UserError("classes are named once each; leave one out" if self.classes else "name a class, or None")
        names = [method.name for method in self.methods]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"method {twice} is named twice; leave one out")

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Of its models and of its methods, as in its table."""
        return [references.named(reference)[0] for reference in self.models], [method.name for method in self.methods]

    def facts(self, model_sha: str, data_sha: str, method: Method) -> dict[str, Any]:
        """All that decides the images of a model and method, and which of their states are recorded."""
        return {
            "kind": files.FOLDER,
            "model_sha": model_sha,
            "data_sha": data_sha,
            "shuffle_seed": None,
            "precision": self.precision,
            **self._typed(method),
        }

    def _typed(self, method: Method) -> dict[str, Any]:
        """Those that are known without network and images."""
        classes = None if self.classes is None else list(self.classes)
        return {"attack": method.facts, "classes": classes, "every": self.every, "frames": self.frames}

    def override(
        self,
        models: list[str] | None = None,
        data: str | None = None,
        samples: int | None = None,
        seed: int | None = None,
        precision: str | None = None,
        eps: float | None = None,
        shuffle_seed: int | None = None,
    ) -> Generation:
        """The same with a user's choices: `samples` images, `seed` for all methods, the training images of `data`.

        Raises:
            UserError: a choice that chains have no use for, or other models without their images.
        """
        for name, value in (("--eps", eps), ("--shuffle-seed", shuffle_seed)):
            if value is not None:
                raise UserError(f"{name} {value:g}: chains have no such thing; leave it out")
        foreign = [name for name in models or () if "demo:" not in name and "demo:" in self.models[0]]
        if foreign and data is None:
            raise UserError(f"{foreign[0]} is not of the demo zoo, so say its data set: --data cifar10")
        given: dict[str, Any] = {"data": data and references.training(data), "images": samples, "precision": precision}
        given["models"] = tuple(models) if models else None
        if seed is not None:
            given["methods"] = tuple(dict.fromkeys(dataclasses.replace(method, seed=seed) for method in self.methods))
        return dataclasses.replace(self, **{name: value for name, value in given.items() if value is not None})

    def placed(self, where: Where) -> Generation:
        """With the networks of `runs/` looked for in the folder of the runs."""
        return dataclasses.replace(self, models=references.placed(self.models, where.runs))

    def measure(self, analysis: str, where: Where) -> None:
        """Generate what is missing."""
        from energylens.generate import run

        run.run(self.placed(where), analysis, where.place)

    def foresee(self, analysis: str, where: Where) -> None:
        """Say what that would be, and how long it would take."""
        from energylens.generate import foresight

        foresight.show(self.placed(where), analysis, where.place)

    def made(self, analysis: str, where: Where, measured: bool) -> dict[tuple[str, str], Made]:
        """(model, method) -> what lies there; where it was not just made, checked to be what is asked for.

        Raises:
            UserError: images are missing, or were made otherwise.
        """
        found = {}
        for reference in self.placed(where).models:
            name, bare = references.named(reference)
            for method in self.methods:
                made = files.find(where.place.tables / analysis, name, method.name, self.images)
                if not measured:
                    self._check(made, bare, method)
                found[name, method.name] = made
        return found

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """One row a model, method, chain and recorded state, with `image` where it is kept: see COLUMNS."""
        found = self.made(analysis, where, measured)
        rows = [made.framed().assign(model=model, method=method) for (model, method), made in found.items()]
        frame = pd.concat(rows, ignore_index=True)
        for column, names in zip(("model", "method"), self.names, strict=True):
            frame[column] = pd.Categorical(frame[column], categories=list(dict.fromkeys(names)))
        return frame[[*COLUMNS, "key"]]

    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The recipe without folders, and the keys of its rows."""
        recipe = dataclasses.asdict(self)
        recipe["models"] = [references.public(reference) for reference in self.models]
        recipe["data"] = ":".join(references.data_name(self.data))
        recipe["methods"] = [method.facts for method in self.methods]
        return {"keys": sorted(frame["key"].unique()), "recipe": recipe}

    def _check(self, made: Made, reference: str, method: Method) -> None:
        there = {
            "model": made.about["model_ref"],
            "images": made.about["data"],
            "precision": made.decisive["precision"],
            **{name: made.decisive[name] for name in ("attack", "classes", "every", "frames")},
        }
        asked = {
            "model": references.public(reference),
            "images": ":".join(references.data_name(self.data)),
            "precision": self.precision,
            **self._typed(method),
        }
        differs = [name for name, value in asked.items() if there[name] != value]
        if differs:
            told = "; ".join(f"{name} {there[name]}, not {asked[name]}" for name in differs)
            raise UserError(f"the images in {made.where} were made with {told}; make them: leave out --no-measure")
