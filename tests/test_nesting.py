"""Weights are found wherever the field's code puts them, and nothing in a file is dropped in silence."""

import warnings

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from energylens import models
from energylens.errors import Note, UserError
from energylens.models import architectures
from energylens.models.normalize import Normalize, normalize

ARCH = "small-resnet:width=4"
X = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def fresh(seed: int = 0, arch: str = ARCH) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return architectures.build(arch).eval()


def logits(net: nn.Module, x: torch.Tensor = X) -> torch.Tensor:
    with torch.no_grad():
        return net(x)


def prefixed(prefix: str, state: dict) -> dict:
    return {prefix + key: value for key, value in state.items()}


STATE = fresh().state_dict()
NESTS = {
    "bare": STATE,
    "state_dict": {"state_dict": STATE, "epoch": 3},
    "net": {"net": STATE, "acc": 93.1, "epoch": 3},
    "twice": {"model": {"state_dict": STATE}},
    "any name": {"weights of my network": STATE},
    "a list": [STATE, {"lr": 0.1}, 3],
    "beside an optimizer": {"model": STATE, "optimizer": torch.optim.Adam(fresh().parameters()).state_dict()},
    "module.": {"state_dict": prefixed("module.", STATE)},
    "module.model.": prefixed("module.model.", STATE),
    "_orig_mod.": prefixed("_orig_mod.", STATE),
    "Lightning": {"state_dict": prefixed("net.", STATE), "pytorch-lightning_version": "2.0", "hyper_parameters": {}},
    "a name of its own": {"state_dict": prefixed("backbone.", STATE)},
    "half precision": {key: value.half() if value.is_floating_point() else value for key, value in STATE.items()},
    "numpy arrays": {"model": {key: value.numpy() for key, value in STATE.items()}},
    "averaged alone": {"ema_state_dict": STATE, "epoch": 3},
}


@pytest.mark.parametrize("content", NESTS.values(), ids=NESTS)
def test_weights_are_found(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, logits(fresh()), rtol=0, atol=1e-2 if content is NESTS["half precision"] else 0)


def test_torchs_own_averaged_model(tmp_path):
    torch.save(AveragedModel(fresh(), multi_avg_fn=get_ema_multi_avg_fn(0.9)).state_dict(), tmp_path / "w.pt")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh()))


@pytest.mark.parametrize(
    ("plain", "averaged"),
    [("state_dict", "state_dict_ema"), ("model", "ema"), ("unaveraged_model_state_dict", "averaged_model")],
)
def test_of_both_the_averaged_weights_are_read_and_a_note_says_so(tmp_path, plain, averaged):
    torch.save({plain: fresh(1).state_dict(), averaged: fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.warns(
        Note, match=rf"w.pt holds {plain} and averaged weights, {averaged}, which are read.*part={plain}"
    ):
        found = models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(found), logits(fresh(2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = models.load(f"{tmp_path}/w.pt@{ARCH}:part={plain}")
    assert torch.equal(logits(chosen), logits(fresh(1)))


def test_several_networks_are_refused_until_one_is_named(tmp_path):
    torch.save({"student": fresh(1).state_dict(), "head": fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"holds 2 sets of weights; say which.*part=student, part=head"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=head")), logits(fresh(2)))
    with pytest.raises(UserError, match="has no part 'heads'; it holds student, head"):
        models.load(f"{tmp_path}/w.pt@{ARCH}:part=heads")


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


@pytest.mark.parametrize(
    ("theirs", "asked", "hint"),
    [
        ("wrn-16-2:classes=100", "resnet18", "; it fits @wrn-16-2:classes=100"),
        ("resnet20", "resnet18", "; it fits @resnet20"),
        ("resnet18:classes=200", "resnet18", "in the file.*; it fits @resnet18:classes=200"),
        ("preact-resnet18:bn=false", "preact-resnet18", "; it fits @preact-resnet18:bn=false"),
        ("torchvision/resnet18:classes=7", "resnet18", "; it fits @torchvision/resnet18:classes=7"),
        ("small-resnet:width=8:channels=3", "small-resnet", "; it fits @small-resnet:channels=3:width=8"),
    ],
)
def test_an_error_names_the_nearest_architecture(tmp_path, theirs, asked, hint):
    torch.save({"state_dict": prefixed("module.", fresh(arch=theirs).state_dict())}, tmp_path / "w.pt")
    for reference in (f"{tmp_path}/w.pt@{asked}", f"{tmp_path}/w.pt"):
        with pytest.raises(UserError, match=hint if "@" in reference else hint[-20:]):
            models.load(reference)


def test_a_strangers_network_is_not_forced_into_ours(tmp_path):
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(256, 10)).state_dict(), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"does not fit small-resnet.*; unexpected 1.bias, 1.weight; none of ours"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


def test_keys_of_tradess_wide_resnet_that_nothing_uses_may_be_there(tmp_path):
    state = fresh(arch="wrn-10-1").state_dict()
    torch.save(state | {f"sub_{key}": value for key, value in state.items() if key[:7] == "block1."}, tmp_path / "w.pt")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@wrn-10-1"), x), logits(fresh(arch="wrn-10-1"), x))


def test_safetensors_under_another_name_are_read(tmp_path):
    from safetensors.torch import save_file

    save_file(STATE, tmp_path / "w.pt")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh()))
