"""Table 2c from made scores: published hybrid models, measured rows beside them, claims with known answers."""

import pandas as pd
import pytest
from made_scores import SPACE, frame, judged, published, scores

from energylens import paths, tabulated
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import style

tab2c = paths.load("figures", "tab2c")
LOW, MIDDLE, HIGH = [20.0, 20.4, 20.8], [30.0, 30.5, 30.2], [40.0, 40.2, 40.7]
OTHER = "demo:standard-10"
CIFAR = "cifar10:train, features of inception: 2,000 images, 50,000 real ones"


def test_it_declares_its_interface():
    assert tab2c.__doc__
    assert tab2c.WIDTH in style.WIDTHS_IN
    assert isinstance(tab2c.PAPER, dict)
    assert all(claim.__doc__ for claim in tab2c.CLAIMS)


def test_published_rows_are_the_papers_with_hybrid_models_marked():
    made = tab2c.draw(scores("SAT", "eq7-pca").iloc[:0])
    assert made.shown.to_numpy().tolist() == [
        ["JEM", "hybrid model", "38.4*", "8.76*", "–"],
        ["DRL", "hybrid model", "9.60*", "8.58*", "–"],
        ["JEAT", "hybrid model", "38.24*", "8.80*", "–"],
        ["JEM++", "hybrid model", "37.1*", "8.29*", "–"],
        ["SADA-JEM", "hybrid model", "9.41*", "8.77*", "–"],
        ["M-EBM", "hybrid model", "21.1*", "7.20*", "–"],
        ["PreJEAT", "robust classifier", "56.85", "7.91", "–"],
        ["SAT [43]", "robust classifier", "–", "7.5", "–"],
        ["Ours SAT", "robust classifier", "45.19", "8.58", "50,000"],
        ["Ours Better DM", "robust classifier", "30.74", "8.97", "50,000"],
    ]
    (hybrid,) = [note for note in made.notes if note.startswith("* ")]
    assert "published rows of hybrid models" in hybrid
    assert "replay buffer" in hybrid


L2 = "robustbench:cifar10/L2/"


def test_measured_rows_stand_beside_published_ones_of_their_network():
    rows = [
        published("SAT", "eq7-pca", fid=[60, 61]),
        published("JEAT", "jeat-random", fid=40.25),
        published("preJEAT", "jeat-random", model_ref="demo:sat"),
        published("mine", "eq7-pca", model_ref=L2 + "Engstrom2019Robustness"),
        published("standard", "eq7-pca"),
        published("M-EBM", "jem-random"),
        published("SAT", "none-pca"),
    ]
    shown = tab2c.draw(frame(*rows)).shown
    assert list(shown.columns.get_level_values(1)) == [
        "model, method", "kind", "FID", "IS", "seeds", "published FID", "published IS", "published n",
    ]  # fmt: skip
    cells = shown[CIFAR]
    assert cells.loc["SAT, eq. (7), PCA"].tolist() == ["60.50±0.71", "7.50±0.00", "2", "–", "–", "–"]
    assert cells.loc["mine, eq. (7), PCA"].tolist() == ["40.00", "7.50", "1", "45.19", "8.58", "50,000"]
    assert cells.loc["Ours Better DM"].tolist() == ["–", "–", "–", "30.74", "8.97", "50,000"]
    assert "Ours SAT" not in shown.index
    kinds = shown["", "kind"]
    assert kinds.tolist() == [
        "no network", *["hybrid model"] * 7, *["robust classifier"] * 6, "standard classifier", "classifier",
    ]  # fmt: skip
    assert kinds["JEAT, JEAT's sampler, noise"] == "hybrid model"
    assert kinds["M-EBM, JEM's sampler, noise"] == "classifier"


