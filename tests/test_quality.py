"""Scores against torch-fidelity run by hand, torchmetrics, closed forms, and made features where they are known."""

import numpy as np
import pytest
import torch
from made_pictures import Body, Flat, noise, points, real, saved
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from energylens import data, models
from energylens.errors import UserError
from energylens.models import identity
from energylens.quality import fidelity, measure, pixels


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


class ByHand(FeatureExtractorBase):
    """The same features written out."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)
        self.net = Body()

    def forward(self, x):
        features = 5 * self.net.body(x.float() / 255)
        found = {"features": features, "unbiased": features @ self.net.head.weight.T}
        return tuple(found[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list():
        return "features", "unbiased"


register_feature_extractor("by-hand", ByHand)


def by_hand(folders, **settings) -> dict:
    return calculate_metrics(
        input1=folders[0], input2=folders[1], cuda=False, cache=False, verbose=False, feature_extractor="by-hand",
        feature_layer_isc="unbiased", feature_layer_fid="features", feature_layer_prc="features", **settings,
    )  # fmt: skip


def test_scores_are_torch_fidelitys_of_the_same_images_saved_as_png(tmp_path, monkeypatch, capfd):
    """By hand with `save_cpu_ram` off, as it comes: all distances at once."""
    made, known = noise(40), noise(60, seed=1)
    known[:20] = made[:20]
    found = measure(made, torch.zeros(40, dtype=int), real(known), models.give("by-parts", Body()), batch=7)
    assert capfd.readouterr() == ("", "")
    folders = saved(made, tmp_path / "made"), saved(known, tmp_path / "known")
    monkeypatch.setattr("multiprocessing.cpu_count", lambda: 0)  # it would start workers
    whole = by_hand(folders, isc=True, fid=True, kid=True, prc=True, feature_layer_kid="features", kid_subset_size=40)
    paper = by_hand(folders, kid=True, feature_layer_kid="unbiased", kid_subset_size=10)
    wanted = {
        "is_mean": whole["inception_score_mean"],
        "is_std": whole["inception_score_std"],
        "fid": whole["frechet_inception_distance"],
        "kid": whole["kernel_inception_distance_mean"],
        "kid_std": whole["kernel_inception_distance_std"],
        "precision": whole["precision"],
        "recall": whole["recall"],
        "kid_paper": paper["kernel_inception_distance_mean"],
        "kid_paper_std": paper["kernel_inception_distance_std"],
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    assert wanted["fid"] > 0.0001
    assert (found["space"], found["n"], found["real"], found["kid_subset"]) == ("given:by-parts", 40, 60, 40)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_the_papers_kid_is_torchmetrics_with_subsets_of_ten():
    """Of ten images each there is one subset, so nothing is drawn."""
    from torchmetrics.image.kid import KernelInceptionDistance

    class Unbiased(torch.nn.Module):
        num_features = 4

        def forward(self, x):
            net = Body()
            return (5 * net.body(x.float() / 255)) @ net.head.weight.T

    made, known = noise(10), noise(10, seed=1) // 2
    metric = KernelInceptionDistance(Unbiased(), subsets=1, subset_size=10)
    metric.update(known, real=True)
    metric.update(made, real=False)
    found = measure(made, torch.zeros(10, dtype=int), real(known), models.give("of-ten", Body()))
    assert found["kid_paper"] == pytest.approx(float(metric.compute()[0]), rel=1e-4)
    assert found["kid_paper_std"] == pytest.approx(0, abs=1e-6)


def test_fid_of_two_gaussians_is_the_closed_form():
    """Four independent pixels N(0.4, 0.05) and N(0.6, 0.1): 4 * 0.2^2 + 4 * (0.1 - 0.05)^2."""
    draws = np.random.default_rng(0).standard_normal((2, 4000, 1, 2, 2))
    first, second = (np.uint8(255 * draw + 0.5) for draw in (0.4 + 0.05 * draws[0], 0.6 + 0.1 * draws[1]))
    found = measure(first, np.zeros(4000, int), real(second), models.give("pixels", Flat(4)))
    assert found["fid"] == pytest.approx(4 * 0.04 + 4 * 0.0025, rel=0.03)


def test_precision_and_recall_of_points_on_a_line():
    """Real 0, 10, ..., 90 reach 20 or 30 far; made 1, 11, ..., 41 reach up to 71; five others lie outside."""
    known, made = points(*range(0, 100, 10)), points(1, 11, 21, 31, 41, 200, 201, 202, 203, 204)
    found = measure(made, torch.zeros(10, dtype=int), real(known), models.give("line", Flat(2)))
    assert (found["precision"], found["recall"]) == pytest.approx((0.5, 0.8))


def test_intended_is_the_share_that_the_network_takes_for_the_class():
    made = noise(50, (1, 2, 2))
    net = Flat(4)
    labels = net(made.float() / 255).argmax(1)
    labels[:20] = 1 - labels[:20]
    known = real(noise(20, (1, 2, 2), 1), torch.arange(20) % 2)
    assert measure(made, labels, known, models.give("judging", net))["intended"] == pytest.approx(0.6)


def test_real_features_are_computed_once_and_scores_are_the_same_again(monkeypatch):
    seen: list[int] = []
    read = fidelity.features.read
    monkeypatch.setattr(fidelity.features, "read", lambda net, x: seen.append(len(x)) or read(net, x))
    space, known, labels = models.give("counted", Body()), real(noise(60, seed=1)), torch.zeros(12, dtype=int)
    first = measure(noise(12), labels, known, space)
    assert sum(seen) - 2 == 12 + 60  # two more tell whether the network has features
    seen.clear()
    assert measure(noise(12), labels, known, space) == first
    assert sum(seen) - 2 == 12
    seen.clear()
    measure(noise(12), labels, known.take(50), space)
    assert sum(seen) - 2 == 12 + 50


def test_scores_leave_the_generator_of_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    space = models.give("quiet", Flat(192))
    torch.manual_seed(5)
    measure(noise(12), torch.zeros(12, dtype=int), real(noise(20, seed=1)), space)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("count", "missing"),
    [
        (1, {"is_mean", "is_std", "fid", "kid", "kid_std", "kid_subset", "kid_paper", "kid_paper_std", "precision"}),
        (3, {"is_mean", "is_std", "kid_paper", "kid_paper_std", "precision"}),
        (9, {"is_mean", "is_std", "kid_paper", "kid_paper_std"}),
        (10, set()),
    ],
)
def test_of_too_few_images_a_score_is_none(count, missing):
    found = measure(noise(count), [0] * count, real(noise(20, seed=1)), models.give("few", Body()))
    missing = missing | ({"recall"} if "precision" in missing else set()) | {"svm"}  # one class
    assert {name for name, value in found.items() if value is None} == missing


def test_two_standard_networks_of_the_demo_put_real_digits_before_noise():
    train, test = data.load("digits:train"), pixels.of(data.load("digits:test", samples=200))
    for space in ("demo:standard-14", "demo:standard-10"):
        digits = measure(test.images, test.labels, train, space)
        rubbish = measure(noise(200, (1, 16, 16)), test.labels, train, space)
        for lower in ("fid", "kid", "kid_paper", "lpips", "nearest"):
            assert digits[lower] < rubbish[lower], (space, lower)
        for higher in ("is_mean", "precision", "recall", "intended", "svm"):
            assert digits[higher] > rubbish[higher], (space, higher)
        assert digits["svm"] > 0.95


def test_a_network_does_not_judge_its_own_images():
    net = Body()
    with pytest.raises(UserError) as caught:
        measure(noise(2), [0, 0], real(noise(4)), models.give("own", net), generator=identity.sha(net))
    assert str(caught.value) == (
        "'given:own' made these images, so its own features cannot judge them; take other --features"
    )


def test_arrays_may_be_read_only():
    made, labels = noise(4).numpy(), np.zeros(4, int)
    made.setflags(write=False)
    labels.setflags(write=False)
    assert measure(made[::-1], labels, real(noise(6)), models.give("locked", Body()))["n"] == 4


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (
            noise(2).float(), [0, 0],
            "images to score are float32; give uint8: (255 * images).round() of floats in [0, 1]",
        ),
        (noise(2)[0], [0, 0], "images to score have shape [3, 8, 8]; wanted [N, C, H, W], one at least"),
        (noise(0), [], "images to score have shape [0, 3, 8, 8]; wanted [N, C, H, W], one at least"),
        (
            noise(2, (1, 8, 8)), [0, 0],
            "images to score are [1, 8, 8], those of made:train [3, 8, 8]; take the same size",
        ),
        (noise(2), [0], "labels are int64 of shape [1] for 2 images; give class indices"),
        (noise(2), [0.0, 1.0], "labels are float64 of shape [2] for 2 images; give class indices"),
        (noise(2), ["cat", "dog"], "labels are an array of <U3; give numbers"),
        (noise(2), [0, 7], "label 7 of the images is no class of made:train (0 to 2); take the set of its classes"),
        (noise(2), [0, -1], "label -1 of the images is no class of made:train (0 to 2); take the set of its classes"),
    ],
)  # fmt: skip
def test_images_that_do_not_fit_are_refused_in_one_line(images, labels, told):
    with pytest.raises(UserError) as caught:
        measure(images, labels, real(noise(6), torch.arange(6) % 3), "demo:standard-14")
    assert str(caught.value) == told
