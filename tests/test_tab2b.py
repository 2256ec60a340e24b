"""Table 2b from made scores: cells, published numbers in their block alone, notes."""

import math
import re

import pandas as pd
import pytest
from made_scores import ALL, SPACE, frame, published, scores

from energylens import paths, tabulated
from energylens.claims import CANNOT_TELL
from energylens.plots import style

tab2b = paths.load("figures", "tab2b")
LOW, MIDDLE, HIGH = [20.0, 20.4, 20.8], [30.0, 30.5, 30.2], [40.0, 40.2, 40.7]
DIGITS = f"digits:train, features of {SPACE}: 2,000 images, 1,297 real ones"
CIFAR = "cifar10:train, features of inception: 2,000 images, 50,000 real ones"
OTHER = "demo:standard-10"


def told(made, start: str) -> str:
    (note,) = [note for note in made.notes if note.startswith(start)]
    return note


def test_it_declares_its_interface():
    assert tab2b.__doc__
    assert tab2b.WIDTH in style.WIDTHS_IN
    assert isinstance(tab2b.PAPER, dict)
    assert all(claim.__doc__ for claim in tab2b.CLAIMS)


LINF, L2 = "robustbench:cifar10/Linf/", "robustbench:cifar10/L2/"
BETTER = "Wang2023Better_WRN-28-10"


@pytest.mark.parametrize(
    ("reference", "method", "printed"),
    [
        (LINF + BETTER, "eq7-random", ["1.82", "357.21", "11.19", "0.39", "50,000"]),
        (LINF + BETTER, "eq7-gaussian", ["7.18", "64.98", "2.02", "0.18", "50,000"]),
        (LINF + BETTER, "eq7-pca", ["7.66", "97.38", "2.15", "0.20", "50,000"]),
        (L2 + BETTER, "eq7-gaussian", ["8.75", "27.71", "0.56", "0.18", "50,000"]),
        (L2 + BETTER, "eq7-pca", ["8.97", "30.74", "0.51", "0.18", "50,000"]),
        (LINF + "Engstrom2019Robustness", "eq7-pca", ["7.96", "72.15", "1.03", "0.21", "50,000"]),
        (LINF + "Zhang2019Theoretically", "eq7-pca", ["7.19", "72.51", "1.31", "0.22", "50,000"]),
        (LINF + "Wang2020Improving", "eq7-pca", ["8.11", "66.98", "1.03", "0.20", "50,000"]),
        (L2 + "Engstrom2019Robustness", "eq7-pca", ["8.58", "45.19", "0.49", "0.19", "50,000"]),
        (L2 + BETTER, "sgld-gaussian", ["–"] * 5),
        (L2 + BETTER, "eq7-steps200-pca", ["–"] * 5),
        (L2 + BETTER, "eq7-pca-sigma0.01", ["–"] * 5),
        (L2 + "Engstrom2019Robustness", "eq7-gaussian", ["–"] * 5),
        (LINF + "Wang2023Better_WRN-70-16", "eq7-pca", ["–"] * 5),
        ("SAT-L2.pt@resnet50", "eq7-pca", ["–"] * 5),
        (None, "eq7-pca", ["–"] * 5),
    ],
)
def test_published_numbers_stand_beside_the_network_norm_and_method_that_they_are_of(reference, method, printed):
    shown = tab2b.draw(published("SAT L2", method, model_ref=reference)).shown[CIFAR]
    assert shown.iloc[0].tolist()[-5:] == printed
    assert list(shown)[-5:] == [
        "published IS", "published FID", "published paper's KID", "published LPIPS", "published n",
    ]  # fmt: skip
    found = [row for row in shown[shown.columns[-5:]].to_numpy().tolist() if row[0] != "–"]
    assert len(found) == len({tuple(row) for row in found}) == 9  # each once, those that nothing fits in rows below


def test_cells_are_means_and_spreads_over_seeds():
    rows = scores("SAT", "eq7-pca", fid=LOW, kid=[0.0123, 0.0125, 0.0127], intended=[0.9, 0.92, 0.94])
    shown = tab2b.draw(frame(rows, scores("TRADES", "sgld-random", fid=357.214, n=10_000))).shown
    block = shown[f"digits:train, features of {SPACE}: 2,000 to 10,000 images, 1,297 real ones"]
    assert block.loc["SAT, eq. (7), PCA"].to_dict() == {
        "IS": "7.50±0.00", "FID": "20.40±0.40", "KID": "0.0125±0.0002", "precision": "0.750±0.000",
        "recall": "0.500±0.000", "LPIPS": "0.200±0.000", "nearest / real": "5.00±0.00 / 4.00",
        "intended": "92.0±2.0", "SVM": "90.0±0.0", "images": "2,000", "seeds": "3",
    }  # fmt: skip
    assert block.loc["TRADES, SGLD, noise"].tolist() == [
        "7.50", "357.21", "0.0125", "0.750", "0.500", "0.200", "5.00 / 4.00", "95.00", "90.00", "10,000", "1",
    ]  # fmt: skip