def test_our_jeat_is_never_beside_the_papers():
    made = tab2c.draw(frame(published("JEAT", "jeat-random", fid=40.25), published("preJEAT", "jeat-random")))
    cells = made.shown[CIFAR]
    assert cells.loc["JEAT, JEAT's sampler, noise"].tolist() == ["40.25", "7.50", "1", "–", "–", "–"]
    assert cells.loc["preJEAT, JEAT's sampler, noise"].tolist()[-3:] == ["–"] * 3
    assert cells.loc["JEAT"].tolist() == ["–", "–", "–", "38.24*", "8.80*", "–"]
    assert cells.loc["PreJEAT", "published FID"] == "56.85"
    measured = cells[cells["FID"] != "–"]
    assert not measured.map(lambda cell: "*" in cell).to_numpy().any()
    assert "our reconstruction (docs/jeat.md)" in " ".join(made.notes)


def test_no_published_number_stands_in_a_block_of_other_features():
    made = tab2c.draw(frame(scores("JEAT", "jeat-random"), scores("SAT", "eq7-pca", fid=None)))
    title = f"digits:train, features of {SPACE}: 2,000 images, 1,297 real ones"
    assert made.shown[title].to_dict("list") == {"FID": ["40.00", "–"], "IS": ["7.50", "7.50"], "seeds": ["1", "1"]}
    assert [note for note in made.notes if note.startswith("The published numbers are of Inception")]
    (reason,) = [note for note in made.notes if note.startswith("No score")]
    assert reason.endswith("FID of SAT, PCA (it takes 2 finite images at least).")


def test_notes_explain_no_score_that_is_not_shown():
    notes = " ".join(tab2c.draw(frame(scores("JEAT", "jeat-random"), scores("SAT", "eq7-pca"))).notes)
    assert not [word for word in ("KID", "precision", "LPIPS", "Nearest", "Intended") if word in notes]
    assert "Better when lower: FID; when higher: IS." in notes


def test_text_fits_a_terminal_and_csv_has_published_numbers(tmp_path):
    ours = published("Ours SAT", "eq7-pca", fid=LOW, model_ref=L2 + "Engstrom2019Robustness")
    made = tab2c.draw(frame(ours, scores("SAT", "eq7-steps200-pca", fid=LOW)))
    assert max(map(len, tabulated.text(made).splitlines())) <= 120
    assert "SAT {[}43{]} & robust classifier & -- & -- & -- & -- & 7.5 & -- \\\\" in tabulated.latex(made)
    read = pd.read_csv(tabulated.save(made, tmp_path / "table.csv"))
    found = read[read["published"].notna()].set_index(["row", "measure"])["published"]
    assert found["Ours SAT, eq7, PCA", "fid"] == 45.19
    assert found["M-EBM", "is_mean"] == 7.20
    assert len(found) == 19  # ten rows of two numbers, one of them without FID


@pytest.mark.parametrize("name", ["SAT", "preJEAT"])
def test_eq7_against_jeats_sampler_on_one_network(name):
    def outcome(first, second, **more):
        named = {"model_sha": "one", "model_ref": "demo:sat"}
        theirs = scores(name, "jeat-random", fid=second, **(named | more))
        return judged(tab2c.our_sampler_beats_prejeat, scores("SAT", "eq7-steps100-pca", fid=first, **named), theirs)

    assert outcome(LOW, HIGH) == (HOLDS, 19.9, 6)
    assert outcome(HIGH, LOW) == (FAILS, -19.9, 6)
    assert outcome(LOW, LOW)[0] == CANNOT_TELL
    assert outcome([20], [40]) == (CANNOT_TELL, 20, 2)
    assert outcome(LOW, HIGH, model_sha="another")[0] == CANNOT_TELL


def test_jeats_sampler_of_unequal_steps_does_not_compare():
    rows = [scores("SAT", "eq7-steps200-pca", fid=LOW), scores("SAT", "jeat-random", fid=HIGH)]
    verdict = tab2c.our_sampler_beats_prejeat(frame(*rows))
    assert verdict.outcome == CANNOT_TELL
    assert "200 and 100 steps do not compare" in verdict.detail


