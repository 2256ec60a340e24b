"""Normalisations and copies that the field's classes put around a network are understood, or refused by name."""

import pytest
import torch
from made_checkpoints import ARCH, X, fresh, logits, prefixed
from torch import nn

from energylens import models
from energylens.errors import UserError
from energylens.models import wrappers
from energylens.models.normalize import Normalize, normalize

STATE = fresh().state_dict()
MEAN, STD = torch.tensor([0.3]), torch.tensor([0.2])


@pytest.mark.parametrize(
    "content",
    [
        {"normalize.mean": MEAN, "normalize.std": STD} | prefixed("model.", STATE),
        {"0.mean": MEAN.view(1, 1, 1), "0.std": STD.view(1, 1, 1)} | prefixed("1.", STATE),
        {"module.mu": MEAN.view(1, 1, 1, 1), "module.sigma": STD.view(1, 1, 1, 1)} | prefixed("module.", STATE),
        {"mean": MEAN, "std": STD} | STATE,
        nn.Sequential(Normalize(MEAN, STD), fresh()).state_dict(),
    ],
    ids=["normalize.", "Sequential", "mu and sigma", "beside the keys", "ours"],
)
def test_the_normalisation_of_a_file_is_applied(tmp_path, content):
    torch.save({"state_dict": content}, tmp_path / "w.pt")
    net = models.load(f"{tmp_path}/w.pt@{ARCH}")
    torch.testing.assert_close(logits(net), logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="brings its own normalisation; leave out normalize=half"):
        models.load(f"{tmp_path}/w.pt@{ARCH}:normalize=half")


def test_a_normalisation_can_be_named(tmp_path):
    torch.save(STATE, tmp_path / "w.pt")
    named = models.load(f"{tmp_path}/w.pt@{ARCH}:normalize=half")
    torch.testing.assert_close(logits(named), logits(fresh(), 2 * X - 1), rtol=1e-5, atol=1e-5)
    numbers = models.load(f"{tmp_path}/w.pt@{ARCH}:normalize=0.3/0.2")
    torch.testing.assert_close(logits(numbers), logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagnet", "unknown normalize 'imagnet'; did you mean 'imagenet'"),
        ("a/b", "write numbers"),
        ("0.5/0", "above 0"),
        ("0.5,0.5/0.5", "as many standard deviations"),
    ],
)
def test_mistakes_of_a_normalisation_are_named(text, message):
    with pytest.raises(UserError, match=message):
        normalize(text)


NAMES = [("mu", "std"), ("mean", "sigma"), ("means", "sds"), ("new_mean", "new_std"), ("pixel_mean", "pixel_std")]
NAMES += [
    ("input_mean", "input_std"),
    ("image_mean", "image_std"),
    ("mean_", "std_"),
    ("_mean", "_std"),
    ("Mean", "Std"),
]


PLACES = [("", ""), ("", "model."), ("normalizer.", "model."), ("module.0.", "module.1.")]


@pytest.mark.parametrize(("mean", "std"), NAMES)
@pytest.mark.parametrize(("place", "net"), PLACES)
def test_a_normalisation_has_many_names(tmp_path, mean, std, place, net):
    torch.save({"state_dict": {place + mean: MEAN, place + std: STD} | prefixed(net, STATE)}, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    torch.testing.assert_close(found, logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "front",
    [
        {"mean": MEAN.view(1, 1, 1).expand(1, 16, 16).clone(), "std": STD.view(1, 1, 1).expand(1, 16, 16).clone()},
        {"a.mean": MEAN, "a.std": STD, "b.mean": MEAN, "b.std": STD},
    ],
    ids=["at the size of the image", "two that are equal"],
)
def test_a_normalisation_may_be_repeated(tmp_path, front):
    torch.save({"state_dict": front | prefixed("model.", STATE)}, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    torch.testing.assert_close(found, logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)


def robustness(attackers: dict) -> dict:
    """What MadryLab's `robustness` saves: network and normalisation twice."""
    front = {"module.normalizer.new_mean": MEAN.view(1, 1, 1), "module.normalizer.new_std": STD.view(1, 1, 1)}
    again = {key.replace("normalizer", "attacker.normalize"): value for key, value in front.items()}
    state = prefixed("module.model.", STATE) | prefixed("module.attacker.model.", attackers) | front | again
    return {"model": state, "optimizer": {}, "schedule": None, "epoch": 105, "amp": None}


def test_madrylabs_checkpoints_are_read(tmp_path):
    torch.save(robustness(STATE), tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    torch.testing.assert_close(found, logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)


def test_an_attacker_with_other_weights_is_not_dropped(tmp_path):
    torch.save(robustness(fresh(1).state_dict()), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"does not fit.*unexpected .*attacker"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([76.5], [51.0], r"\(mean 76.5, std 51\) is not one for images in \[0, 1\]; write FILE.py:FUNCTION"),
        ([0.3], [5.0], r"\(mean 0.3, std 5\) is not one for images"),
        ([0.3], [0.0], r"std 0\) is not one for images"),
        ([float("nan")], [0.2], r"mean not a number, std 0.2"),
        ([0.3] * 3, [0.2] * 3, "is not one for 1 channels"),
    ],
    ids=["0 to 255", "reciprocal", "zero", "not a number", "of other channels"],
)
def test_a_normalisation_for_other_images_is_refused(tmp_path, mean, std, message):
    front = {"normalize.mean": torch.tensor(mean), "normalize.std": torch.tensor(std)}
    torch.save(front | prefixed("model.", STATE), tmp_path / "w.pt")
    with pytest.raises(UserError, match=message):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.5), (0.0, 1.0)])
