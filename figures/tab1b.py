"""Table 1b: natural, PGD-20 and AutoAttack accuracy on Tiny-ImageNet, ResNet-18, one run a method.

One run tells nothing about other training seeds: with one, the claims give their differences and cannot tell.
"""

import pandas as pd

from energylens import accuracy_tables, scores
from energylens.accuracy_tables import Layout, Published
from energylens.claims import Verdict
from energylens.plots import methods
from energylens.score_claims import exceeds
from energylens.scores import ROBUST
from energylens.tabulated import Tabulated

NEEDS = ("table_1b",)
WIDTH = "full"
FORMATS = ("txt", "csv", "md", "tex")
PAPER: Published = {  # clean, PGD-20, AutoAttack in percent, of one run
    "tiny-imagenet": {
        "sat": ((48.09, None), (None, None), (16.46, None)),
        "trades": ((49.15, None), (21.92, None), (17.24, None)),
        "mart": ((45.51, None), (None, None), (17.79, None)),
        "dyart": ((49.71, None), (None, None), (18.02, None)),
        "mail-trades": ((48.72, None), (21.98, None), (17.03, None)),
        "weat-nat": ((52.73, None), (23.42, None), (17.35, None)),
        "weat-adv": ((49.54, None), (24.39, None), (18.45, None)),
    }
}
COPIED = ("sat", "mart", "dyart")
"""whose published numbers are those of DyART's paper"""
NAMES = {name: methods.label(name) for name in PAPER["tiny-imagenet"]} | {"dyart": "DyART"}
TRAINED = tuple(name for name in NAMES if name != "dyart")
LAYOUT = Layout(
    caption="Table 1b: accuracy of robust trainers; the paper's is on Tiny-ImageNet, of one run a method",
    columns=("method",),
    rows={name: (label,) for name, label in NAMES.items()},
    published=PAPER,
    seeds={},
    marks=dict.fromkeys(COPIED, "*"),
    notes=(
        "Published: Mirza et al. 2024 (arXiv:2407.06315), Table 1b: ResNet-18, one run.",
        "* copied there from DyART's paper, means over its runs of a PreActResNet-18 under another recipe (batches of "
        "256, warm-up and cosine): not the network of the other rows, and no PGD-20.",
        "DyART has no trainer here: only its published numbers are shown.",
    ),
)


def weat_adv_above_trades_pgd(table_1b: pd.DataFrame) -> Verdict:
    """PGD-20 accuracy of WEAT_ADV minus that of TRADES, over training seeds.

    Holds when Welch's 95 % interval lies above 0 on every data set of the table, fails when it lies below 0 on one,
    widened for all data sets at once; of one run a method, as in the paper, it cannot tell.
    """
    claim = "WEAT_ADV's PGD-20 accuracy is above TRADES's"
    return exceeds(claim, scores.networks(table_1b), [("weat-adv", "trades")], ["pgd"])


def weat_adv_above_trades_autoattack(table_1b: pd.DataFrame) -> Verdict:
    """AutoAttack accuracy of WEAT_ADV minus that of TRADES, over training seeds; the rule as for PGD-20."""
    claim = "WEAT_ADV's AutoAttack accuracy is above TRADES's"
    return exceeds(claim, scores.networks(table_1b), [("weat-adv", "trades")], ["autoattack"])


def weat_nat_above_trades_clean(table_1b: pd.DataFrame) -> Verdict:
    """Clean accuracy of WEAT_NAT minus that of TRADES, over training seeds; the rule as for PGD-20."""
    claim = "WEAT_NAT's clean accuracy is above TRADES's"
    return exceeds(claim, scores.networks(table_1b), [("weat-nat", "trades")], ["clean"])


def weat_adv_most_robust(table_1b: pd.DataFrame) -> Verdict:
    """PGD-20 and AutoAttack accuracy of WEAT_ADV minus that of each other method that can be trained here.

    Holds when Welch's 95 % interval lies above 0 in every comparison, on every data set of the table; fails when it
    lies below 0 in one, widened for all comparisons at once; a method without runs, or with one, leaves it open. DyART
    is left out.
    """
    claim = "WEAT_ADV is more robust than every other trained method of the table"
    pairs = [("weat-adv", name) for name in TRAINED if name != "weat-adv"]
    return exceeds(claim, scores.networks(table_1b), pairs, ROBUST)


CLAIMS = (
    weat_adv_above_trades_pgd,
    weat_adv_above_trades_autoattack,
    weat_nat_above_trades_clean,
    weat_adv_most_robust,
)


def draw(table_1b: pd.DataFrame) -> Tabulated:
    """Accuracies of each run, the published ones beside them."""
    return accuracy_tables.tabulated(table_1b, LAYOUT)
