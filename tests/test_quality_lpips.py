"""LPIPS: pairs of one class, a distance worked out by hand, torchmetrics' own, and what is told without AlexNet."""

import math

import pytest
import torch
import torchvision
from made_pictures import Body, noise, real
from torch import nn
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from energylens import models
from energylens.errors import Note, UserError
from energylens.quality import lpips, measure, weights


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """Random weights in the format of torchvision's file, as a cache of torch.hub holds it."""
    path = tmp_path_factory.mktemp("hub") / "hub" / "checkpoints" / weights.ALEXNET.name
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet().state_dict(), path)
    return path


class TwoChannels(nn.Module):
    """At full size (p, 1) for a pixel p, and the mean of both at half the size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 2, 2, bias=False)
        self.linear = nn.Linear(2, 2)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1))
            self.first.bias.copy_(torch.tensor([0.0, 1.0]))
            self.second.weight.copy_(torch.eye(2)[:, :, None, None].expand(2, 2, 2, 2) / 4)

    def forward(self, x):
        return self.linear(self.second(self.first(x)).mean((2, 3)))


def test_black_and_white_are_as_far_apart_as_worked_out_by_hand():
    """(0, 1) and (1, 1) / sqrt(2) are 2 - sqrt(2) apart, at each of two sizes."""
    black = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    found = lpips.unweighted(TwoChannels(), black, black + 255)
    assert float(found.detach()) == pytest.approx(2 * (2 - math.sqrt(2)), rel=1e-5)


def test_of_the_convolutions_at_one_size_the_last_one_counts():
    net = TwoChannels()
    net.again = nn.Conv2d(2, 2, 1)
    net.forward = lambda x: net.linear(net.second(net.again(net.first(x))).mean((2, 3)))
    found = lpips.features.last_of_each_size(net, noise(3, (1, 2, 2)))
    assert len(found) == 2
    torch.testing.assert_close(found[0], net.again(net.first(noise(3, (1, 2, 2)).float() / 255)).detach())


def test_pairs_are_the_ith_images_of_a_class():
    """Class 0: images 1 and 3 with real 0 and 2; class 1: image 0 with real 1; of class 2 there is no real one."""
    ours, theirs = lpips.pairs(torch.tensor([1, 0, 2, 0]), torch.tensor([0, 1, 0, 0, 1]))
    assert list(zip(ours.tolist(), theirs.tolist(), strict=True)) == [(1, 0), (3, 2), (0, 1)]


def test_copies_of_training_images_have_distance_0_and_the_network_is_named():
    known, labels = noise(20), torch.arange(20) % 4
    order = torch.argsort(labels, stable=True)
    found = measure(known[order], labels[order], real(known, labels), models.give("perceptual", Body()), batch=3)
    assert found["lpips"] == 0
    assert found["lpips_space"] == "given:perceptual (unweighted)"
    assert found["nearest"] == 0


def test_with_alexnet_it_is_torchmetrics(alexnet, monkeypatch):
    """Grey images of 32 pixels, repeated to RGB."""
    made, known = noise(6, (1, 32, 32)), noise(6, (1, 32, 32), 1)
    name, distance = lpips.of_alexnet(alexnet)
    monkeypatch.setenv("TORCH_HOME", str(alexnet.parents[2]))  # where torchmetrics looks
    colours = [images.repeat(1, 3, 1, 1).float() / 255 for images in (made, known)]
    wanted = learned_perceptual_image_patch_similarity(*colours, net_type="alex", normalize=True)
    assert float(distance(made, known).mean()) == pytest.approx(float(wanted), rel=1e-5)
    assert float(distance(made, made).abs().max()) == 0
    assert name == f"alexnet ({weights.sha(alexnet)[:8]})"
    assert wanted > 0.001
    found = measure(made, [0] * 6, real(known), models.give("space", nn.Sequential(nn.Flatten(), nn.Linear(1024, 2))))
    assert found["lpips"] == pytest.approx(float(wanted), rel=1e-5)
    assert found["lpips_space"] == name


def test_without_alexnet_a_note_says_what_to_save_where_and_what_is_taken_instead(tmp_path):
    made, known = noise(4, (3, 32, 32)), noise(4, (3, 32, 32), 1)
    with pytest.warns(Note) as caught:
        found = measure(made, [0] * 4, real(known), models.give("instead", Body()))
    place = tmp_path / "home" / "weights" / "alexnet-owt-7be5be79.pth"
    assert [str(one.message) for one in caught] == [
        "AlexNet's file of weights is missing and could not be downloaded ($ENERGYLENS_OFFLINE is set); save "
        f"https://download.pytorch.org/models/alexnet-owt-7be5be79.pth as {place}; until then LPIPS is taken in the "
        "layers of given:instead"
    ]
    assert found["lpips_space"] == "given:instead (unweighted)"
    assert found["lpips"] > 0


def test_a_file_of_other_weights_is_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth holds no weights of torchvision's AlexNet; give alexnet-owt-"):
        lpips.of_alexnet(tmp_path / "other.pth")


def test_a_space_without_convolutions_has_no_lpips():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    found = measure(noise(4), [0] * 4, real(noise(4, seed=1)), models.give("flat", net))
    assert (found["lpips"], found["lpips_space"]) == (None, None)
