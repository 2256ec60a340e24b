"""Figure 6, top: images that different classifiers make from a PCA start, with their robust accuracies above.

One block a network, one row a class: the first five chains of each class, none picked, at their last step. An image's
energy and confidence are those that the network itself gives it, so they are no evidence here: each network judges its
own images, and one that is not robust is sure of the noise it makes. Scores by other networks are in Table 2b.

Robust accuracy is the share of test images still right under the attack, measured here; RobustBench's published one
under AutoAttack stands below it for the networks that have one.
"""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from energylens import attacks, class_names, final_images
from energylens.claims import Verdict, falls_with
from energylens.plots import blocks, style
from energylens.schema import NATURAL

NEEDS = ("generators", "generator_robustness")
SPARED = {"generator_robustness": ("samples",)}
"""choices that are for the chains alone"""
WIDTH = "full"
PAPER = {  # AutoAttack accuracy in percent, linf, 8/255 (RobustBench's)
    "robustbench:cifar10/Linf/Engstrom2019Robustness": 49.25,
    "robustbench:cifar10/Linf/Zhang2019Theoretically": 53.08,
    "robustbench:cifar10/Linf/Wang2020Improving": 56.29,
    "robustbench:cifar10/Linf/Wu2020Adversarial": 56.17,
    "robustbench:cifar10/Linf/Wang2023Better_WRN-28-10": 67.31,
}
COLUMNS = 5
MOST = 10
"""classes shown"""


def attacked(generator_robustness: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first attack of the table, with `right`; models as text."""
    rows = generator_robustness[generator_robustness["attack"] != NATURAL].astype({"model": str, "attack": str})
    rows = rows[rows["attack"] == rows["attack"].iloc[0]] if len(rows) else rows
    return rows.assign(right=rows["pred"] == rows["label"])


def finals(generators: pd.DataFrame) -> pd.DataFrame:
    """The last states of the chains of the frame's first method."""
    rows = final_images.ended(generators)
    return rows[rows["method"] == str(generators["method"].iloc[0])]


def robust_networks_make_smooth_images(generators: pd.DataFrame, generator_robustness: pd.DataFrame) -> Verdict:
    """Robust accuracy against the mean roughness of a network's images: expected to fall, noise is rough.

    Roughness is the mean absolute difference of neighbouring pixels, as a share of their range. Holds (fails) when the
    rank correlation over all networks of the table is below (above) 0 with permutation p < 0.05; it takes five. The
    attacked images, n of them, bound it: networks whose accuracies differ by less than n images can tell are ranked all
    the same. It says nothing of how good images are: an image of one grey is smooth.
    """
    claim = "the more robust a network, the smoother the images it makes"
    rows = finals(generators)
    rough = rows.assign(rough=rows["image"].map(final_images.roughness)).groupby("model")["rough"].mean()
    accuracy = attacked(generator_robustness).groupby("model")["right"].mean()
    verdict = falls_with(claim, accuracy, rough)
    if not verdict.n:
        return verdict
    return replace(verdict, detail=f"{verdict.detail}; mean roughness from {rough.min():.3f} to {rough.max():.3f}")


CLAIMS = (robust_networks_make_smooth_images,)


def draw(generators: pd.DataFrame, generator_robustness: pd.DataFrame) -> Figure:
    """One block a network, in the frame's order."""
    rows, points = finals(generators), attacked(generator_robustness)
    labels = sorted(rows["label"].unique())[:MOST]
    made = [
        blocks.Block(
            _title(str(model), points[points["model"] == model]), final_images.of_classes(one, labels, COLUMNS)
        )
        for model, one in rows.groupby("model", sort=False)
    ]
    data = str(rows["data"].iloc[0])
    note = f"{rows['method'].iloc[0]}: {final_images.tally(rows, labels, COLUMNS)}{_setting(points)}"
    return blocks.page(made, [class_names.name(data, label) for label in labels], note, COLUMNS)


def _title(model: str, points: pd.DataFrame) -> str:
    """The network's name, its accuracy under the table's attack, and the published one."""
    lines = [model.replace("$", r"\$")]
    if points.empty:
        return f"{lines[0]}\nrobust accuracy not measured"
    attack, share = attacks.title(str(points["attack"].iloc[0])), points["right"].mean()
    lines.append(f"{attack} {100 * share:.0f}\u00a0% (n\u00a0=\u00a0{len(points):,})")
    reference = str(points["model_ref"].iloc[0])
    if reference in PAPER:
        lines.append(f"AutoAttack {PAPER[reference]:.2f}\u00a0%*")
    return "\n".join(lines)


def _setting(points: pd.DataFrame) -> str:
    """What the accuracies are, in words."""
    if points.empty:
        return ""
    first = points.iloc[0]
    ball = f"{first['norm']}, eps {style.radius(first['eps'])}"
    words = f"\nabove: robust accuracy under {attacks.title(first['attack'])} ({ball}), "
    words += f"n images of {first['data']}:{first['split']}"
    published = points["model_ref"].isin(PAPER).any()
    return words + ("; * published by RobustBench (linf, eps 8/255)" if published else "")
