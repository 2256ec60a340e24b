"""Frames of scores of generated images, made by hand: one row a model, method, seed and feature space."""

import pandas as pd

SPACE = "demo:standard-14"
ALL = {
    "is_mean": 7.5, "is_std": 0.1, "fid": 40.0, "kid": 0.0125, "kid_std": 0.001, "kid_subset": 1000, "kid_paper": 0.8,
    "kid_paper_std": 0.2, "precision": 0.75, "recall": 0.5, "lpips": 0.2, "lpips_space": "alex", "nearest": 5.0,
    "nearest_real": 4.0, "intended": 0.95, "svm": 0.9, "saturated": 0.1, "left_out": 0,
}  # fmt: skip


def scores(model: str, method: str, **columns) -> pd.DataFrame:
    """Rows of one model and method, one a seed: `scores("SAT", "eq7-pca", fid=[40, 41], space="inception")`.

    Args:
        model: display name; its weights' hash is `sha-MODEL`.
        method: without its seed, which stands behind it where it is not 0.
        columns: constants, or lists with one value a seed.
    """
    seeds = max((len(value) for value in columns.values() if isinstance(value, list)), default=1)
    named = {
        "model": model, "model_ref": f"demo:{model}", "model_sha": f"sha-{model}", "seed": list(range(seeds)),
        "method": [method + (f"-seed{seed}" if seed else "") for seed in range(seeds)], "data": "digits",
        "split": "train", "n": 2000, "real": 1297, "space": SPACE,
    }  # fmt: skip
    return pd.DataFrame(named | ALL | columns)


def frame(*rows: pd.DataFrame) -> pd.DataFrame:
    """Rows one below the other, models and methods as categories in the order in which they come."""
    made = pd.concat([one.astype(object) for one in rows], ignore_index=True)
    for name in ("model", "method"):
        made[name] = pd.Categorical(made[name], categories=list(dict.fromkeys(made[name])))
    return made


def published(model: str, method: str, **columns) -> pd.DataFrame:
    """Rows in the feature space and on the data of the published numbers, without what Inception cannot give."""
    more = {"space": "inception", "data": "cifar10", "real": 50_000, "intended": None, "svm": None}
    return scores(model, method, **(more | columns))


def judged(claim, *rows: pd.DataFrame) -> tuple[str, float, int]:
    """A claim's outcome, number and n on these rows."""
    verdict = claim(frame(*rows))
    return verdict.outcome, round(verdict.number, 3), verdict.n
