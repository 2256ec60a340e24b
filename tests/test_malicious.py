"""A checkpoint cannot run code, cannot reach outside its folder, and is refused in one line that says what it is."""

import argparse
import collections
import functools
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from made_checkpoints import ARCH, Calls, beside_weights, saved, weights
from safetensors.torch import save_file

from energylens import models
from energylens.errors import UserError
from energylens.models import architectures, files

WANTS_TO_RUN = "wants to run code when it is read"


class Dictionary(dict):
    """A state dict whose class would run code."""

    def __reduce__(self):
        return os.mkdir, (dict(self)["path"],)


def swapped(path) -> bytes:
    """A whole checkpoint whose pickle was replaced."""
    file, out = io.BytesIO(saved(weights())), io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            evil = pickle.dumps(Calls(os.mkdir, str(path)), protocol=2)
            new.writestr(name, evil if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


CODE = {
    "os.mkdir": lambda path: saved(beside_weights(Calls(os.mkdir, str(path)))),
    "os.system": lambda path: saved(beside_weights(Calls(os.system, f"mkdir {path}"))),
    "eval": lambda path: saved(beside_weights(Calls(eval, f"__import__('os').mkdir({str(path)!r})"))),
    "exec": lambda path: saved(beside_weights(Calls(exec, f"import os; os.mkdir({str(path)!r})"))),
    "subprocess": lambda path: saved(beside_weights(Calls(subprocess.Popen, ["mkdir", str(path)]))),
    "partial": lambda path: saved(beside_weights(Calls(functools.partial(os.mkdir, str(path))))),
    "getattr": lambda path: saved(beside_weights(Calls(getattr, Calls(__import__, "os"), "mkdir"))),
    "open": lambda path: saved(beside_weights(Calls(open, str(path), "w"))),
    "numpy loads a pickle": lambda path: saved(beside_weights(Calls(np.load, str(path)))),
    "in a default dictionary": lambda path: saved(
        beside_weights(Calls(collections.defaultdict, functools.partial(os.mkdir, str(path))))
    ),
    "in an array of objects": lambda path: saved(beside_weights(np.array([Calls(os.mkdir, str(path))]))),
    "in a namespace": lambda path: saved(beside_weights(argparse.Namespace(run=Calls(os.mkdir, str(path))))),
    "instead of weights": lambda path: saved(Calls(os.mkdir, str(path))),
    "a dictionary of its own class": lambda path: saved(Dictionary(weights(), path=str(path))),
    "before torch 1.6": lambda path: saved(
        beside_weights(Calls(os.mkdir, str(path))), _use_new_zipfile_serialization=False
    ),
    "a swapped pickle": swapped,
    "a whole network": lambda path: saved(torch.nn.Sequential(torch.nn.Linear(2, 2))),
}


@pytest.mark.parametrize("make", CODE.values(), ids=CODE)
def test_code_is_not_run(tmp_path, make):
    path = tmp_path / "ran"
    (tmp_path / "w.pt").write_bytes(make(path))
    with pytest.raises(UserError, match=f"w.pt {WANTS_TO_RUN}.*nothing was run.*--trust-checkpoint"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert not path.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_all_that_a_file_names_is_told(tmp_path, zipped):
    extras = [Calls(os.system, "true"), np.float64(1), Calls(eval, "1")]
    torch.save(beside_weights(extras), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"\(builtins.eval, posix.system\)"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


@pytest.mark.parametrize("kind", ["os.mkdir", "before torch 1.6"])
def test_the_command_says_it_in_one_line(tmp_path, kind):
    path = tmp_path / "ran"
    (tmp_path / "w.pt").write_bytes(CODE[kind](path))
    command = [sys.executable, "-m", "energylens.models", "check", f"{tmp_path}/w.pt@{ARCH}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert WANTS_TO_RUN in done.stderr
    assert not path.exists()


def test_a_trusted_file_may_run_code_and_may_be_a_whole_network(tmp_path):
    path = tmp_path / "ran"
    (tmp_path / "w.pt").write_bytes(CODE["os.mkdir"](path))
    models.load(f"{tmp_path}/w.pt@{ARCH}", trust=True)
    assert path.exists()
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    torch.save(net, tmp_path / "net.pt")
    assert torch.equal(models.load(f"{tmp_path}/net.pt", trust=True)[1].weight, net[1].weight)


def test_a_trusted_file_whose_code_is_not_here_says_so(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"\x80\x02cno_such_package.nets\nNet\n.")
    with pytest.raises(UserError, match="code that is not here"):
        models.load(f"{tmp_path}/w.pt@{ARCH}", trust=True)


def test_a_trusted_network_of_a_script_says_where_its_class_was(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"\x80\x02c__main__\nNetOfAScript\n.")
    with pytest.raises(UserError, match=r"code that is not here .NetOfAScript of .*the script that saved it"):
        models.load(f"{tmp_path}/w.pt@{ARCH}", trust=True)


def evil_beside(tmp_path) -> str:
    """A second file with code, named as weights of timm's."""
    (tmp_path / "evil.pt").write_bytes(CODE["os.mkdir"](tmp_path / "ran"))
    return f"timm/resnet18:checkpoint_path={tmp_path}/evil.pt"


def test_metadata_cannot_name_another_file(tmp_path):
    about = {"energylens": json.dumps({"arch": evil_beside(tmp_path)})}
    save_file(weights(), tmp_path / "w.safetensors", about)
    with pytest.raises(UserError, match=r"checkpoint_path=.* is not taken; weights come from FILE@timm/resnet18"):
        models.load(f"{tmp_path}/w.safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_typed_architecture_cannot_name_another_file(tmp_path):
    save_file(weights(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"checkpoint_path=.* is not taken"):
        models.load(f"{tmp_path}/w.safetensors@{evil_beside(tmp_path)}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay", "weights"])
@pytest.mark.parametrize("value", ["x.pt", "3"])
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_settings_that_read_elsewhere_are_refused_whatever_their_value(library, key, value):
    with pytest.raises(UserError, match=f"{key}={value} is not taken"):
        architectures.build(f"{library}/resnet18:{key}={value}")


def test_metadata_cannot_have_weights_downloaded(tmp_path):
    save_file(weights(), tmp_path / "w.safetensors", {"energylens": json.dumps({"arch": "timm/resnet18:pretrained=1"})})
    with pytest.raises(UserError, match="would download other weights"):
        models.load(f"{tmp_path}/w.safetensors")


@pytest.mark.parametrize("arch", ["wrn-28-900", "resnet18:classes=1000000000", "small-resnet:depth=4000002"])
def test_metadata_cannot_have_a_huge_network_built(tmp_path, arch, monkeypatch):
    monkeypatch.setattr(files, "named", lambda *_: pytest.fail("a network is built"))
    save_file(weights(), tmp_path / "w.safetensors", {"energylens": json.dumps({"arch": arch})})
    with pytest.raises(UserError, match=r"and holds 1,524; is it whole|depth must be at most 999"):
        models.load(f"{tmp_path}/w.safetensors")
