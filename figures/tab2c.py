"""Table 2c: FID and IS of robust classifiers as generators beside those of hybrid models.

Hybrid models' rows are published ones, but for the networks that a trainer here made.
"""

from collections.abc import Iterator

import pandas as pd

from energylens import quality_tables
from energylens.claims import Verdict
from energylens.quality_claims import Pair, better, ways
from energylens.quality_rows import family, is_standard
from energylens.quality_tables import Layout, Published
from energylens.tabulated import Tabulated

NEEDS = ("table_2c",)
WIDTH = "full"
FORMATS = ("txt", "csv", "md", "tex")
HYBRID, ROBUST, STANDARD = "hybrid model", "robust classifier", "standard classifier"


def _quoted(fid: str, inception: str, models: tuple[str, ...] = (), mark: str = "") -> Published:
    """A row that the paper copied from elsewhere: of how many images it does not say."""
    numbers = {"fid": fid, "is_mean": inception}
    return Published({name: number for name, number in numbers.items() if number}, models, ("jeat-random",), None, mark)


PAPER = {
    "JEM": _quoted("38.4", "8.76", mark="*"),
    "DRL": _quoted("9.60", "8.58", mark="*"),
    "JEAT": _quoted("38.24", "8.80", ("JEAT",), "*"),
    "JEM++": _quoted("37.1", "8.29", mark="*"),
    "SADA-JEM": _quoted("9.41", "8.77", mark="*"),
    "M-EBM": _quoted("21.1", "7.20", mark="*"),
    "PreJEAT": _quoted("56.85", "7.91", ("preJEAT", "SAT", "SAT L2", "Ours SAT")),
    "SAT [43]": _quoted("", "7.5"),
    "Ours SAT": Published({"fid": "45.19", "is_mean": "8.58"}, ("Ours SAT", "SAT L2"), ("eq7-pca",)),
    "Ours Better DM": Published({"fid": "30.74", "is_mean": "8.97"}, ("Ours Better DM", "Better DM L2"), ("eq7-pca",)),
}
HYBRIDS = {family(name) for name, one in PAPER.items() if one.mark}


def kind(model: str) -> str:
    """What a model is, by its name: hybrid models are those of the paper's table."""
    return HYBRID if family(model) in HYBRIDS else STANDARD if is_standard(model) else ROBUST


LAYOUT = Layout(
    caption="Table 2c: FID and IS of robust classifiers beside hybrid models",
    measures=("fid", "is_mean"),
    published=PAPER,
    columns={"fid": "published FID", "is_mean": "published IS"},
    notes=(
        "Published: Mirza et al. 2024 (arXiv:2407.06315), Table 2c: CIFAR-10, Inception; Ours: eq. (7), 50,000 "
        "images, one run. The other rows are quoted there, without how many images they are of.",
        "* a hybrid model's published row, not measured here. FIDs of the JEM family are of samples from the replay "
        "buffer of its training, not of chains that start anew: JEM++'s authors say that their checkpoint gets 36.5 "
        "with all images of its buffer.",
        "preJEAT is the network of SAT, its images made by JEAT's sampler (SGLD on E(x,y) from noise).",
    ),
    kind=kind,
    kinds=(HYBRID, ROBUST, STANDARD),
)  # fmt: skip


def our_sampler_beats_prejeat(table_2c: pd.DataFrame) -> Verdict:
    """FID of eq. (7) from the PCA start against that of JEAT's sampler, both with one and the same SAT network: lower.

    The network is the same when its weights are (their hash), whether it is called SAT or preJEAT. Holds when over
    seeds Welch's 95 % interval says lower for every such network, in every feature space; fails when it says higher for
    one, widened for all comparisons at once; of one seed it cannot tell.
    """
    return better("preJEAT is beaten by eq. (7) with the same SAT network in FID", table_2c, _of_sat)


def _of_sat(block: pd.DataFrame) -> Iterator[Pair]:
    sat = block[block["model"].map(family).isin(["sat", "prejeat"])]
    for _, found in sat.groupby("network", sort=False):
        ours = ways(found[(found["preset"] == "eq7") & (found["start"] == "pca")])
        yield from (Pair(a, b) for a in ours for b in ways(found[found["preset"] == "jeat"]))


def on_par_with_jeat(table_2c: pd.DataFrame) -> Verdict:
    """FID of the best robust classifier with eq. (7) against that of JEAT with its own sampler: at most as high.

    In each feature space the best is the robust classifier and start of eq. (7) with the lowest mean. Holds when
    over seeds Welch's interval, widened for all that it was chosen from, says that its FID is lower, in every feature
    space; fails when it says higher in one, widened for all spaces at once; a tie leaves it open, and so does one seed.
    """
    return better("a robust classifier with eq. (7) is on par with JEAT in FID", table_2c, _best_and_jeat)


def _best_and_jeat(block: pd.DataFrame) -> Iterator[Pair]:
    families = block["model"].map(family)
    jeat = ways(block[(families == "jeat") & (block["preset"] == "jeat")])
    robust = block[(block["model"].map(kind) == ROBUST) & (block["preset"] == "eq7") & block["fid"].notna()]
    candidates = ways(robust)
    if candidates:
        best = min(candidates, key=lambda found: found["fid"].mean())
        yield from (Pair(best, theirs, len(candidates)) for theirs in jeat)


CLAIMS = (our_sampler_beats_prejeat, on_par_with_jeat)


def draw(table_2c: pd.DataFrame) -> Tabulated:
    """FID and IS over seeds of each network and method, the published ones beside them."""
    return quality_tables.tabulated(table_2c, LAYOUT)
