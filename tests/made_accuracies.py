"""Made accuracies of runs, as the tables get them."""

import pandas as pd

OF = {"clean": "natural", "pgd": "pgd-eps0.2-step0.05-uniform", "autoattack": "autoattack-eps0.2"}


def runs(objective: str, data: str = "digits", first: int = 1, n: int = 500, **percent) -> pd.DataFrame:
    """Runs of one objective, as many as there are values: `runs("sat", clean=[80, 81], pgd=[40, 41])`.

    Args:
        objective: of the runs, which are called OBJECTIVE-DATA-small-resnet-SEED.
        data: set.
        first: training seed.
        n: images.
        percent: measure -> accuracies, one a seed.
    """
    rows = [
        {
            "model": f"{objective}-{data}-small-resnet-{seed}", "objective": objective, "train_seed": seed,
            "arch": "small-resnet", "data": data, "measure": measure, "attack": OF[measure], "accuracy": value / 100,
            "correct": round(value * n / 100), "n": n, "low": 0.0, "high": 1.0,
            "eps": None if measure == "clean" else 0.2,
        }
        for measure, values in percent.items()
        for seed, value in enumerate(values, first)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def table(**objectives) -> pd.DataFrame:
    """Frames of several objectives: `table(sat={"clean": [80, 81]})`; `_` stands for `-` in their names."""
    return pd.concat([runs(name.replace("_", "-"), **more) for name, more in objectives.items()], ignore_index=True)
