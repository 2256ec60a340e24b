"""Feature spaces: which layer of a network, Inception by path or from a cache, and what is told without network."""

import dataclasses

import pytest
import torch
from made_pictures import Body, inception, noise, real, saved
from torch import nn
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from energylens import models
from energylens.downloads import Unavailable
from energylens.errors import UserError
from energylens.quality import features, fidelity, measure, pixels, spaces, weights


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return inception(tmp_path_factory.mktemp("weights") / "mine.pth")


def opened(reference, images, weights=None):
    return spaces.opened(reference, images, model_dir=None, trust=False, weights=weights)


def test_features_are_what_the_last_linear_layer_reads():
    net, x = Body(), noise(3)
    found = features.read(net, x)
    read = 5 * net.body(x.float() / 255)
    torch.testing.assert_close(found["penultimate"], read)
    torch.testing.assert_close(found["logits"], 3 * (read @ net.head.weight.T + net.head.bias))
    torch.testing.assert_close(found["logits_unbiased"], read @ net.head.weight.T)


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8)

    def forward(self, x):
        return self.conv(x).flatten(1)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x):
        return self.linear(x.mean(1)).mean(1)


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (NoLinear(), "it runs no nn.Linear, of which the features are the input"),
        (Tokens(), "its last nn.Linear reads [2, 8, 8], not one row of features an image"),
    ],
)
def test_a_network_without_such_a_layer_is_no_feature_space(net, why):
    with pytest.raises(UserError) as caught:
        opened(models.give("odd", net), real(noise(4)))
    assert str(caught.value) == (
        f"'given:odd' is no feature space: {why}; take --features demo:standard-14, or any standard network: "
        "--features nets.py:resnet20_std"
    )


def test_a_network_for_images_of_another_size_says_so():
    with pytest.raises(UserError, match=r"model 'demo:standard-14' cannot read made's \[3, 8, 8\] images"):
        measure(noise(2), [0, 0], real(noise(4)), "demo:standard-14")


def test_inception_offline_says_what_to_save_where_and_what_is_at_hand(tmp_path):
    with pytest.raises(Unavailable) as caught:
        measure(noise(2), [0, 0], real(noise(4)), "inception")
    place = tmp_path / "home" / "weights" / "weights-inception-2015-12-05-6726825d.pth"
    assert str(caught.value) == (
        "Inception's file of weights is missing and could not be downloaded ($ENERGYLENS_OFFLINE is set); save "
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth "
        f"as {place}; or take features that are at hand: --features demo:standard-14, or any standard network: "
        "--features nets.py:resnet20_std"
    )


def test_the_address_is_torch_fidelitys():
    assert weights.INCEPTION.url == URL_INCEPTION_V3
    assert weights.INCEPTION.digits == "6726825d"
    assert weights.ALEXNET.digits == "7be5be79"


def test_weights_are_looked_for_in_both_caches(tmp_path):
    for folder in (tmp_path / "home" / "weights", tmp_path / "torch" / "hub" / "checkpoints"):
        folder.mkdir(parents=True)
        file = folder / weights.ALEXNET.name
        file.touch()
        assert weights.ALEXNET.find(None) == file
    with pytest.raises(UserError, match=r"^no such file: gone.pth; download https://.* and give where it lies$"):
        weights.ALEXNET.find(tmp_path.__class__("gone.pth"))


def test_another_file_of_weights_is_named_by_its_number(file):
    found = opened("inception", real(noise(4)), file)
    assert found.name == f"inception ({weights.sha(file)[:8]})"
    assert weights.INCEPTION.label("6726825d" + "0" * 56) == "inception"


def test_a_file_that_holds_no_weights_of_inception_is_refused(tmp_path):
    page, other = tmp_path / "page.pth", tmp_path / "other.pth"
    page.write_text("<html>")
    torch.save({"fc.weight": torch.zeros(1)}, other)
    with pytest.raises(UserError, match=r"page\.pth cannot be read as weights of Inception .*; is it whole\?$"):
        measure(noise(2), [0, 0], real(noise(4)), "inception", inception=page)
    with pytest.raises(UserError, match=r"other\.pth holds no weights of torch-fidelity's Inception"):
        opened("inception", real(noise(4)), other)


def by_hand(made, known, tmp_path, file, layer, **settings) -> dict:
    """torch-fidelity on folders of grey PNG, which it reads as RGB."""
    return calculate_metrics(
        input1=saved(made, tmp_path / "made"), input2=saved(known, tmp_path / "known"), cuda=False, cache=False,
        verbose=False, isc=True, fid=True, kid=True, prc=True, feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(file), feature_layer_fid=layer, feature_layer_kid=layer,
        feature_layer_prc=layer, kid_subset_size=12, save_cpu_ram=True, **settings,
    )  # fmt: skip


def check(found, wanted) -> None:
    assert found["is_mean"] == pytest.approx(wanted["inception_score_mean"], rel=1e-4)
    assert found["fid"] == pytest.approx(wanted["frechet_inception_distance"], rel=1e-3)
    assert found["kid"] == pytest.approx(wanted["kernel_inception_distance_mean"], rel=1e-3, abs=1e-6)
    assert found["precision"] == pytest.approx(wanted["precision"])
    assert found["recall"] == pytest.approx(wanted["recall"])
    assert found["intended"] is None


def test_inceptions_scores_of_grey_images_are_torch_fidelitys(tmp_path, monkeypatch, file):
    """Small images within the network and an early layer, so that it is quick."""
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 75)
    made, known = noise(12, (1, 8, 8)), noise(14, (1, 8, 8), 1) // 2
    space = dataclasses.replace(opened("inception", real(known), file), layer="192")
    found = fidelity.scores(pixels.Images(made, torch.zeros(12)), pixels.of(real(known)), space)
    check(found, by_hand(made, known, tmp_path, file, "192"))


@pytest.mark.slow
def test_inceptions_scores_are_torch_fidelitys_with_its_usual_layers(tmp_path, file):
    made, known = noise(12, (1, 8, 8)), noise(14, (1, 8, 8), 1) // 2
    found = measure(made, [0] * 12, real(known), "inception", inception=file)
    check(found, by_hand(made, known, tmp_path, file, "2048"))
    assert found["lpips"] is None


def test_features_of_one_file_of_weights_are_not_taken_for_anothers(tmp_path, monkeypatch, file):
    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 75)
    changed = torch.load(file, weights_only=True)
    changed["Conv2d_2a_3x3.conv.weight"] *= -1
    torch.save(changed, tmp_path / "other.pth")
    made, known = pixels.Images(noise(4, (1, 8, 8)), torch.zeros(4)), pixels.of(real(noise(6, (1, 8, 8), 1)))

    def fid(path, home) -> float:
        monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / home))
        space = dataclasses.replace(opened("inception", real(noise(2)), path), layer="64")
        return fidelity.scores(made, known, space)["fid"]

    first, other = fid(file, "home"), fid(tmp_path / "other.pth", "home")
    assert other == fid(tmp_path / "other.pth", "fresh")
    assert other != pytest.approx(first, rel=0.01)