def test_usual_normalisations_are_taken(tmp_path, mean, std):
    torch.save({"mean": torch.tensor([mean]), "std": torch.tensor([std])} | STATE, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    torch.testing.assert_close(found, logits(fresh(), (X - mean) / std), rtol=1e-5, atol=1e-5)


def test_a_mean_whose_deviation_is_unknown_is_not_dropped(tmp_path):
    torch.save({"n.mean": MEAN, "n.var": STD} | prefixed("model.", STATE), tmp_path / "w.pt")
    for part in ("", ":part=model"):
        with pytest.raises(UserError, match=r"does not fit.*unexpected.*mean"):
            models.load(f"{tmp_path}/w.pt@{ARCH}{part}")


def test_a_part_keeps_the_normalisation_beside_it(tmp_path):
    front = {"normalize.mean": MEAN, "normalize.std": STD}
    torch.save(front | prefixed("net.", STATE) | {"loss.weight": torch.ones(10)}, tmp_path / "w.pt")
    with pytest.warns(UserWarning, match="part=net leaves out loss.weight$"):
        found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=net"))
    torch.testing.assert_close(found, logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)


def strided(shape: tuple, strides: tuple) -> torch.Tensor:
    return torch.full((6,), 0.3).as_strided(shape, strides)


ENDLESS = {
    "channels and columns": ((3, 2, 5 * 10**12), (2, 1, 0)),
    "rows and columns": ((1, 10**6, 10**6), (1, 0, 0)),
    "channels": ((10**12, 1, 1), (0, 1, 1)),
    "no pixels": ((10**12,), (0,)),
}


@pytest.mark.parametrize(("shape", "strides"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("where", ["mean", "attacker.linear.bias", "net.linear.bias", "linear.weight"])
def test_a_view_without_end_is_refused_before_it_is_copied(tmp_path, shape, strides, where):
    extra = {where: strided(shape, strides), "std": MEAN, "linear.bias": strided(shape, strides)}
    torch.save(prefixed("net.", STATE) | extra, tmp_path / "w.pt")
    for reference in (f"{tmp_path}/w.pt@{ARCH}", f"{tmp_path}/w.pt"):
        with pytest.raises(UserError, match=r"w.pt: \S+ of shape .* repeats numbers that are stored once"):
            models.load(reference)


def test_a_mean_of_other_numbers_in_each_row_is_none_however_often_it_repeats():
    rows = torch.arange(6.0).as_strided((3, 2, 5 * 10**12), (2, 1, 0))
    assert wrappers.normalisation({"mean": rows, "std": STD})[0] is None
    overlapping = torch.arange(6.0).as_strided((1, 3, 2), (1, 1, 1))
    assert wrappers.normalisation({"mean": overlapping, "std": STD})[0] is None


def test_a_mean_that_was_expanded_to_the_image_is_stored_once_and_applied(tmp_path):
    front = {"mean": MEAN.view(1, 1, 1).expand(1, 16, 16), "std": STD.view(1, 1, 1).expand(1, 16, 16)}
    torch.save({"state_dict": front | prefixed("model.", STATE)}, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    torch.testing.assert_close(found, logits(fresh(), (X - 0.3) / 0.2), rtol=1e-5, atol=1e-5)
