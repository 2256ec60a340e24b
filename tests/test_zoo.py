"""The demo zoo is what it says."""

import pytest

from energylens import data, models
from energylens.attacks import PGD
from energylens.claims import wilson
from energylens.models import files
from energylens.train import zoo


@pytest.mark.parametrize("name", list(zoo.ZOO))
def test_zoo_networks_say_how_they_were_made(name):
    objective, depth, settings = zoo.ZOO[name]
    about = files.metadata(models.demo(name))
    assert about["objective"] == objective
    assert about["arch"] == f"small-resnet:depth={depth}"
    assert {key: about[key] for key in ("eps", "epochs", "seed", "lr")} == {
        key: getattr(settings, key) for key in ("eps", "epochs", "seed", "lr")
    }
    assert about["test_images"] == 500


def test_zoo_is_small():
    assert sum(path.stat().st_size for path in models.ZOO.glob("*.safetensors")) < 3_000_000
    assert {path.stem for path in models.ZOO.glob("*.safetensors")} == set(zoo.ZOO)
    assert len(zoo.ZOO) >= 8


def robust(name: str, eps: float) -> int:
    """How many of the 500 test images stay right under PGD-20."""
    x, y, index = data.load("digits:test").batch(0, 500)
    net = models.load(f"demo:{name}")
    return int((net(PGD(eps=eps)(net, x, y, index=index)).argmax(1) == y).sum())


def test_robust_networks_stand_30_points_above_the_standard_one():
    standard = robust("standard-6", 0.2)
    for name in ("sat", "trades", "weat-nat", "weat-adv", "jeat"):
        correct = robust(name, files.metadata(models.demo(name))["eps"])
        assert correct - standard >= 150, (name, correct, wilson(correct, 500))
        assert wilson(correct, 500)[0] > wilson(standard, 500)[1] + 0.25, name
        assert correct / 500 == pytest.approx(files.metadata(models.demo(name))["pgd20_accuracy"], abs=0.01)


@pytest.mark.slow
def test_zoo_can_be_trained_again(tmp_path):
    """The same seeds give networks of the same accuracy; equal bits are promised on one machine only."""
    zoo.build(tmp_path, say=lambda line: None)
    for name in zoo.ZOO:
        old, new = (files.metadata(path) for path in (models.demo(name), tmp_path / f"{name}.safetensors"))
        assert new["clean_accuracy"] == pytest.approx(old["clean_accuracy"], abs=0.03)
        assert new["pgd20_accuracy"] == pytest.approx(old["pgd20_accuracy"], abs=0.06)
