"""Table 2b from made scores: cells, published numbers in their block alone, notes, claims with known answers."""

import math
import re

import pandas as pd
import pytest
from made_scores import ALL, SPACE, frame, judged, published, scores

from energylens import paths, tabulated
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
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


@pytest.mark.parametrize(
    ("model", "method", "printed"),
    [
        ("Better DM Linf", "sgld-random", ["1.82", "357.21", "11.19", "0.39", "50,000"]),
        ("Better DM Linf", "eq7-gaussian", ["7.18", "64.98", "2.02", "0.18", "50,000"]),
        ("Better DM Linf", "eq7-pca", ["7.66", "97.38", "2.15", "0.20", "50,000"]),
        ("Better DM L2", "sgld-gaussian", ["8.75", "27.71", "0.56", "0.18", "50,000"]),
        ("Better DM L2", "eq7-steps200-pca", ["8.97", "30.74", "0.51", "0.18", "50,000"]),
        ("SAT Linf", "eq7-pca", ["7.96", "72.15", "1.03", "0.21", "50,000"]),
        ("TRADES", "eq7-pca", ["7.19", "72.51", "1.31", "0.22", "50,000"]),
        ("MART", "eq7-pca", ["8.11", "66.98", "1.03", "0.20", "50,000"]),
        ("SAT L2", "eq7-pca", ["8.58", "45.19", "0.49", "0.19", "50,000"]),
        ("SAT L2", "sgld-pca", ["–"] * 5),
        ("SAT L2", "eq7-gaussian", ["–"] * 5),
        ("SAT", "eq7-pca", ["–"] * 5),
    ],
)
def test_published_numbers_stand_beside_model_norm_and_start_that_fit(model, method, printed):
    shown = tab2b.draw(published(model, method)).shown[CIFAR]
    assert shown.loc[f"{model}, {method}"].tolist()[-5:] == printed
    assert list(shown)[-5:] == [
        "published IS", "published FID", "published paper's KID", "published LPIPS", "published n",
    ]  # fmt: skip
    found = [row for row in shown[shown.columns[-5:]].to_numpy().tolist() if row[0] != "–"]
    assert len(found) == len({tuple(row) for row in found}) == 9  # each once, those that nothing fits in rows below


def test_cells_are_means_and_spreads_over_seeds():
    rows = scores("SAT", "eq7-pca", fid=LOW, kid=[0.0123, 0.0125, 0.0127], intended=[0.9, 0.92, 0.94])
    shown = tab2b.draw(frame(rows, scores("TRADES", "sgld-random", fid=357.214, n=10_000))).shown
    block = shown[f"digits:train, features of {SPACE}: 2,000 to 10,000 images, 1,297 real ones"]
    assert block.loc["SAT, eq7-pca"].to_dict() == {
        "IS": "7.50±0.00", "FID": "20.40±0.40", "KID": "0.0125±0.0002",
        "paper's KID (subsets of 10, logits)": "0.800±0.000", "precision": "0.750±0.000", "recall": "0.500±0.000",
        "LPIPS": "0.200±0.000", "nearest / real": "5.00±0.00 / 4.00", "intended": "92.0±2.0", "SVM": "90.0±0.0",
        "images": "2,000", "seeds": "3",
    }  # fmt: skip
    assert block.loc["TRADES, sgld-random"].tolist() == [
        "7.50", "357.21", "0.0125", "0.800", "0.750", "0.500", "0.200", "5.00 / 4.00", "95.00", "90.00", "10,000", "1",
    ]  # fmt: skip


def test_rows_keep_the_frames_order_and_each_space_has_a_block():
    made = [scores(model, method) for model, method in (("b", "sgld-random"), ("a", "eq7-pca"), ("b", "eq7-pca"))]
    shown = tab2b.draw(frame(*made, scores("a", "eq7-pca", space=OTHER))).shown
    assert shown["", "model, method"].tolist() == ["b, sgld-random", "a, eq7-pca", "b, eq7-pca"]
    other = DIGITS.replace(SPACE, OTHER)
    assert list(dict.fromkeys(shown.columns.get_level_values(0))) == ["", DIGITS, other]
    assert shown[other]["FID"].tolist() == ["–", "40.00", "–"]


