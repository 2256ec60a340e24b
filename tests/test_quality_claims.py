"""Claims about scores of images: what they tell, and that they hold in every feature space or not at all."""

from made_scores import SPACE, frame, judged, scores

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict
from energylens.quality_claims import better, of_starts
from energylens.quality_rows import rows

LOW, MIDDLE, HIGH = [20.0, 20.4, 20.8], [30.0, 30.5, 30.2], [40.0, 40.2, 40.7]
OTHER = "demo:standard-10"


def pca_beats_noise(made) -> Verdict:
    return better("PCA beats noise", made, of_starts("pca", "random"))


def test_a_methods_name_is_taken_apart():
    names = ["eq7-pca", "eq7-steps200-local-pca-sigma0.01-seed2", "sgld-random", "drawn"]
    made = rows(frame(*(scores("SAT", name) for name in names)))
    assert made["method"].tolist() == ["eq7-pca", "eq7-steps200-local-pca-sigma0.01", "sgld-random", "drawn"]
    assert made["sampler"].tolist() == ["eq7", "eq7-steps200", "sgld", "drawn"]
    assert made["preset"].tolist() == ["eq7", "eq7", "sgld", "drawn"]
    assert made["start"].tolist() == ["pca", "local-pca", "random", ""]


def test_a_row_told_again_replaces_the_first():
    made = rows(frame(scores("SAT", "eq7-pca", fid=[1, 2]), scores("SAT", "eq7-pca", fid=3)))
    assert sorted(made["fid"]) == [2, 3]


def test_a_claim_tells_space_images_and_numbers():
    verdict = pca_beats_noise(
        frame(scores("SAT", "eq7-pca", n=500, fid=50.0), scores("SAT", "eq7-random", fid=61.5, n=500))
    )
    assert verdict.detail == (
        f"gain in FID; digits:train, features of {SPACE}, 500 images: SAT, eq7-pca 50 against SAT, eq7-random 61.5, "
        "one seed"
    )
    none = pca_beats_noise(scores("SAT", "eq7-pca"))
    assert none.detail == f"gain in FID; digits:train, features of {SPACE}: no such pair"
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
