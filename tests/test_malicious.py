"""A checkpoint cannot run code, cannot reach outside its folder, and is refused in one line that says what it is."""

import argparse
import collections
import functools
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from energylens import models
from energylens.errors import UserError
from energylens.models import architectures

ARCH = "small-resnet:width=4"
WANTS_TO_RUN = "wants to run code when it is read"


class Calls:
    """What pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Dictionary(dict):
    """A state dict whose class would run code."""

    def __reduce__(self):
        return os.mkdir, (dict(self)["path"],)


def weights() -> dict:
    return dict(architectures.build(ARCH).state_dict())


def beside_weights(payload) -> dict:
    return {"state_dict": weights(), "extra": payload}


def saved(content, **settings) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **settings)
    return file.getvalue()


def swapped(path) -> bytes:
    """A whole checkpoint whose pickle was replaced."""
    file, out = io.BytesIO(saved(weights())), io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            evil = pickle.dumps(Calls(os.mkdir, str(path)), protocol=2)
            new.writestr(name, evil if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


def old_tar(path) -> bytes:
    """The layout of torch before 0.1.10."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(Calls(os.mkdir, str(path)), protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def lying_safetensors(claim: dict, body: bytes = b"\0" * 16) -> bytes:
    head = json.dumps(claim).encode()
    return struct.pack("<Q", len(head)) + head + body


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


def test_all_that_a_file_names_is_told(tmp_path):
    torch.save(beside_weights([Calls(os.system, "true"), Calls(eval, "1")]), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"\(builtins.eval, posix.system\)"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


BROKEN = {
    "nothing": (lambda path: b"", "is empty; download or save it again"),
    "a quota page": (lambda path: b"\n <!DOCTYPE html><html>", "is a web page"),
    "random bytes": (lambda path: bytes(range(7, 255)), "cannot be read as a checkpoint"),
    "half a zip": (lambda path: saved(weights())[:3000], "cannot be read as a checkpoint"),
    "gzip": (lambda path: b"\x1f\x8b\x08\0\0", "is compressed"),
    "HDF5": (lambda path: b"\x89HDF\r\n", "is an HDF5 file"),
    "a Git LFS pointer": (lambda path: b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "a plain pickle": (lambda path: pickle.dumps(Calls(os.mkdir, str(path))), "is a plain pickle.*nothing was run"),
    "an old tar": (old_tar, "cannot be read as a checkpoint|wants to run code"),
    "a zip of something else": (lambda path: zipped({"readme.txt": b"hello"}), "zip archive without a checkpoint"),
    "an .npz": (lambda path: zipped({"images.npy": b"", "labels.npy": b""}), "is a NumPy archive"),
    "TorchScript": (lambda path: zipped({"w/constants.pkl": b"", "w/data.pkl": b""}), "is a TorchScript program"),
    "a tensor larger than its storage": (lambda path: larger(), "cannot be read as a checkpoint"),
}


def zipped(files: dict) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def larger() -> bytes:
    """Its pickle claims 2^40 numbers, its storage holds four."""
    content, out = saved({"a.weight": torch.zeros(4)}), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("data.pkl"):
                assert text.count(b"K\x04\x85") == 1
                text = text.replace(b"K\x04\x85", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"\x85")
            new.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(("make", "text"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_named(tmp_path, make, text):
    path = tmp_path / "ran"
    (tmp_path / "w.pt").write_bytes(make(path))
    with pytest.raises(UserError, match=text):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        lying_safetensors({"a.weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**40]}}),
        lying_safetensors({"a.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 16]}}),
        lying_safetensors({"a.weight": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}),
        struct.pack("<Q", 2**62) + b"{}",
        b"\x10",
    ],
    ids=["beyond the file", "a huge shape", "before the file", "a huge header", "one byte"],
)
def test_safetensors_that_lie_are_refused(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        models.load(f"{tmp_path}/w.safetensors@{ARCH}")


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


def test_what_is_harmless_is_read(tmp_path):
    extras = [argparse.Namespace(lr=0.1), np.float64(0.5), np.arange(3), collections.defaultdict(list, a=[1]), {1, 2}]
    extras += [collections.deque([1, 2], 5), collections.Counter("aab"), np.array(["a"])]
    torch.save({"state_dict": weights(), "args": extras, "best": np.float32(93.1)}, tmp_path / "w.pt")
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}").training


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