@pytest.mark.parametrize("elsewhere", [{"space": SPACE}, {"data": "digits"}])
def test_no_published_number_stands_in_a_block_of_other_features_or_data(elsewhere):
    made = tab2b.draw(published("SAT L2", "eq7-pca", **elsewhere))
    assert not [heading for _, heading in made.shown.columns if heading.startswith("published")]
    assert made.shown["", "model, method"].tolist() == ["SAT L2, eq7-pca"]
    note = told(made, "The published numbers are of Inception features on CIFAR-10")
    assert "cannot be compared" in note
    assert "IS / FID / paper's KID / LPIPS: Better DM Linf, random 1.82 / 357.21 / 11.19 / 0.39; " in note
    both = tab2b.draw(frame(published("SAT L2", "eq7-pca", **elsewhere), published("SAT L2", "eq7-pca")))
    titles = {title for title, heading in both.shown.columns if heading == "published IS"}
    assert titles == {CIFAR}
    assert not [note for note in both.notes if note.startswith("The published numbers are of")]


def test_inception_from_a_file_is_inception():
    shown = tab2b.draw(published("SAT L2", "eq7-pca", space="inception (mine.pth)")).shown
    assert "45.19" in shown.loc["SAT L2, eq7-pca"].tolist()


def test_fewer_images_than_the_papers_are_told():
    few, all_of_them = tab2b.draw(published("a", "eq7-pca")), tab2b.draw(published("a", "eq7-pca", n=50_000))
    assert told(few, "FID of fewer images than the published ones is higher")
    assert not [note for note in all_of_them.notes if "is higher for that" in note]


def test_a_missing_score_is_a_dash_with_its_reason():
    rows = [scores("SAT", "eq7-pca", svm=None, kid=[0.1, None]), scores("TRADES", "eq7-pca", svm=None, is_mean=None)]
    made = tab2b.draw(frame(*rows))
    assert made.shown[DIGITS].loc["TRADES, eq7-pca", ["IS", "SVM"]].tolist() == ["–", "–"]
    assert made.shown[DIGITS].loc["SAT, eq7-pca", ["KID", "SVM"]].tolist() == ["0.100", "–"]
    assert told(made, "No score") == (
        f"No score on digits:train, features of {SPACE}: IS of TRADES, eq7-pca (it takes 10 finite images at least); "
        "KID of SAT, eq7-pca for 1 of 2 seeds (it takes 2 finite images at least); SVM (an SVM is fitted to at most "
        "5,000 real images of at most 1,024 values)."
    )
    inception = tab2b.draw(published("SAT L2", "eq7-pca"))
    assert "intended (the feature network has other classes than the data)" in told(inception, "No score")


def test_a_frame_without_some_columns_has_dashes_there():
    made = tab2b.draw(scores("SAT", "eq7-pca").drop(columns=["left_out", "saturated", "svm"]))
    assert made.shown[DIGITS].loc["SAT, eq7-pca", ["SVM", "seeds"]].tolist() == ["–", "1"]


def test_images_left_out_are_told():
    rows = [scores("SAT", "eq7-pca", left_out=[2, 1], space=space) for space in (SPACE, OTHER)]
    assert told(tab2b.draw(frame(*rows)), "Images left out") == (
        "Images left out because they are NaN: 3 of SAT, eq7-pca (digits:train)."
    )


def test_notes_say_what_the_papers_numbers_say_of_its_starts():
    notes = " ".join(tab2b.draw(scores("SAT", "eq7-pca")).notes)
    assert "PCA of Better DM and its row of eq. (7) with the same numbers" in notes
    assert "Gaussian start beats PCA in FID (Linf 64.98 against 97.38, L2 27.71 against 30.74)" in notes


def test_rows_that_seeds_do_not_tell_apart_are_a_tie():
    tied = [scores("SAT", "eq7-pca", fid=LOW), scores("TRADES", "eq7-pca", fid=[20.1, 20.5, 20.9])]
    made = tab2b.draw(frame(*tied, scores("standard", "eq7-pca", fid=HIGH), scores("one", "eq7-pca")))
    assert told(made, "Ranking, ") == (
        f"Ranking, digits:train, features of {SPACE}: SAT, eq7-pca = TRADES, eq7-pca < standard, eq7-pca; one seed, "
        "not ranked: one, eq7-pca."
    )
    assert told(tab2b.draw(scores("SAT", "eq7-pca")), "Ranking by FID: none")