def test_the_papers_kid_is_shown_in_blocks_of_inception_alone():
    made = tab2b.draw(frame(scores("SAT", "eq7-pca"), published("SAT", "eq7-pca")))
    titles = {title for title, heading in made.shown.columns if heading.startswith("paper's KID")}
    assert titles == {CIFAR}
    assert "paper's KID (subsets of 10, logits): as the paper's code makes it" in " ".join(made.notes)
    assert len(made.numbers[(made.numbers["measure"] == "kid_paper") & made.numbers["mean"].notna()]) == 2
    assert "paper's KID" not in " ".join(tab2b.draw(scores("SAT", "eq7-pca")).notes)


def test_rows_keep_the_frames_order_and_each_space_has_a_block():
    made = [scores(model, method) for model, method in (("b", "sgld-random"), ("a", "eq7-pca"), ("b", "eq7-pca"))]
    shown = tab2b.draw(frame(*made, scores("a", "eq7-pca", space=OTHER))).shown
    assert shown["", "model, method"].tolist() == ["b, SGLD, noise", "a, eq. (7), PCA", "b, eq. (7), PCA"]
    other = DIGITS.replace(SPACE, OTHER)
    assert list(dict.fromkeys(shown.columns.get_level_values(0))) == ["", DIGITS, other]
    assert shown[other]["FID"].tolist() == ["–", "40.00", "–"]


@pytest.mark.parametrize(
    "elsewhere", [{"space": SPACE}, {"data": "digits"}, {"real": 10_000}, {"space": "inception (mine.pth)"}]
)
def test_no_published_number_stands_in_a_block_that_does_not_compare(elsewhere):
    named = {"model_ref": L2 + "Engstrom2019Robustness"}
    made = tab2b.draw(published("SAT L2", "eq7-pca", **named, **elsewhere))
    assert not [heading for _, heading in made.shown.columns if heading.startswith("published")]
    assert made.shown["", "model, method"].tolist() == ["SAT L2, eq. (7), PCA"]
    assert "do not compare" in told(made, "The published numbers are of Inception features")
    assert made.numbers["published"].notna().sum() == 9 * 4


def test_published_numbers_stand_in_one_block_of_several():
    named = published("SAT L2", "eq7-pca", model_ref=L2 + "Engstrom2019Robustness")
    made = tab2b.draw(frame(named, scores("SAT", "eq7-pca"), published("a", "eq7-pca", space="inception (mine.pth)")))
    assert {title for title, heading in made.shown.columns if heading == "published IS"} == {CIFAR}
    assert not [note for note in made.notes if note.startswith("The published numbers are of")]


def test_untouched_starts_are_rows_of_no_network():
    made = tab2b.draw(frame(scores("SAT", "eq7-pca"), scores("SAT", "none-pca"), scores("SAT", "none-gaussian")))
    assert made.shown["", "model, method"].tolist() == [
        "no network, PCA start", "no network, Gaussian start", "SAT, eq. (7), PCA",
    ]  # fmt: skip
    assert "an FID and an SVM's share of their own" in told(made, "No network: ")
    assert not [note for note in tab2b.draw(scores("SAT", "eq7-pca")).notes if note.startswith("No network")]


def test_settings_that_rows_share_stand_in_a_note():
    made = tab2b.draw(frame(scores("SAT", "eq7-stepsize0.05-steps200-pca"), scores("SAT", "sgld-pca")))
    assert told(made, "Samplers: ") == "Samplers: eq. (7) is eq7-stepsize0.05-steps200; SGLD is sgld (50 steps)."
    several = tab2b.draw(frame(scores("SAT", "eq7-steps200-pca"), scores("SAT", "eq7-pca")))
    assert several.shown["", "model, method"].tolist() == ["SAT, eq7-steps200, PCA", "SAT, eq7, PCA"]
    assert not [note for note in several.notes if note.startswith("Samplers")]


def test_fewer_images_than_the_papers_are_told():
    few, all_of_them = tab2b.draw(published("a", "eq7-pca")), tab2b.draw(published("a", "eq7-pca", n=50_000))
    assert told(few, "FID of fewer images than the published ones is higher")
    assert not [note for note in all_of_them.notes if "is higher for that" in note]


