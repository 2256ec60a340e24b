"""References become classifiers; files cannot run code; what is wrong is told in one line."""

import json
import os
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from energylens import models
from energylens.errors import UserError
from energylens.models import architectures
from energylens.references import named, public

ARCH = "small-resnet:depth=6:width=4"


def fresh(arch: str = ARCH) -> nn.Module:
    torch.manual_seed(0)
    net = architectures.build(arch).eval()
    for buffer in net.buffers():  # running statistics that matter
        buffer.copy_(torch.rand_like(buffer.float()) + 0.5)
    return net


def assert_same_logits(one: nn.Module, other: nn.Module):
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(x), rtol=0, atol=1e-6)


class Payload:
    """A pickle that would create a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
    ],
    ids=["bare", "state_dict", "module."],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_state_dicts_with_a_named_architecture(tmp_path, wrap, zipped):
    net, path = fresh(), tmp_path / "w@1.pt"
    torch.save(wrap(net.state_dict()), path, _use_new_zipfile_serialization=zipped)
    loaded = models.load(f"{path}@{ARCH}")
    assert not loaded.training
    assert_same_logits(net, loaded)


def test_reads_own_checkpoints_by_their_metadata(tmp_path):
    net = fresh()
    save_file(net.state_dict(), tmp_path / "best.safetensors", {"energylens": json.dumps({"arch": ARCH})})
    assert_same_logits(net, models.load(f"{tmp_path}/best.safetensors"))
    assert_same_logits(net, models.load(f"{tmp_path}/best.safetensors@{ARCH}"))


def test_reads_a_users_python_file_and_an_installed_module(toy_net, monkeypatch):
    path = toy_net(name="energylens_test_nets.py")
    from_file = models.load(f"{path}:toy")
    monkeypatch.syspath_prepend(str(path.parent))
    from_module = models.load("energylens_test_nets:toy")
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(from_file(x), from_module(x))
    sys.modules.pop("energylens_test_nets")


@pytest.mark.parametrize(
    ("reference", "name", "stored"),
    [
        ("demo:sat", "sat", "demo:sat"),
        ("SAT=demo:sat", "SAT", "demo:sat"),
        ("robustbench:cifar10/Linf/Standard", "Standard", "robustbench:cifar10/Linf/Standard"),
        ("robustbench:cifar10/LINF/Standard", "Standard", "robustbench:cifar10/Linf/Standard"),
        ("../zoo/nets.py:toy", "toy", "nets.py:toy"),
        ("runs/x.pt@resnet18:classes=10", "x", "x.pt@resnet18:classes=10"),
        ("My net (1)=a/b.pth@resnet18:classes=10", "My net (1)", "b.pth@resnet18:classes=10"),
        ("runs/weat/best.safetensors", "weat", "weat/best.safetensors"),
        ("package.module:net", "net", "package.module:net"),
    ],
)
def test_names_and_stored_references(reference, name, stored):
    assert named(reference)[0] == name
    assert public(reference) == stored


def test_two_models_under_one_name_are_refused():
    with pytest.raises(UserError, match="two models are called 'sat': demo:sat and demo:trades; name one"):
        models.prepare(("demo:sat", "sat=demo:trades"))


def test_a_file_without_batchnorms_counters_fits(tmp_path):
    """Files from before torch 0.4.1 have none."""
    state = {key: value for key, value in fresh().state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pt")
    assert_same_logits(fresh(), models.load(f"{tmp_path}/old.pt@{ARCH}"))


def bad(tmp_path, content) -> str:
    path = tmp_path / "w.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    return f"{path}@{ARCH}"


def truncated(tmp_path) -> bytes:
    torch.save(fresh().state_dict(), tmp_path / "whole.pt")
    return (tmp_path / "whole.pt").read_bytes()[:5000]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda tmp: "demo:trade", "unknown demo network 'trade'; did you mean 'trades'? available: jeat, sat"),
        (lambda tmp: "nonsense", "'nonsense' is no model reference; write demo:NAME"),
        (lambda tmp: "no.such.module:net", "cannot import 'no.such.module' of model no.such.module:net"),
        (lambda tmp: "json:lods", "unknown function in json 'lods'; did you mean 'loads'?"),
        (lambda tmp: f"{tmp}/no.py:net", "no such file"),
        (lambda tmp: f"{tmp}/no.pt@resnet18", "no such checkpoint"),
        (
            lambda tmp: "no/sat-cifar10-resnet18-0/last.safetensors",
            "resnet18-0/last.safetensors; train it: python -m energylens.train sat --data cifar10 --arch resnet18",
        ),
        (lambda tmp: bad(tmp, {}).replace("small-resnet", "smal-resnet"), "holds dict, not a state dict"),
        (
            lambda tmp: bad(tmp, fresh().state_dict()).replace("small-resnet", "smal-resnet"),
            "did you mean 'small-resnet'",
        ),
        (lambda tmp: bad(tmp, fresh().state_dict()).replace("width", "with"), "did you mean 'width'"),
        (lambda tmp: bad(tmp, fresh().state_dict()).replace("depth=6", "depth=7"), "depth must be 4n + 2"),
        (lambda tmp: bad(tmp, b""), "is empty"),
        (lambda tmp: bad(tmp, b"<!DOCTYPE html>quota exceeded"), "is a web page, not a checkpoint"),
        (lambda tmp: bad(tmp, b"PK\x03\x04 nothing else"), "cannot be read as a checkpoint"),
        (lambda tmp: bad(tmp, truncated(tmp)), "cannot be read as a checkpoint"),
        (lambda tmp: bad(tmp, [1, 2]), "holds list, not a state dict; save model.state_dict()"),
        (lambda tmp: bad(tmp, fresh().state_dict()).split("@")[0], "alone is no model reference; write"),
        (
            lambda tmp: bad(tmp, {"conv1.weight": torch.zeros(1)}),
            "missing bn1.bias, bn1.running_mean, bn1.running_var and",
        ),
        (
            lambda tmp: bad(tmp, fresh(ARCH.replace("4", "8")).state_dict()),
            "conv1.weight is (8, 1, 5, 5) in the file, (4, 1, 5, 5) in the network",
        ),
        (
            lambda tmp: bad(tmp, fresh().state_dict() | {"extra": torch.zeros(1)}),
            "missing nothing; unexpected extra",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, make, text):
    with pytest.raises(UserError) as error:
        models.load(make(tmp_path))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_unless_trusted(tmp_path, zipped):
    trace, path = tmp_path / "it-ran", tmp_path / "w.pt"
    torch.save(
        {"state_dict": fresh().state_dict(), "note": Payload(trace)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UserError, match=r"wants to run code .*mkdir.* --trust-checkpoint"):
        models.load(f"{path}@{ARCH}")
    assert not trace.exists()
    models.load(f"{path}@{ARCH}", trust=True)
    assert trace.exists()


def test_a_bare_pickle_runs_no_code(tmp_path):
    trace, path = tmp_path / "it-ran", tmp_path / "w.pt"
    path.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(UserError, match=r"w\.pt"):
        models.load(f"{path}@{ARCH}")
    assert not trace.exists()


def test_broken_safetensors_are_named(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        models.load(str(path))
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="does not say its architecture"):
        models.load(str(path))


def test_a_user_function_that_returns_no_network_is_named(tmp_path):
    (tmp_path / "n.py").write_text("def net():\n    return 3\ndef fails():\n    raise OSError('gone')\n")
    with pytest.raises(UserError, match=r"returned int; it must return a torch\.nn\.Module"):
        models.load(f"{tmp_path}/n.py:net")
    with pytest.raises(UserError, match=r"failed \(OSError: gone\)"):
        models.load(f"{tmp_path}/n.py:fails")
    with pytest.raises(UserError, match=r"unknown function in n.py 'nett'; did you mean 'net'\? available: net, fails"):
        models.load(f"{tmp_path}/n.py:nett")


def test_two_files_may_have_neighbours_of_one_name(tmp_path):
    for folder, classes in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        make = f"from torch import nn\ndef make():\n    return nn.Linear(2, {classes})\n"
        (tmp_path / folder / "arch.py").write_text(make)
        (tmp_path / folder / "nets.py").write_text("def net():\n    from arch import make\n    return make()\n")
    assert [models.load(f"{tmp_path}/{folder}/nets.py:net").out_features for folder in "ab"] == [3, 5]
    assert "arch" not in sys.modules
    assert not [path for path in sys.path if str(tmp_path) in path]


@pytest.mark.parametrize("where", ["at import", "in the function"])
def test_a_file_that_ends_the_program_is_named(tmp_path, where):
    end = "raise SystemExit(0)"
    source = end if where == "at import" else f"def net():\n    {end}"
    (tmp_path / "n.py").write_text(source)
    with pytest.raises(UserError, match="failed"):
        models.load(f"{tmp_path}/n.py:net")


def test_a_file_is_a_file_whatever_its_name(tmp_path):
    (tmp_path / "lr=0.1@2").mkdir()
    path = tmp_path / "lr=0.1@2" / "best.safetensors"
    save_file(fresh().state_dict(), path, {"energylens": json.dumps({"arch": ARCH})})
    assert_same_logits(fresh(), models.load(str(path)))
    save_file(fresh().state_dict(), path, {"energylens": "not json"})
    with pytest.raises(UserError, match="has metadata that is not ours"):
        models.load(str(path))