def test_another_network_or_start_says_nothing_of_prejeat():
    rows = [scores("SAT", "eq7-steps100-random", fid=LOW), scores("SAT", "jeat-random", fid=HIGH)]
    rows += [scores("JEAT", "eq7-steps100-pca", fid=LOW), scores("JEAT", "jeat-random", fid=HIGH)]
    assert judged(tab2c.our_sampler_beats_prejeat, *rows)[0] == CANNOT_TELL


def test_the_best_robust_classifier_against_jeat():
    def outcome(best, jeat):
        rows = [scores("SAT", "eq7-pca", fid=HIGH), scores("TRADES", "eq7-pca", fid=best)]
        others = [scores("standard-6", "eq7-pca", fid=[1, 2]), scores("TRADES", "sgld-pca", fid=[1, 2])]
        others += [scores("TRADES", "none-pca", fid=[1, 2])]
        jeats = [scores("JEAT", "jeat-random", fid=jeat), scores("JEAT", "eq7-pca", fid=[1, 2])]
        return judged(tab2c.on_par_with_jeat, *rows, *others, *jeats)

    assert outcome(LOW, MIDDLE) == (HOLDS, pytest.approx(100 * 9.8333 / 30.2333, abs=1e-3), 6)
    assert outcome(MIDDLE, LOW) == (FAILS, pytest.approx(-100 * 9.8333 / 20.4, abs=1e-3), 6)
    assert outcome(LOW, LOW) == (HOLDS, 0, 6)  # Welch's half width is 0.91 of 20.4, twice the level's is 1.2
    assert outcome([22, 22.4, 22.8], LOW)[0] == CANNOT_TELL  # 9.8 % higher
    assert outcome([20], [30])[0] == CANNOT_TELL


def test_the_best_of_many_has_to_be_on_par_by_more():
    ours, jeat = [21.0, 21.6, 22.2], [21.0, 21.5, 21.3]  # half width 1.36 of 21.3: enough for one, not for twenty
    alone = [scores("SAT", "eq7-pca", fid=ours), scores("JEAT", "jeat-random", fid=jeat)]
    assert judged(tab2c.on_par_with_jeat, *alone)[0] == HOLDS
    many = [scores(f"SAT {place}", "eq7-pca", fid=HIGH) for place in range(19)]
    verdict = tab2c.on_par_with_jeat(frame(*alone, *many))
    assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 6)
    assert "SAT, PCA 21.6 (the best of 20) against JEAT, JEAT's sampler, noise 21.27, tie" in verdict.detail
    assert verdict.detail.startswith("gain in FID, percent of theirs")


def test_the_claim_says_whose_jeat_it_is():
    ours, theirs = scores("JEAT", "jeat-random", fid=LOW), scores("JEAT", "images", fid=LOW, model_ref=None)
    sat = scores("SAT", "eq7-pca", fid=LOW)
    reconstruction, own = tab2c.on_par_with_jeat(frame(sat, ours)), tab2c.on_par_with_jeat(frame(sat, theirs))
    assert "on par with our reconstruction of JEAT in FID" in reconstruction.claim
    assert "on par with JEAT in FID" in own.claim
    assert reconstruction.outcome == own.outcome == HOLDS


def test_jeat_is_to_be_met_in_every_feature_space():
    rows = [scores("SAT", "eq7-pca", fid=LOW), scores("JEAT", "jeat-random", fid=HIGH)]
    there = [scores("SAT", "eq7-pca", fid=HIGH, space=OTHER), scores("JEAT", "jeat-random", fid=LOW, space=OTHER)]
    assert judged(tab2c.on_par_with_jeat, *rows, *there)[0] == FAILS
    missing = tab2c.on_par_with_jeat(frame(*rows, there[0]))
    assert missing.outcome == CANNOT_TELL
    assert missing.detail.endswith(f"{OTHER}: no such pair")