def test_a_missing_score_is_a_dash_with_its_reason():
    rows = [scores("SAT", "eq7-pca", svm=None, kid=[0.1, None]), scores("TRADES", "eq7-pca", svm=None, is_mean=None)]
    made = tab2b.draw(frame(*rows))
    assert made.shown[DIGITS].loc["TRADES, eq. (7), PCA", ["IS", "SVM"]].tolist() == ["–", "–"]
    assert made.shown[DIGITS].loc["SAT, eq. (7), PCA", ["KID", "SVM"]].tolist() == ["0.100", "–"]
    assert told(made, "No score") == (
        f"No score on digits:train, features of {SPACE}: IS of TRADES, PCA (it takes 10 finite images at least); "
        "KID of SAT, PCA for 1 of 2 seeds (it takes 2 finite images at least); SVM (an SVM is fitted to at most "
        "5,000 real images of at most 1,024 values)."
    )
    inception = tab2b.draw(published("SAT L2", "eq7-pca"))
    assert "intended (the feature network has other classes than the data)" in told(inception, "No score")


def test_a_frame_without_some_columns_has_dashes_there():
    made = tab2b.draw(scores("SAT", "eq7-pca").drop(columns=["left_out", "saturated", "svm"]))
    assert made.shown[DIGITS].loc["SAT, eq. (7), PCA", ["SVM", "seeds"]].tolist() == ["–", "1"]


def test_images_left_out_are_told():
    rows = [scores("SAT", "eq7-pca", left_out=[2, 1], space=space) for space in (SPACE, OTHER)]
    assert told(tab2b.draw(frame(*rows)), "Images left out") == (
        "Images left out because they are NaN: 3 of SAT, PCA (digits:train)."
    )


def test_notes_say_what_the_papers_numbers_say_of_its_starts():
    notes = " ".join(tab2b.draw(published("SAT", "eq7-pca")).notes)
    assert "PCA of Better DM has the same numbers as its row of eq. (7)" in notes
    assert "Gaussian start beats PCA in FID (Linf 64.98 against 97.38, L2 27.71 against 30.74)" in notes


def test_rows_that_seeds_do_not_tell_apart_are_a_tie():
    tied = [scores("SAT", "eq7-pca", fid=LOW), scores("TRADES", "eq7-pca", fid=[20.1, 20.5, 20.9])]
    made = tab2b.draw(frame(*tied, scores("standard", "eq7-pca", fid=HIGH), scores("one", "eq7-pca")))
    assert told(made, "Order, ") == f"Order, {SPACE}: SAT, PCA = TRADES, PCA < standard, PCA; one seed: one, PCA."
    assert told(tab2b.draw(scores("SAT", "eq7-pca")), "Order by FID: none")


def test_numbers_have_one_row_a_block_row_and_measure():
    named = published("SAT L2", "eq7-pca", fid=[45, 46], model_ref=L2 + "Engstrom2019Robustness")
    made = tab2b.draw(frame(named, scores("SAT", "eq7-pca"))).numbers
    assert len(made) == 2 * 11 + 8 * 4
    row = made[(made["row"] == "SAT L2, eq. (7), PCA") & (made["measure"] == "fid")].iloc[0]
    assert row[["mean", "seeds", "images_least", "published", "published_n"]].tolist() == [45.5, 2, 2000, 45.19, 50_000]
    assert row["std"] == pytest.approx(math.sqrt(0.5))
    within = made[(made["row"] == "SAT, eq. (7), PCA") & (made["measure"] == "kid")].iloc[0]
    assert within["within_std"] == ALL["kid_std"]
    alone = made[(made["row"] == "MART, eq. (7)") & (made["measure"] == "kid_paper")].iloc[0]
    assert (alone["published"], alone["seeds"]) == (1.03, 0)


def test_a_frame_without_rows_shows_what_is_published():
    made = tab2b.draw(scores("SAT", "eq7-pca").iloc[:0])
    block = made.shown["cifar10:train, features of inception: published, no scores of ours"]
    assert block.loc["MART, eq. (7)"].tolist() == ["8.11", "66.98", "1.03", "0.20", "50,000"]
    assert all(claim(scores("SAT", "eq7-pca").iloc[:0]).outcome == CANNOT_TELL for claim in tab2b.CLAIMS)


def test_text_fits_a_terminal_and_latex_is_escaped():
    rows = [
        published(model, method, fid=LOW)
        for model in ("SAT L2", "a_model #1")
        for method in ("sgld-random", "eq7-random")
    ]
    made = tab2b.draw(frame(*rows, scores("SAT", "eq7-pca", fid=LOW)))
    assert max(map(len, tabulated.text(made).splitlines())) <= 120
    written = tabulated.latex(made)
    assert "a\\_model \\#1, SGLD, noise & 7.50$\\pm$0.00 & 20.40$\\pm$0.40 &" in written
    assert written.isascii()
    assert not re.search(r"(?<!\\)[%#_~^]", written.split("\n", 1)[1])
    assert pd.DataFrame(made.numbers).shape == (5 * 11 + 9 * 4, 16)
