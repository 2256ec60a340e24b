"""Tables 1a, 1b and 1c from made accuracies: cells, published numbers, notes, claims with known answers."""

import math

import pandas as pd
import pytest
from made_accuracies import runs, table

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import style

tab1a, tab1b, tab1c = (paths.load("figures", name) for name in ("tab1a", "tab1b", "tab1c"))
TOP, MIDDLE, BOTTOM = [50.0, 50.4, 50.8], [45.0, 45.3, 44.8], [40.0, 40.2, 40.7]


def same(values) -> dict:
    return {"clean": values, "pgd": values, "autoattack": values}


def block(made, data: str) -> pd.DataFrame:
    (title,) = {title for title in made.shown.columns.get_level_values(0) if title.startswith(f"{data}:")}
    return made.shown[title]


@pytest.mark.parametrize("module", [tab1a, tab1b, tab1c])
def test_every_table_declares_its_interface(module):
    assert module.__doc__
    assert module.WIDTH in style.WIDTHS_IN
    assert all(claim.__doc__ for claim in module.CLAIMS)
    assert isinstance(module.PAPER, dict)
    for of_data in module.PAPER.values():
        assert set(of_data) == set(module.LAYOUT.rows)


@pytest.mark.parametrize(
    ("module", "data", "objective", "numbers"),
    [
        (tab1a, "cifar10", "sat", [82.43, 0.66, 49.03, 0.46, 45.37, 0.41]),
        (tab1a, "cifar10", "weat-adv", [81.00, 0.17, 53.35, 0.07, 49.75, 0.04]),
        (tab1a, "cifar100", "mail-trades", [56.30, 0.14, 28.79, 0.19, 24.24, 0.07]),
        (tab1a, "cifar100", "weat-adv", [56.57, 0.15, 30.90, 0.18, 25.63, 0.15]),
        (tab1a, "svhn", "trades", [89.09, 0.49, 55.52, 0.29, 48.13, 1.10]),
        (tab1a, "svhn", "weat-nat", [88.65, 0.77, 55.31, 0.51, 48.61, 0.49]),
        (tab1b, "tiny-imagenet", "sat", [48.09, None, None, None, 16.46, None]),
        (tab1b, "tiny-imagenet", "dyart", [49.71, None, None, None, 18.02, None]),
        (tab1b, "tiny-imagenet", "weat-adv", [49.54, None, 24.39, None, 18.45, None]),
        (tab1c, "cifar100", "tab1c-3", [53.55, None, 28.93, None, 23.97, None]),
        (tab1c, "cifar100", "tab1c-8", [57.31, None, 30.64, None, 25.43, None]),
    ],
)
def test_published_numbers_are_the_papers(module, data, objective, numbers):
    assert [number for pair in module.PAPER[data][objective] for number in pair] == numbers


def test_rows_5_and_7_of_table_1c_are_table_1as_means():
    for row, objective in (("tab1c-5", "trades"), ("tab1c-7", "weat-nat")):
        means = [mean for mean, _ in tab1a.PAPER["cifar100"][objective]]
        assert [mean for mean, _ in tab1c.PAPER["cifar100"][row]] == means


def test_a_cell_has_mean_spread_and_mark_and_seeds_that_are_few_are_told():
    five = [40, 40.2, 40.4, 40.6, 40.8]
    frame = table(trades=same(five), sat={"pgd": TOP}, weat_nat={"pgd": five, "clean": [30, 30.2]}, weat_adv=same([60]))
    shown = block(tab1a.draw(frame), "digits")
    assert list(shown.columns) == ["clean", "PGD-20", "AutoAttack", "seeds"]
    assert shown.loc["sat"].tolist() == ["–", "50.4±0.4 +", "–", "0 of 5, 3 of 5, 0 of 5"]
    assert shown.loc["trades"].tolist() == ["40.4±0.3", "40.4±0.3", "40.4±0.3", "5"]
    assert shown.loc["weat-nat"].tolist()[:2] == ["30.1±0.1 -", "40.4±0.3 ="]
    assert shown.loc["weat-adv"].tolist() == ["60.0", "60.0", "60.0", "1 of 5"]
    assert shown.loc["mail-trades"].tolist() == ["–"] * 4