def test_numbers_have_one_row_a_block_row_and_measure():
    made = tab2b.draw(frame(published("SAT L2", "eq7-pca", fid=[45, 46]), scores("SAT", "eq7-pca"))).numbers
    assert len(made) == 2 * 11 + 8 * 4
    row = made[(made["row"] == "SAT L2, eq7-pca") & (made["measure"] == "fid")].iloc[0]
    assert row[["mean", "seeds", "images_least", "published", "published_n"]].tolist() == [45.5, 2, 2000, 45.19, 50_000]
    assert row["std"] == pytest.approx(math.sqrt(0.5))
    within = made[(made["row"] == "SAT, eq7-pca") & (made["measure"] == "kid")].iloc[0]
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
        published(model, method, fid=LOW) for model in ("SAT L2", "a_model #1") for method in tab2b.METHODS["random"]
    ]
    made = tab2b.draw(frame(*rows, scores("SAT", "eq7-pca", fid=LOW)))
    assert max(map(len, tabulated.text(made).splitlines())) <= 120
    written = tabulated.latex(made)
    assert "a\\_model \\#1, sgld-random & 7.50$\\pm$0.00 & 20.40$\\pm$0.40 &" in written
    assert written.isascii()
    assert not re.search(r"(?<!\\)[%#_~^]", written.split("\n", 1)[1])
    assert pd.DataFrame(made.numbers).shape == (5 * 11 + 9 * 4, 14)


@pytest.mark.parametrize(
    ("claim", "better", "worse", "measure", "order"),
    [
        (tab2b.pca_beats_noise, ("SAT", "eq7-pca"), ("SAT", "eq7-random"), "fid", (LOW, HIGH)),
        (tab2b.pca_beats_gaussian_fid, ("SAT", "eq7-pca"), ("SAT", "eq7-gaussian"), "fid", (LOW, HIGH)),
        (tab2b.pca_beats_gaussian_is, ("SAT", "eq7-pca"), ("SAT", "eq7-gaussian"), "is_mean", (HIGH, LOW)),
        (tab2b.eq7_beats_sgld, ("SAT", "eq7-steps9-pca"), ("SAT", "sgld-pca"), "fid", (LOW, HIGH)),
        (tab2b.robust_beats_standard, ("SAT", "eq7-pca"), ("standard-6", "eq7-pca"), "fid", (LOW, HIGH)),
    ],
)
def test_claims(claim, better, worse, measure, order):
    def outcome(first, second):
        return judged(claim, scores(*better, **{measure: first}), scores(*worse, **{measure: second}))

    good, bad = order
    gain = abs(sum(good) - sum(bad)) / 3
    assert outcome(good, bad) == (HOLDS, pytest.approx(gain, abs=1e-3), 6)
    assert outcome(bad, good) == (FAILS, pytest.approx(-gain, abs=1e-3), 6)
    assert outcome(good, good)[0] == CANNOT_TELL
    assert outcome(good[:1], bad[:1]) == (CANNOT_TELL, pytest.approx(abs(good[0] - bad[0])), 2)
    assert judged(claim, scores(*better))[0] == CANNOT_TELL


def test_starts_are_compared_with_one_sampler_where_there_is_one():
    rows = [scores("SAT", "sgld-random", fid=LOW), scores("SAT", "eq7-pca", fid=MIDDLE)]
    assert judged(tab2b.pca_beats_noise, *rows) == (FAILS, -9.833, 6)
    rows.append(scores("SAT", "eq7-random", fid=HIGH))
    assert judged(tab2b.pca_beats_noise, *rows) == (HOLDS, 10.067, 6)
    others = [scores("TRADES", "eq7-random", fid=LOW), scores("standard-6", "eq7-random", fid=LOW)]
    assert judged(tab2b.pca_beats_noise, *rows, *others, scores("standard-6", "eq7-pca", fid=HIGH))[0] == HOLDS


def test_samplers_are_compared_from_one_start_with_one_setting():
    rows = [scores("SAT", "eq7-pca-sigma0.01", fid=LOW), scores("SAT", "sgld-pca", fid=HIGH)]
    assert judged(tab2b.eq7_beats_sgld, *rows)[0] == CANNOT_TELL
    assert judged(tab2b.eq7_beats_sgld, *rows, scores("SAT", "sgld-pca-sigma0.01", fid=HIGH))[0] == HOLDS


def test_one_robust_network_that_is_worse_fails_for_all():
    models = [f"robust{place}" for place in range(6)]
    rows = [scores(model, "eq7-pca", fid=LOW) for model in models] + [scores("standard-6", "eq7-pca", fid=MIDDLE)]
    verdict = tab2b.robust_beats_standard(frame(*rows))
    assert (verdict.outcome, verdict.n) == (HOLDS, 21)
    assert verdict.detail.endswith("6 of 6 better")
    assert judged(tab2b.robust_beats_standard, *rows, scores("robust6", "eq7-pca", fid=HIGH))[0] == FAILS
    assert judged(tab2b.robust_beats_standard, *rows, scores("robust6", "sgld-pca", fid=HIGH))[0] == HOLDS
