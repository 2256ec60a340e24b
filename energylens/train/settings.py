"""The recipe of a run: all that decides its weights, beside objective, architecture and data. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from energylens import references
from energylens.errors import UserError, option, unknown

OPTIMIZERS = ("sgd", "adam")
NORMALIZE = ("none", "mean1")
"""none: weights as published; mean1: divided by their mean over the batch, which is detached"""
SELECT = ("last", "best-val", "best-synthetic")
PRECISIONS = ("fp32", "bf16")
LARGEST = 2**62
"""seed: torch's generators take 64 bits, and each epoch's start noise adds to it"""


def _said(default: Any, text: str) -> Any:
    """A field with its help, from which the command makes its option."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """A recipe; the defaults are the paper's.

    Source: Mirza et al. 2024 (arXiv:2407.06315), their code: SGD, batch 128, 100 epochs, OneCycle from 0.004 over 0.1
    to 4e-7. OneCycle cycles the momentum too (0.95, 0.85, 0.95), so the 0.9 that is written there is never used.
    """

    eps: float = _said(8 / 255, "Linf radius of the training attack, such as 8/255.")
    step_size: float | None = _said(None, "Step of the training attack; eps/4 if not given.")
    attack_steps: int = _said(10, "Steps of the training attack.")
    epochs: int = _said(100, "Passes over the training images.")
    batch: int = _said(128, "Images in a step, over all processes.")
    optimizer: str = _said("sgd", "sgd or adam.")
    lr: float = _said(0.1, "Peak of OneCycle: up over the first quarter of the steps, down by a cosine.")
    momentum: float = _said(0.9, "Of SGD, where it is not cycled.")
    cycle_momentum: bool = _said(True, "Momentum 0.95, 0.85 at the peak of the rate, 0.95, as in the paper's code.")
    weight_decay: float = _said(5e-4, "On all parameters.")
    augment: bool = _said(True, "Random crops of images padded by 4 pixels, and flips.")
    beta: float | None = _said(None, "Weight of the KL term; the objective's own if not given.")
    normalize: str = _said("none", "none, or mean1: an objective's weights divided by their mean over the batch.")
    burn_in: int | None = _said(None, "Epochs in which all weights are 1; the objective's own if not given.")
    awp: float = _said(0.0, "Radius gamma of adversarial weight perturbation, such as 0.005; 0 for none.")
    awp_warmup: int = _said(10, "Epochs before AWP begins.")
    der: float = _said(0.0, "Weight of (E(x) - E(x*))^2, our reading of DER; 0 for none.")
    sgld_steps: int | None = _said(None, "Langevin steps of JEAT's negatives; the objective's own if not given.")
    buffer: int | None = _said(None, "Images in JEAT's replay buffer; the objective's own if not given.")
    rho: float | None = _said(None, "Share of JEAT's chains that start from noise; the objective's own if not given.")
    ema: float = _said(0.0, "Decay of an average of the weights, such as 0.995, which is then measured and saved.")
    select: str = _said("last", "last, best-val (held-out images) or best-synthetic (--synthetic): PGD-20 accuracy.")
    select_after: int | None = _said(
        None, "Epochs before the selection begins; 0 for best-val, 90 % for best-synthetic, as in the paper."
    )
    val_images: int = _said(1000, "Training images held out for best-val.")
    precision: str = _said("fp32", "fp32 or bf16, of the network's forward and backward passes.")
    channels_last: bool = _said(True, "Memory format of images and weights; changes speed and rounding alone.")
    seed: int = _said(1, "Of weights, order, augmentation and start noise.")

    def __post_init__(self):
        _whole(self, attack_steps=1, epochs=1, batch=1, awp_warmup=0, val_images=1, burn_in=0, select_after=0, seed=0)
        _whole(self, sgld_steps=1, buffer=1)
        _positive(self, "eps", "lr", "step_size")
        for name in ("momentum", "weight_decay", "awp", "der", "ema", "beta", "rho"):
            _number(self, name, 0)
        for name in ("momentum", "ema"):
            if getattr(self, name) >= 1:
                raise UserError(f"{option(name)} {getattr(self, name):g} must be below 1")
        if self.seed > LARGEST:
            raise UserError(f"--seed {self.seed} must be at most {LARGEST}")
        if self.eps > 1:
            raise UserError(f"--eps {self.eps:g} is above 1, the whole range of a pixel; 8 of 255 is written 8/255")
        known = {"optimizer": OPTIMIZERS, "normalize": NORMALIZE, "select": SELECT, "precision": PRECISIONS}
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise unknown(name, str(getattr(self, name)), words)
        if self.select == "last" and self.select_after is not None:
            raise UserError("--select-after goes with --select best-val or best-synthetic; leave it out")
        if self.awp and self.awp_warmup >= self.epochs:
            raise UserError(f"--awp-warmup {self.awp_warmup} leaves none of the {self.epochs} epochs; take fewer")
        for name in ("burn_in", "select_after"):
            value = getattr(self, name)
            if value is not None and value > self.epochs - (name == "select_after"):
                raise UserError(
                    f"{option(name)} {value} lies beyond the {self.epochs} epochs; take fewer, or more --epochs"
                )

    @property
    def selects_after(self) -> int:
        """Epochs before a checkpoint can be the best: the paper keeps the best of the last tenth."""
        if self.select_after is not None:
            return self.select_after
        return self.epochs * 9 // 10 if self.select == "best-synthetic" else 0


def _whole(settings: Settings, **least: int) -> None:
    for name, bound in least.items():
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < bound):
            raise UserError(f"{option(name)} {value} must be a whole number, at least {bound}")


def _positive(settings: Settings, *names: str) -> None:
    for name in names:
        _number(settings, name, 0)
        if getattr(settings, name) == 0:
            zero = "; an attack of radius 0 moves nothing: train the objective standard" if name == "eps" else ""
            raise UserError(f"{option(name)} 0 must be above 0{zero}")


def _number(settings: Settings, name: str, least: float) -> None:
    value = getattr(settings, name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise UserError(f"{option(name)} {value} must be a number, at least {least}")
    object.__setattr__(settings, name, float(value))  # 1 and 1.0 are one recipe


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "demo": {"eps": 0.2, "attack_steps": 5, "epochs": 24, "batch": 64, "lr": 0.4, "augment": False, "val_images": 200},
}
"""name -> what differs from the defaults; `demo` is sized for the digits, whose strokes no flip leaves alone"""
ARCHITECTURES = {"paper": "resnet18", "demo": "small-resnet"}
"""preset -> the architecture that is meant where none is named"""
SHORTER = {"svhn": 30}
"""data set -> the paper's epochs, where they are not 100"""