def test_published_numbers_stand_beside_ours_where_the_data_set_has_them():
    frame = pd.concat([runs("sat", "cifar100", n=10_000, **same([54.5, 54.7])), runs("sat", **same([80]))])
    made = tab1a.draw(frame)
    assert list(dict.fromkeys(made.shown.columns.get_level_values(0))) == [
        "",
        "digits: small-resnet, 500 images, eps 0.2",
        "cifar10: published, no runs of ours",
        "cifar100: small-resnet, 10,000 images, eps 0.2",
        "svhn: published, no runs of ours",
    ]
    ours = block(made, "cifar100").loc["sat"]
    assert ours[["clean", "published clean", "published AutoAttack"]].tolist() == [
        "54.60±0.14",
        "54.78±1.03",
        "20.99±0.28",
    ]
    assert list(block(made, "cifar10").columns) == ["published clean", "published PGD-20", "published AutoAttack"]
    assert "The published numbers are of other images and networks; they do not compare with digits." in made.notes
    assert any(note.startswith("No runs of TRADES on ") for note in made.notes)


def test_numbers_are_in_percent_with_differences_and_published_ones():
    made = tab1a.draw(table(trades=same(BOTTOM), weat_adv=same(TOP))).numbers
    assert list(made.columns) == [
        "method", "data", "measure", "mean", "std", "seeds", "published_mean", "published_std", "minus_trades", "low",
        "high", "verdict",
    ]  # fmt: skip
    assert len(made) == 5 * 4 * 3  # methods, data sets, measures
    row = made[(made["method"] == "WEAT_ADV") & (made["data"] == "digits") & (made["measure"] == "pgd")].iloc[0]
    assert [row["mean"], row["std"], row["minus_trades"]] == pytest.approx([50.4, 0.4, 10.1])
    assert row["low"] < 10.1 < row["high"]
    assert (row["seeds"], row["verdict"]) == (3, "above")
    assert math.isnan(row["published_mean"])
    there = made[(made["method"] == "SAT") & (made["data"] == "svhn") & (made["measure"] == "clean")].iloc[0]
    assert (there["published_mean"], there["published_std"], there["seeds"]) == (93.22, 0.20, 0)


def test_a_ranking_within_the_noise_is_printed_as_a_tie():
    frame = table(trades=same([49.5, 50.3, 51.2]), sat=same(BOTTOM), weat_adv=same(TOP), weat_nat=same([90]))
    notes = tab1a.draw(frame).notes
    assert "Ranking, digits, PGD-20: WEAT_ADV = TRADES > SAT; one seed, not ranked: WEAT_NAT" in notes
    single = tab1b.draw(table(trades=same([50]), sat=same([40]))).notes
    assert [note for note in single if note.startswith("Ranking")] == [
        "Ranking, digits: none, no two methods have two seeds."
    ]


def test_a_frame_without_rows_shows_what_is_published():
    made = tab1a.draw(runs("sat", **same([1])).iloc[:0])
    assert (made.numbers["seeds"] == 0).all()
    assert block(made, "svhn").loc["sat", "published PGD-20"] == "50.54±0.35"


def test_other_trainers_come_last_under_their_own_names():
    made = tab1a.draw(table(trades=same(BOTTOM), mart=same(TOP), mine=same(TOP)))
    assert made.shown["", "method"].tolist()[-3:] == ["WEAT_ADV", "MART", "mine"]


def test_images_that_differ_between_measures_are_told():
    frame = pd.concat([runs("sat", clean=[80], pgd=[40]), runs("sat", autoattack=[38], n=200)])
    frame = pd.concat([frame, runs("trades", n=100, autoattack=[38])])
    assert "digits: small-resnet, 500 images (AutoAttack 100 to 200), eps 0.2" in tab1a.draw(frame).shown.columns
    assert "eps 8/255" in str(tab1a.draw(frame.assign(eps=8 / 255)).shown.columns)


def test_table_1b_stars_what_it_copied_and_shows_dyart_as_published_only():
    made = tab1b.draw(table(sat=same([40]), trades=same([50])))
    published = block(made, "tiny-imagenet")
    assert published.loc["dyart"].tolist() == ["49.71*", "–", "18.02*"]
    assert published.loc["trades"].tolist() == ["49.15", "21.92", "17.24"]
    assert block(made, "digits").loc["dyart"].tolist() == ["–"] * 4
    assert block(made, "digits").loc["sat"].tolist() == ["40.0", "40.0", "40.0", "1"]
    assert any("DyART has no trainer here" in note for note in made.notes)


