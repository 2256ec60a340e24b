"""Table 2b: scores of generated images, by the chains' start with one network, and of eq. (7) with several networks.

Every score depends on its feature space and on how many images were scored; both stand above each block.
"""

from collections.abc import Callable, Iterator

import pandas as pd

from energylens import quality_tables
from energylens.claims import Verdict
from energylens.families import STANDARD
from energylens.quality_claims import Pair, better, most_taken, of_equal_steps, of_starts, robust, ways
from energylens.quality_rows import UNTOUCHED
from energylens.quality_tables import Layout, Published
from energylens.tabulated import Tabulated

NEEDS = ("table_2b",)
WIDTH = "full"
FORMATS = ("txt", "csv", "md", "tex")
METHODS = {"random": "eq7-random", "gaussian": "eq7-gaussian", "eq. (7)": "eq7-pca"}
"""the paper's start -> the method here that has it"""
NETWORKS = {
    "Better DM Linf": "Linf/Wang2023Better_WRN-28-10",
    "Better DM L2": "L2/Wang2023Better_WRN-28-10",
    "SAT Linf": "Linf/Engstrom2019Robustness",
    "SAT L2": "L2/Engstrom2019Robustness",
    "TRADES": "Linf/Zhang2019Theoretically",
    "MART": "Linf/Wang2020Improving",
}
"""the paper's network -> RobustBench's for CIFAR-10"""
TAKEN = 0.9
"""share of images that an SVM is to take for the class wanted"""


def _row(model: str, start: str, inception: str, fid: str, kid: str, lpips: str) -> tuple[str, Published]:
    numbers = {"is_mean": inception, "fid": fid, "kid_paper": kid, "lpips": lpips}
    return f"{model}, {start}", Published(numbers, f"robustbench:cifar10/{NETWORKS[model]}", METHODS[start])


PAPER = dict(
    [
        _row("Better DM Linf", "random", "1.82", "357.21", "11.19", "0.39"),
        _row("Better DM Linf", "gaussian", "7.18", "64.98", "2.02", "0.18"),
        _row("Better DM Linf", "eq. (7)", "7.66", "97.38", "2.15", "0.20"),
        _row("Better DM L2", "gaussian", "8.75", "27.71", "0.56", "0.18"),
        _row("Better DM L2", "eq. (7)", "8.97", "30.74", "0.51", "0.18"),
        _row("SAT Linf", "eq. (7)", "7.96", "72.15", "1.03", "0.21"),
        _row("TRADES", "eq. (7)", "7.19", "72.51", "1.31", "0.22"),
        _row("MART", "eq. (7)", "8.11", "66.98", "1.03", "0.20"),
        _row("SAT L2", "eq. (7)", "8.58", "45.19", "0.49", "0.19"),
    ]
)
LAYOUT = Layout(
    caption="Table 2b: scores of generated images, by start and by network",
    measures=(
        "is_mean", "fid", "kid", "kid_paper", "precision", "recall", "lpips", "nearest", "intended", "svm",
    ),
    published=PAPER,
    columns={
        "is_mean": "published IS", "fid": "published FID", "kid_paper": "published paper's KID",
        "lpips": "published LPIPS",
    },
    about_published=(
        "Published: Mirza et al. 2024 (arXiv:2407.06315), Table 2b, 50,000 images, one run; its KID is the paper's. "
        "Which sampler made the rows random and gaussian, and with what settings, is not known: they stand beside "
        "eq. (7). The row PCA of Better DM has the same numbers as its row of eq. (7): here they are one.",
        "In the paper the Gaussian start beats PCA in FID (Linf 64.98 against 97.38, L2 27.71 against 30.74); PCA "
        "beats it in IS (7.66 against 7.18, 8.97 against 8.75).",
    ),
)  # fmt: skip


def pca_beats_noise(table_2b: pd.DataFrame) -> Verdict:
    """FID from the PCA start against FID from uniform noise, same robust network, same sampler with the same settings.

    Holds when over seeds Welch's 95 % interval says lower for every network, in every feature space; fails when it
    says higher for one, widened for all comparisons at once; of one seed it cannot tell.
    """
    return better("the PCA start beats noise in FID", table_2b, of_starts("pca", "random"))


