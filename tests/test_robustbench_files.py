"""RobustBench's files in the nestings that occur; what does not fit is named, and no file runs code unasked."""

import argparse

import numpy as np
import pytest
import torch
from families import built, place

from energylens import models
from energylens.errors import UserError
from energylens.models import robustbench, robustbench_patches

SMALL = "robustbench:cifar10/corruptions/Hendrycks2020AugMix_WRN"
XCIT = "robustbench:cifar10/Linf/Debenedetti2022Light_XCiT-S12"
R50 = "robustbench:imagenet/Linf/Standard_R50"


class Payload:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("reference", [SMALL, XCIT, R50])
def test_a_file_placed_by_hand_runs_no_code(reference, tmp_path):
    path, made = robustbench.file_of(reference, tmp_path), tmp_path / "made"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": {"a.weight": torch.ones(1)}, "more": Payload(made)}, path)
    with pytest.raises(UserError, match=r"wants to run code .*nothing was run"):
        models.load(reference, model_dir=tmp_path)
    assert not made.exists()


NESTINGS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "net": lambda state: {"net": state, "acc": 51.2},
    "list": lambda state: [state],
    "list of both": lambda state: {"state_dict": [state]},
    "wrapped": lambda state: {"net": {f"module.{key}": value for key, value in state.items()}},
    "namespace beside": lambda state: {"state_dict": state, "args": argparse.Namespace(lr=0.1)},
    "numpy beside": lambda state: {"state_dict": state, "best": np.float64(51.2)},
    "numbers among": lambda state: {**state, "epoch": 3},
}


@pytest.fixture(scope="module")
def net():
    return built(SMALL)


@pytest.mark.parametrize("nesting", NESTINGS)
def test_weights_are_found_in_any_nesting(net, nesting, tmp_path):
    place(SMALL, net, tmp_path)
    torch.save(NESTINGS[nesting](net.state_dict()), robustbench.file_of(SMALL, tmp_path))
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(models.load(SMALL, model_dir=tmp_path)(x), net(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.weight": torch.ones(7, 2)}, "does not fit: fc.weight is (7, 2) there, (10, 128) in the network"),
        ({"head.weight": torch.ones(1)}, "has head.weight, which the network has not"),
        ({"fc.bias": None}, "lacks fc.bias"),
        (
            {"fc.bias": None, "head.bias": torch.ones(1)},
            "lacks fc.bias; has head.bias, which the network has not",
        ),
    ],
)
def test_what_does_not_fit_is_named(net, change, message, tmp_path):
    state = {key: value for key, value in (net.state_dict() | change).items() if value is not None}
    place(SMALL, net, tmp_path)
    path = robustbench.file_of(SMALL, tmp_path)
    torch.save(state, path)
    with pytest.raises(UserError) as error:
        models.load(SMALL, model_dir=tmp_path)
    assert str(error.value) == f"{path} {message}; is it the file of {path.stem}?"


def test_robustbenchs_own_choice_of_weights_stays(tmp_path):
    last, best = {"a.weight": torch.ones(1)}, {"a.weight": torch.zeros(1)}
    nested = robustbench_patches.nested
    kireev = nested({"last": last, "best": best}, tmp_path, "Kireev2021Effectiveness_RLAT")
    assert kireev == {"last": last}
    assert nested({"state_dict": last, "state_dict_ema": best}, tmp_path, "Wang2023Better_WRN-28-10") == last
    two = {"model": last, "bn": best}
    assert nested(two, tmp_path, "Bai2023Improving_edm") == two


@pytest.mark.parametrize("reference", [XCIT, R50])
@pytest.mark.parametrize(
    "nesting",
    [
        lambda net: net.state_dict(),
        lambda net: {"state_dict": net.model.state_dict(), "args": argparse.Namespace(lr=0.1)},
        lambda net: {"model": net.model.state_dict()},
    ],
    ids=["with its normalisation", "state_dict", "model"],
)
def test_networks_of_timm_and_torchvision_load_from_the_published_and_from_the_whole_state(
    reference, nesting, tmp_path
):
    net = built(reference)
    path = robustbench.file_of(reference, tmp_path)
    path.parent.mkdir(parents=True)
    torch.save(nesting(net), path)
    x = torch.rand(2, 3, *((224, 224) if reference == R50 else (32, 32)))
    with torch.no_grad():
        torch.testing.assert_close(models.load(reference, model_dir=tmp_path)(x), net(x))


@pytest.mark.parametrize("reference", [XCIT, R50])
def test_a_missing_file_of_timm_or_torchvision_is_told_as_any_other(reference, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    ((path, url),) = robustbench.sources(reference, tmp_path).items()
    with pytest.raises(UserError) as error:
        models.load(reference, model_dir=tmp_path)
    assert f"save {url} as {path}, or pass --model-dir DIR if it is DIR/" in str(error.value)


def test_what_torchvision_says_of_a_file_in_its_name_is_held_against_it(tmp_path, monkeypatch):
    (url,) = robustbench.sources(R50, tmp_path).values()
    assert robustbench._checksum(url) == "sha256:0676ba61"
