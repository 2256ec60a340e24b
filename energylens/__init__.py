"""Read adversarially robust image classifiers as energy-based models.

With logits f(x): joint energy E(x, y) = -f(x)[y], marginal energy E(x) = -logsumexp_k f(x)[k].
Importing this package is cheap; torch is imported by the modules that compute with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from energylens.telemetry import Watch

__version__ = "0.1.0"


def energies(
    models: Any, data: str, attacks: Any = ("pgd",), *, samples: int | None = None, name: str = "mine", **options: Any
) -> pd.DataFrame:
    """The energies of models on natural and attacked images; what is in the table already is not measured again.

    Args:
        models: a reference, an `nn.Module`, a dict {name: module}, or a list of these.
        data: a data reference, such as `cifar10:test`.
        attacks: names with settings (`pgd:eps=4/255`), attacks, functions `(model, x, y) -> x_adv`, or one of these.
        samples: the first this many images; None for all.
        name: of the table, in the folder `tables`.
        options: those of the probe: `tables`, `data_dir`, `model_dir`, `device`, `batch`, `shard`, `engine`, `address`,
            `trust_checkpoint`, `keep_logits`, `keep_images`, `record`, `precision`, `shuffle_seed`, and `eps` and
            `seed` of all attacks; None is one that is not given.

    Returns:
        The EnergyTable of exactly these, natural images included.

    Warns:
        Note: rows were moved aside, gave NaN or failed, or another thing that the probe would tell.

    Raises:
        UserError: something is not usable, or cannot be measured.
    """
    from energylens import python

    return python.energies(models, data, attacks, samples, name, options)


def watch(
    model: Any,
    loader: Any,
    every: int = 1,
    *,
    eps: float | None = None,
    attack: Any = "pgd:steps=10",
    samples: int = 512,
    logits: Any = None,
    batch: int = 128,
    data_dir: Path | None = None,
) -> Watch:
    """Energy telemetry for a training loop of your own: call what comes back once an epoch.

    Args:
        model: the `nn.Module` that is trained, images [B, C, H, W] in [0, 1] -> logits [B, K].
        loader: batches (x, y), of which the first images are taken once, as they come; or a data reference, such as
            `cifar10:test`, or a `Data`.
        every: each so many calls it measures, the first one included.
        eps: radius of the attack and of FGSM, pixel units; 8/255 if not given, or that of an attack object.
        attack: a name with settings, an attack, or a function `(model, x, y) -> x_adv`, at `eps`; PGD-10 with steps of
            eps/4 if not given.
        samples: at most so many images.
        logits: `(model, x) -> [B, K]`, for models that are called in another way or return something else, such as
            `lambda model, x: model(pixel_values=x).logits`.
        batch: images at once.
        data_dir: the folder of named data sets.

    Returns:
        A Watch: `watch()` measures, `watch.table` is what it measured, `watch.alarms` what it warned of.

    Raises:
        UserError: something is not usable, such as images outside [0, 1], or a model that gives no logits.
    """
    from energylens import telemetry

    return telemetry.start(model, loader, every, eps, attack, samples, logits, batch, data_dir)
