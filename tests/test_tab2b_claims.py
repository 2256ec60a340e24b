"""Claims of Table 2b from made scores with known answers: hold, fail, cannot tell."""

import pytest
from made_scores import frame, judged, scores

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

tab2b = paths.load("figures", "tab2b")
LOW, MIDDLE, HIGH = [20.0, 20.4, 20.8], [30.0, 30.5, 30.2], [40.0, 40.2, 40.7]
OTHER = "demo:standard-10"
FID, KID, PRECISION, SVM, TAKEN = tab2b.CLAIMS[5:]


@pytest.mark.parametrize(
    ("claim", "better", "worse", "measure", "order"),
    [
        (tab2b.pca_beats_noise, ("SAT", "eq7-pca"), ("SAT", "eq7-random"), "fid", (LOW, HIGH)),
        (tab2b.pca_beats_gaussian_fid, ("SAT", "eq7-pca"), ("SAT", "eq7-gaussian"), "fid", (LOW, HIGH)),
        (tab2b.pca_beats_gaussian_is, ("SAT", "eq7-pca"), ("SAT", "eq7-gaussian"), "is_mean", (HIGH, LOW)),
        (tab2b.eq7_improves_its_start, ("SAT", "eq7-pca"), ("SAT", "none-pca"), "fid", (LOW, HIGH)),
        (tab2b.eq7_improves_its_start, ("SAT", "eq7-gaussian"), ("x", "none-gaussian"), "fid", (LOW, HIGH)),
        (tab2b.eq7_beats_sgld, ("SAT", "eq7-steps50-pca"), ("SAT", "sgld-pca"), "fid", (LOW, HIGH)),
        (FID, ("SAT", "eq7-pca"), ("standard-6", "eq7-pca"), "fid", (LOW, HIGH)),
        (KID, ("SAT", "eq7-random"), ("standard-6", "eq7-random"), "kid", (LOW, HIGH)),
        (PRECISION, ("SAT", "eq7-pca"), ("standard-6", "eq7-pca"), "precision", (HIGH, LOW)),
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


def test_an_svms_share_is_compared_in_percent():
    def outcome(first, second):
        return judged(SVM, scores("SAT", "eq7-pca", svm=first), scores("standard-6", "eq7-pca", svm=second))

    assert outcome([0.9, 0.92], [0.5, 0.52]) == (HOLDS, 40, 4)
    assert outcome([0.5, 0.52], [0.9, 0.92]) == (FAILS, -40, 4)
    assert outcome([None, None], [0.9, 0.92])[0] == CANNOT_TELL


def test_an_svm_takes_nine_in_ten_of_every_robust_network():
    def outcome(*rows):
        return judged(TAKEN, *rows)

    sat = scores("SAT", "eq7-pca", svm=[0.95, 0.97], n=500)  # 960 of 1,000: Wilson's interval is [0.946, 0.970]
    assert outcome(sat) == (HOLDS, 0.96, 1000)
    verdict = TAKEN(frame(sat, scores("SAT", "none-pca", svm=0.975), scores("SAT", "eq7-pca", n=500, space=OTHER)))
    assert verdict.interval == pytest.approx((0.946, 0.970), abs=1e-3)
    assert verdict.detail == "no network, PCA start 97.5%; SAT, PCA 96.0%"
    assert outcome(sat, scores("TRADES", "eq7-pca", svm=0.87)) == (FAILS, 0.87, 2000)  # [0.855, 0.884]
    assert outcome(sat, scores("TRADES", "eq7-pca", svm=0.9)) == (CANNOT_TELL, 0.9, 2000)
    assert outcome(sat, scores("TRADES", "eq7-random", svm=0.1), scores("standard", "eq7-pca", svm=0.1))[0] == HOLDS
    assert outcome(scores("SAT", "eq7-pca", svm=None))[0] == CANNOT_TELL


def test_starts_are_compared_with_one_and_the_same_sampler():
    rows = [scores("SAT", "sgld-random", fid=HIGH), scores("SAT", "eq7-pca", fid=MIDDLE)]
    rows.append(scores("SAT", "eq7-steps200-random", fid=HIGH))
    assert judged(tab2b.pca_beats_noise, *rows)[0] == CANNOT_TELL
    rows.append(scores("SAT", "eq7-random", fid=HIGH))
    assert judged(tab2b.pca_beats_noise, *rows) == (HOLDS, 10.067, 6)
    others = [scores("TRADES", "eq7-random", fid=LOW), scores("standard-6", "eq7-random", fid=LOW)]
    assert judged(tab2b.pca_beats_noise, *rows, *others, scores("standard-6", "eq7-pca", fid=HIGH))[0] == HOLDS


def test_samplers_are_compared_from_one_start_with_one_setting():
    rows = [scores("SAT", "eq7-steps50-pca-sigma0.01", fid=LOW), scores("SAT", "sgld-pca", fid=HIGH)]
    assert judged(tab2b.eq7_beats_sgld, *rows)[0] == CANNOT_TELL
    assert judged(tab2b.eq7_beats_sgld, *rows, scores("SAT", "sgld-pca-sigma0.01", fid=HIGH))[0] == HOLDS


def test_samplers_of_unequal_steps_do_not_compare():
    rows = [scores("SAT", "eq7-pca", fid=LOW), scores("SAT", "sgld-pca", fid=HIGH)]
    verdict = tab2b.eq7_beats_sgld(frame(*rows))
    assert verdict.outcome == CANNOT_TELL
    assert "SAT, SGLD, PCA 40.3, but 500 and 50 steps do not compare" in verdict.detail
    assert judged(tab2b.eq7_beats_sgld, *rows, scores("SAT", "sgld-steps500-pca", fid=HIGH))[0] == HOLDS


def test_an_untouched_start_is_no_network_of_other_claims():
    rows = [scores("SAT", "none-pca", fid=LOW), scores("SAT", "none-random", fid=HIGH)]
    rows += [scores("standard-6", "none-pca", fid=HIGH)]
    assert {claim(frame(*rows)).outcome for claim in tab2b.CLAIMS} == {CANNOT_TELL}


def test_one_robust_network_that_is_worse_fails_for_all():
    models = [f"SAT {place}" for place in range(6)]
    rows = [scores(model, "eq7-pca", fid=LOW) for model in models] + [scores("standard-6", "eq7-pca", fid=MIDDLE)]
    verdict = FID(frame(*rows))
    assert (verdict.outcome, verdict.n) == (HOLDS, 21)
    assert "6 of 6 better, the least SAT 0, PCA 20.4 against standard-6, PCA 30.23, better" in verdict.detail
    assert judged(FID, *rows, scores("TRADES", "eq7-pca", fid=HIGH))[0] == FAILS
    assert judged(FID, *rows, scores("TRADES", "sgld-pca", fid=HIGH))[0] == HOLDS
    assert judged(FID, *rows, scores("standard-10", "eq7-pca", fid=LOW))[0] == CANNOT_TELL
