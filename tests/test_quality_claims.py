"""Claims about scores of images: what they tell, and that they hold in every feature space or not at all."""

import pytest
from made_scores import SPACE, frame, judged, scores
from scipy import stats

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict
from energylens.quality_claims import Pair, better, of_starts
from energylens.quality_rows import rows
from energylens.scores import ABOVE, TIE

LOW, MIDDLE, HIGH = [20.0, 20.4, 20.8], [30.0, 30.5, 30.2], [40.0, 40.2, 40.7]
OTHER = "demo:standard-10"


def pca_beats_noise(made) -> Verdict:
    return better("PCA beats noise", made, of_starts("pca", "random"))


def test_a_methods_name_is_taken_apart():
    names = ["eq7-pca", "eq7-steps200-local-pca-sigma0.01-seed2", "sgld-random", "drawn", "jeat-random"]
    made = rows(frame(*(scores("SAT", name) for name in names)))
    assert made["method"].tolist() == [
        "eq7-pca", "eq7-steps200-local-pca-sigma0.01", "sgld-random", "drawn", "jeat-random",
    ]  # fmt: skip
    assert made["sampler"].tolist() == ["eq7", "eq7-steps200", "sgld", "drawn", "jeat"]
    assert made["preset"].tolist() == ["eq7", "eq7", "sgld", "drawn", "jeat"]
    assert made["start"].tolist() == ["pca", "local-pca", "random", "", "random"]
    assert made["place"].tolist() == ["pca", "local-pca-sigma0.01", "random", "drawn", "random"]
    assert made["steps"].fillna(-1).tolist() == [500, 200, 50, -1, 100]
    assert made["label"].tolist() == [
        "SAT, eq7, PCA", "SAT, eq7-steps200, local-pca sigma0.01", "SAT, SGLD, noise", "SAT, drawn",
        "SAT, JEAT's sampler, noise",
    ]  # fmt: skip


def test_settings_that_all_rows_of_a_sampler_share_are_left_out_of_its_name():
    made = rows(frame(*(scores(model, "eq7-stepsize0.05-steps200-pca") for model in ("SAT", "TRADES"))))
    assert made["label"].tolist() == ["SAT, eq. (7), PCA", "TRADES, eq. (7), PCA"]
    assert made["short"].tolist() == ["SAT, PCA", "TRADES, PCA"]


def test_untouched_starts_come_first_and_belong_to_no_network():
    starts = [scores(model, "none-gaussian", fid=[3, 4]) for model in ("SAT", "standard")]
    made = rows(frame(scores("SAT", "eq7-pca"), *starts, scores("standard", "none-pca")))
    assert made["label"].tolist() == [*["no network, Gaussian start"] * 2, "no network, PCA start", "SAT, eq. (7), PCA"]
    assert made["kind"].tolist() == [*["no network"] * 3, "robust classifier"]
    assert made["network"].tolist() == [*["no network"] * 3, "sha-SAT"]


def test_a_row_told_again_replaces_the_first():
    made = rows(frame(scores("SAT", "eq7-pca", fid=[1, 2]), scores("SAT", "eq7-pca", fid=3)))
    assert sorted(made["fid"]) == [2, 3]


def test_a_claim_tells_space_images_and_numbers():
    verdict = pca_beats_noise(
        frame(scores("SAT", "eq7-pca", n=500, fid=50.0), scores("SAT", "eq7-random", fid=61.5, n=500))
    )
    assert verdict.detail == (f"gain in FID; 500 images a row; {SPACE}: SAT, PCA 50 against SAT, noise 61.5, one seed")
    none = pca_beats_noise(scores("SAT", "eq7-pca"))
    assert none.detail == f"gain in FID; {SPACE}: no such pair"
    lost = pca_beats_noise(frame(scores("SAT", "eq7-pca"), scores("SAT", "eq7-random", fid=None)))
    assert (lost.outcome, lost.detail.split(", ")[-1]) == (CANNOT_TELL, "no score")


def test_a_claim_holds_in_every_feature_space_or_not_at_all():
    def both(first, second, **more):
        return [scores("SAT", "eq7-pca", fid=first, **more), scores("SAT", "eq7-random", fid=second, **more)]

    assert judged(pca_beats_noise, *both(LOW, HIGH), *both(MIDDLE, HIGH, space=OTHER)) == (HOLDS, 10.067, 12)
    verdict = pca_beats_noise(frame(*both(LOW, HIGH), *both(HIGH, LOW, space=OTHER)))
    assert verdict.outcome == FAILS
    assert verdict.detail.endswith("; the interval in front is that of 2 comparisons at once")
    assert judged(pca_beats_noise, *both(LOW, HIGH), *both(LOW, LOW, space=OTHER))[:2] == (CANNOT_TELL, 0)
    assert judged(pca_beats_noise, *both(LOW, HIGH), *both([20], [40], space=OTHER))[:2] == (CANNOT_TELL, 20)
    assert judged(pca_beats_noise, *both(LOW, HIGH), scores("SAT", "eq7-pca", space=OTHER))[0] == CANNOT_TELL


def test_networks_of_which_nothing_is_known_are_named_and_left_out():
    mine = [scores("mine", "eq7-pca", fid=HIGH), scores("mine", "eq7-random", fid=LOW)]
    known = [scores("SAT", "eq7-pca", fid=LOW), scores("SAT", "eq7-random", fid=HIGH)]
    verdict = pca_beats_noise(frame(*known, *mine, scores("other", "none-pca")))
    assert verdict.outcome == HOLDS
    assert verdict.detail.endswith("; left out, nothing tells how they were trained: mine")
    assert pca_beats_noise(frame(*mine)).outcome == CANNOT_TELL


def test_a_margin_is_a_share_of_theirs():
    rows_of = rows(
        frame(scores("SAT", "eq7-pca", fid=[104.0, 106.0]), scores("JEAT", "jeat-random", fid=[99.0, 101.0]))
    )
    ours, theirs = rows_of[rows_of["model"] == "SAT"], rows_of[rows_of["model"] == "JEAT"]
    assert Pair(ours, theirs).compared("fid").number == -5
    percent = Pair(ours, theirs, margin=10.0).compared("fid")
    half = stats.t.ppf(0.975, 2) * 2**0.5  # two means of two seeds, variance 2 each
    assert (percent.number, percent.low, percent.high) == pytest.approx((-5, -5 - half, -5 + half))
    assert percent.verdict == TIE
    assert Pair(ours, theirs, margin=12.0).compared("fid").verdict == ABOVE