def pca_beats_gaussian_is(table_2b: pd.DataFrame) -> Verdict:
    """IS from the PCA start against IS from the Gaussian one: higher; the rule as for `pca_beats_noise`."""
    return better("the PCA start beats the Gaussian one in IS", table_2b, of_starts("pca", "gaussian"), "is_mean")


def pca_beats_gaussian_fid(table_2b: pd.DataFrame) -> Verdict:
    """FID from the PCA start against FID from the Gaussian one: lower; the rule as for `pca_beats_noise`.

    The paper's own numbers say the opposite.
    """
    return better("the PCA start beats the Gaussian one in FID", table_2b, of_starts("pca", "gaussian"))


def eq7_improves_its_start(table_2b: pd.DataFrame) -> Verdict:
    """FID of eq. (7) against that of its own start untouched (sampler `none`): lower.

    Every robust network, from PCA and from the Gaussian, as far as the table has that start; the rule as for
    `pca_beats_noise`.
    """
    return better("eq. (7) improves its start in FID", table_2b, _ends_and_starts)


def _ends_and_starts(block: pd.DataFrame) -> Iterator[Pair]:
    ends = robust(block)
    for end in ways(ends[(ends["preset"] == "eq7") & ends["start"].isin(["pca", "gaussian"])]):
        there = (block["kind"] == UNTOUCHED) & (block["place"] == end["place"].iloc[0])
        yield from (Pair(end, start) for start in ways(block[there]))


def eq7_beats_sgld(table_2b: pd.DataFrame) -> Verdict:
    """FID of eq. (7) against that of plain SGLD: lower; same robust network, same start with the same settings.

    Both of equally many steps, which their names tell: without two such it cannot tell. The rule as for
    `pca_beats_noise`.
    """
    words = "eq. (7) beats plain SGLD from the same start with as many steps in FID"
    return better(words, table_2b, lambda block: of_equal_steps(_samplers(block)))


def _samplers(block: pd.DataFrame) -> Iterator[Pair]:
    for _, found in robust(block).groupby(["network", "place"], sort=False):
        ours, theirs = (ways(found[found["preset"] == preset]) for preset in ("eq7", "sgld"))
        yield from (Pair(a, b) for a in ours for b in theirs)


def robust_beat_standard(measure: str, words: str) -> Callable[[pd.DataFrame], Verdict]:
    """The claim of one measure."""

    def claim(table_2b: pd.DataFrame) -> Verdict:
        """A score of every robust network against that of each standard one, every method that both have: better.

        Which networks are robust and which standard is told by `families`. The rule as for `pca_beats_noise`.
        """
        return better(
            f"every robust network beats the standard ones in {words}", table_2b, _robust_and_standard, measure
        )

    return claim


def _robust_and_standard(block: pd.DataFrame) -> Iterator[Pair]:
    for _, found in block.groupby("method", sort=False):
        yield from (Pair(a, b) for a in ways(robust(found)) for b in ways(found[found["kind"] == STANDARD]))


def an_svm_takes_them(table_2b: pd.DataFrame) -> Verdict:
    """Share of robust networks' images, eq. (7) from the PCA start, that an SVM takes for the class wanted: above 90 %.

    Per robust network, all seeds together. Holds when Wilson's 95 % interval lies above 0.9 for every network, fails
    when it lies below for one; without an SVM's scores it cannot tell.
    """
    whose = "robust networks' images from the PCA start"
    words = f"at least {100 * TAKEN:.0f} % of {whose} are taken by an SVM for the class wanted"
    return most_taken(words, table_2b, TAKEN)


CLAIMS = (
    pca_beats_noise,
    pca_beats_gaussian_is,
    pca_beats_gaussian_fid,
    eq7_improves_its_start,
    eq7_beats_sgld,
    robust_beat_standard("fid", "FID"),
    robust_beat_standard("kid", "KID"),
    robust_beat_standard("precision", "precision"),
    robust_beat_standard("svm", "the share that an SVM takes for the class wanted"),
    an_svm_takes_them,
)


def draw(table_2b: pd.DataFrame) -> Tabulated:
    """Scores over seeds of each network and method, the starts untouched first, the published ones beside them."""
    return quality_tables.tabulated(table_2b, LAYOUT)