def preset_of(data: str) -> str:
    """The preset that is meant where none is named: `demo` on the digits, `paper` elsewhere."""
    return "demo" if references.data_name(data)[0] == "digits" else "paper"


def recipe(preset: str, objective: str, data: str, **changes: Any) -> Settings:
    """The settings of a preset for an objective and a data set, with a user's changes (None is none).

    Raises:
        UserError: unknown preset, or a value that is refused.

    Source: Mirza et al. 2024: WEAT_ADV takes beta 7 on CIFAR-100 (Table 1a) and 6 elsewhere; SVHN takes 30 epochs.
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    made, name = dict(PRESETS[preset]), references.data_name(data)[0]
    if preset == "paper" and name in SHORTER:
        made["epochs"] = SHORTER[name]
    if preset == "paper" and (objective, name) == ("weat-adv", "cifar100"):
        made["beta"] = 7
    made |= OWN.get((preset, objective), {}) | {key: value for key, value in changes.items() if value is not None}
    if (preset, objective) in WHOLE_STEP:
        made.setdefault("step_size", made.get("eps", Settings.eps))
    return Settings(**made)


_ADAM = {"optimizer": "adam", "weight_decay": 0.0}
OWN: dict[tuple[str, str], dict[str, Any]] = {
    ("demo", "jeat"): _ADAM | {"lr": 0.02, "batch": 16, "sgld_steps": 10, "buffer": 1000},
    ("paper", "jeat"): _ADAM | {"lr": 1e-4, "epochs": 200, "batch": 64, "attack_steps": 1},
}
"""(preset, objective) -> what that objective wants otherwise"""
WHOLE_STEP = (("paper", "jeat"),)
"""whose training attack steps by eps, whatever that is, where no step is named"""


def difference(old: dict[str, Any], new: Settings) -> list[str]:
    """Each setting that differs, as `--lr 0.1 there, 0.2 here`."""
    given = dataclasses.asdict(new)
    return [
        f"{option(name)} {_told(old.get(name))} there, {_told(value)} here"
        for name, value in given.items()
        if name in old and old[name] != value
    ]


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
