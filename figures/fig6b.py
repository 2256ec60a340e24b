"""Figure 6, bottom: images of one network from different starts, and by eq. (7), SGLD with momentum.

One block a method, one row a class: the first five chains of each class, none picked, at their last step. Titles are
the paper's; below them stands the method's name in the tables.

The claims compare chains of the same number, which make the same class. Roughness, the mean absolute difference of
neighbouring pixels as a share of their range, counts noise; an image of one grey would have none, so it is no score
of quality (see Table 2b). It is that of the last image, the roughness of the start among it: images of the starts are
not kept, so what a chain took away of it is not told.
"""

import pandas as pd
from matplotlib.figure import Figure

from energylens import class_names, final_images, start_claims
from energylens.claims import CANNOT_TELL, Claim, Verdict
from energylens.method_names import Parts, parts, setting
from energylens.plots import blocks

NEEDS = ("starts",)
WIDTH = "full"
ONE_NETWORK = True
PAPER = {}  # pictures without numbers
COLUMNS = 5
CLASSES = {"cifar10": (0, 1, 2, 7, 8)}
"""those of the paper's figure; of other sets, the first five"""
TITLES = {"random": "Random noise (JEM, JEAT)", "gaussian": "Gaussian per class", "pca": "PCA per class"}
EQ7 = "Eq. (7)"


def title(method: str) -> str:
    """The paper's title of a method, its own name where the paper has none."""
    made = parts(method)
    if made and made.preset == "eq7":
        return EQ7 if made.start == "pca" else method
    return TITLES.get(made.start, method) if made else method


def finals(starts: pd.DataFrame) -> pd.DataFrame:
    """The last states of the chains of the frame's first network, with `roughness` and `off`."""
    return start_claims.measured(starts[starts["model"] == starts["model"].iloc[0]])


def _driven(method: str) -> bool:
    """Whether it is eq. (7), with momentum."""
    return method.startswith("eq7-") and setting(method).momentum > 0


def _plain(method: str) -> bool:
    """Whether it is SGLD on E(x, y) without momentum."""
    return method.startswith(("eq7-", "sgld-")) and setting(method).momentum == 0


def from_noise(methods: dict[str, Parts], ends: pd.Series) -> tuple[str, str] | None:
    """A PCA start and uniform noise under one sampler, plain SGLD where the frame has it; None without such a pair.

    Args:
        methods: the frame's, taken apart.
        ends: their last steps; a sampler that takes none is none.
    """
    pairs = [
        (one, other)
        for one, a in methods.items()
        for other, b in methods.items()
        if a.start == "pca" and b.start == "random" and a.sampler == b.sampler and ends[one] > 0
    ]
    return min(pairs, key=lambda pair: not _plain(pair[0]), default=None)


def with_momentum(methods: dict[str, Parts], ends: pd.Series) -> tuple[str, str] | None:
    """Eq. (7) and plain SGLD from one start; None without such a pair.

    With equally many steps where the frame has such two, then from the PCA.
    """
    pairs = [
        (one, other)
        for one, a in methods.items()
        for other, b in methods.items()
        if _driven(one) and _plain(other) and (a.start, a.settings) == (b.start, b.settings)
    ]

    def order(pair: tuple[str, str]) -> tuple[bool, bool]:
        return ends[pair[0]] != ends[pair[1]], methods[pair[0]].start != "pca"

    return min(pairs, key=order, default=None)


def _less(claim: str, starts: pd.DataFrame, choose, column: str, lacking: str) -> Verdict:
    rows = finals(starts)
    pair = choose(start_claims.named(rows), start_claims.ends(rows))
    if pair is None:
        return Verdict(claim, CANNOT_TELL, detail=f"the table has not {lacking}")
    return start_claims.less(claim, rows, *pair, column)


def pca_start_ends_smoother(starts: pd.DataFrame) -> Verdict:
    """Roughness of the last images, uniform noise as start minus PCA per class, under the same sampler.

    Noise is rough and the PCA is not, so roughness that the sampler left as it was counts too. Holds (fails) when the
    whole 95 % bootstrap interval of the mean difference over pairs of chains lies above (below) 0; it takes 20 pairs.
    """
    claim = "PCA start beats noise: its images end less rough"
    return _less(claim, starts, from_noise, "roughness", NO_STARTS)


def pca_start_ends_nearer(starts: pd.DataFrame) -> Verdict:
    """How far E(x, y) ends above its mean over training images of class y, max(0, E - mean), noise minus PCA, in nats.

    A chain below that mean is not far from it. Decided as the claim above; cannot tell where all chains of both end
    below.
    """
    claim = "PCA start beats noise: E(x, y) ends nearer to the class's mean"
    return _less(claim, starts, from_noise, "off", NO_STARTS)


def momentum_ends_smoother(starts: pd.DataFrame) -> Verdict:
    """Roughness of the last images, plain SGLD minus eq. (7), from the same start.

    Decided as the claims above; cannot tell where the two took different numbers of steps. A chain that has hardly left
    a smooth start is smooth, so SGLD that is slow may win.
    """
    claim = "eq. (7) beats plain SGLD from the same start: its images end less rough"
    return _less(claim, starts, with_momentum, "roughness", "eq. (7) and plain SGLD from one start")


NO_STARTS = "a PCA start and uniform noise under one sampler"
CLAIMS: tuple[Claim, ...] = (pca_start_ends_smoother, pca_start_ends_nearer, momentum_ends_smoother)


def draw(starts: pd.DataFrame) -> Figure:
    """One block a method, in the frame's order."""
    rows = finals(starts)
    data, there = str(rows["data"].iloc[0]), sorted(rows["label"].unique())
    wanted = CLASSES.get(data, ())
    labels = list(wanted) if wanted and set(wanted) <= set(there) else there[:5]
    made = [
        blocks.Block(_head(str(method)), final_images.of_classes(one, labels, COLUMNS))
        for method, one in rows.groupby("method", sort=False)
    ]
    model = str(rows["model"].iloc[0]).replace("$", r"\$")
    note = f"{model}: {final_images.tally(rows, labels, COLUMNS)}"
    return blocks.page(made, [class_names.name(data, label) for label in labels], note, COLUMNS)


def _head(method: str) -> str:
    return method if title(method) == method else f"{title(method)}\n{method}"
