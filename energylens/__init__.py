"""Read adversarially robust image classifiers as energy-based models.

With logits f(x): joint energy E(x, y) = -f(x)[y], marginal energy E(x) = -logsumexp_k f(x)[k].
Importing this package is cheap; torch is imported by the modules that compute with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

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