def test_table_1c_takes_its_rows_under_either_name():
    for names in (("mart", "trades", "weat-nat", "weat-adv"), ("tab1c-1", "tab1c-5", "tab1c-7", "tab1c-8")):
        frame = pd.concat([runs(name, **same([40 + place])) for place, name in enumerate(names)])
        made = tab1c.draw(frame)
        assert list(made.shown.index) == [f"tab1c-{row}" for row in range(1, 9)]
        assert block(made, "digits")["clean"].tolist() == ["40.0", "–", "–", "–", "41.0", "–", "42.0", "43.0"]
    assert made.shown[""].loc["tab1c-6"].tolist() == ["(6)", "KL", "w·CE(x) + β·w·KL", "5", "PM_adv"]
    assert block(made, "cifar100").loc["tab1c-5", "published clean"] == "56.31†"


def test_weat_adv_on_cifar100_has_another_beta_and_is_not_row_8():
    frame = pd.concat([runs("weat-adv", "cifar100", **same([40])), runs("tab1c-8", "cifar100", **same([30]))])
    made = tab1c.draw(frame)
    assert block(made, "cifar100").loc[["tab1c-8", "weat-adv"], "clean"].tolist() == ["30.0", "40.0"]
    assert made.shown["", "row"].iloc[-1] == "WEAT_ADV, β 7"


@pytest.mark.parametrize("module", [tab1a, tab1b])
@pytest.mark.parametrize(
    ("weat", "trades", "outcome"), [(TOP, BOTTOM, HOLDS), (BOTTOM, TOP, FAILS), (TOP, [50.5, 50.2], CANNOT_TELL)]
)
def test_claims_against_trades(module, weat, trades, outcome):
    frame = table(weat_adv=same(weat), weat_nat=same(weat), trades=same(trades))
    for claim in module.CLAIMS[:3]:
        assert claim(frame).outcome == outcome


def test_claims_of_table_1a_look_at_the_measure_that_they_name():
    frame = table(weat_adv={"clean": BOTTOM, "pgd": TOP, "autoattack": BOTTOM}, trades=same(MIDDLE))
    assert tab1a.weat_adv_above_trades_pgd(frame).outcome == HOLDS
    assert tab1a.weat_adv_above_trades_autoattack(frame).outcome == FAILS
    assert tab1a.weat_nat_above_trades_clean(frame).outcome == CANNOT_TELL


@pytest.mark.parametrize("module", [tab1a, tab1b])
def test_weat_adv_is_the_most_robust_of_all(module):
    others = [name for name in module.LAYOUT.rows if name not in ("weat-adv", "dyart")]
    frame = pd.concat([runs("weat-adv", **same(TOP)), *(runs(name, **same(BOTTOM)) for name in others)])
    assert module.weat_adv_most_robust(frame).outcome == HOLDS
    without = module.weat_adv_most_robust(frame[frame["objective"] != "sat"])
    assert without.outcome == CANNOT_TELL
    assert "SAT on digits has no PGD-20, AutoAttack accuracy" in without.detail
    better = frame.assign(accuracy=frame["accuracy"] + 0.3 * (frame["objective"] == "sat"))
    assert module.weat_adv_most_robust(better).outcome == FAILS


def test_one_run_a_method_gives_differences_and_cannot_tell():
    frame = table(trades=same([50]), weat_adv=same([52.5]), weat_nat=same([51]))
    for claim, difference in zip(tab1b.CLAIMS[:3], (2.5, 2.5, 1), strict=True):
        verdict = claim(frame)
        assert (verdict.outcome, verdict.number, verdict.n) == (CANNOT_TELL, pytest.approx(difference), 2)
        assert "single run" in verdict.detail
    assert "WEAT_ADV minus TRADES +2.50 single run, WEAT_NAT +1.50 single run" in tab1b.CLAIMS[3](frame).detail


@pytest.mark.parametrize(
    ("claim", "better", "worse"),
    [
        (tab1c.inner_kl_above_ce, ["tab1c-4"], ["tab1c-3"]),
        (tab1c.weat_above_margins, ["weat-nat", "tab1c-8"], ["tab1c-6"]),
        (tab1c.weat_adv_above_trades, ["weat-adv"], ["trades"]),
    ],
)
def test_claims_of_table_1c(claim, better, worse):
    def outcome(first, second):
        frames = [runs(name, **same(first)) for name in better] + [runs(name, **same(second)) for name in worse]
        return claim(pd.concat(frames)).outcome

    assert outcome(TOP, BOTTOM) == HOLDS
    assert outcome(BOTTOM, TOP) == FAILS
    assert outcome(TOP, TOP) == CANNOT_TELL
    assert outcome([50], [40]) == CANNOT_TELL
    missing = claim(runs(better[0], **same(TOP)))
    assert missing.outcome == CANNOT_TELL
    assert "on digits has no PGD-20, AutoAttack accuracy" in missing.detail
