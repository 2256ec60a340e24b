"""What checkpoints carry beside their weights is read without being called, and cannot reach into numpy."""

import argparse
import collections
import datetime
import decimal
import fractions
import pathlib
import random
import sys
import types
import uuid
import warnings

import numpy as np
import pytest
import torch
from made_checkpoints import ARCH, Calls, State, beside_weights, renamed, saved, weights
from numpy._core import multiarray

from energylens import models
from energylens.errors import UserError
from energylens.models import harmless, nearest, nesting, pickled

EXTRAS = {
    "namespaces": [argparse.Namespace(lr=0.1), types.SimpleNamespace(a=1)],
    "containers": [collections.defaultdict(list, a=[1]), collections.deque([1], 5), collections.Counter("aab"), {1, 2}],
    "frozen": [frozenset([1]), range(3), slice(1, 2), Ellipsis, int, 1 + 2j, b"", b"ab"],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(8, 255), uuid.uuid4()],
    "times": [datetime.datetime.now(datetime.UTC), datetime.time(3), datetime.date(2020, 1, 2)],
    "paths": [pathlib.PurePosixPath("/a"), pathlib.PureWindowsPath("c:/a"), pathlib.Path("/a")],
    "torch's version": torch.torch_version.TorchVersion("2.14"),
    "NumPy's numbers": [
        np.float64(1),
        np.bool_(True),
        np.str_("é"),
        np.str_(""),
        np.complex64(1j),
        np.datetime64("2020-01-01"),
    ],
    "NumPy's arrays": [np.arange(3), np.array(["a"]), np.array([1, None]), np.zeros((0, 3)), np.zeros(2, "f4,i2")],
    "random states": [np.random.get_state(), random.getstate(), np.random.default_rng(0).bit_generator.state],
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_what_is_harmless_is_read(tmp_path, extra, zipped):
    torch.save(beside_weights(extra), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}").training


@pytest.mark.parametrize(
    "name",
    [
        *("pytorch_lightning.utilities.parsing.AttributeDict", "lightning.pytorch.utilities.parsing.AttributeDict"),
        *("lightning.fabric.utilities.data.AttributeDict", "easydict.EasyDict", "yacs.config.CfgNode", "munch.Munch"),
        *("addict.addict.Dict", "ml_collections.config_dict.config_dict.ConfigDict"),
    ],
)
def test_dictionaries_of_other_packages_are_read_without_these(tmp_path, name, monkeypatch):
    package, _, short = name.rpartition(".")
    module = types.ModuleType(package)
    setattr(module, short, type(short, (dict,), {"__module__": package}))
    for place, _ in enumerate(package):
        if package[place] == ".":
            monkeypatch.setitem(sys.modules, package[:place], types.ModuleType(package[:place]))
    monkeypatch.setitem(sys.modules, package, module)
    extra = getattr(module, short)(lr=0.1)
    extra.__dict__["also"] = 1
    torch.save(beside_weights(extra), tmp_path / "w.pt")
    monkeypatch.undo()
    assert pickled.read(tmp_path / "w.pt")["extra"] == {"lr": 0.1}
    assert package.partition(".")[0] not in sys.modules or package.startswith("lightning")


@pytest.mark.parametrize(
    "name", [b"pathlib\nWindowsPath", b"pathlib._local\nPosixPath", b"pathlib._local\nWindowsPath"]
)
def test_paths_of_other_systems_and_pythons_are_read(tmp_path, name):
    content = renamed(saved(beside_weights(pathlib.PosixPath("/a"))), b"cpathlib\nPosixPath", b"c" + name)
    (tmp_path / "w.pt").write_bytes(content)
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}").training


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_arrays_of_numpy_1_and_2_are_what_they_were(tmp_path, core):
    arrays = [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((2, 3))), np.arange(3, dtype=">f4"), np.array(2.5)]
    content = renamed(
        saved({"arrays": arrays, "best": np.float32(93.5)}), b"cnumpy._core.multi", b"c" + core + b".multi"
    )
    (tmp_path / "w.pt").write_bytes(content)
    found = pickled.read(tmp_path / "w.pt")
    assert found["best"] == 93.5
    for array, stored in zip(arrays, found["arrays"], strict=True):
        np.testing.assert_array_equal(stored.value, array)
        assert torch.equal(
            torch.from_numpy(stored.value), torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        )


def dtype(name: str, flags: int, order: str = "<", copy: bool = True) -> State:
    """A dtype whose flags say what is not so, such as that its numbers are pointers to objects."""
    return State(np.dtype, (name, False, copy), (3, order, None, None, None, -1, -1, flags))


def array(kind, content, shape: tuple = (4,)) -> State:
    return State(multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, shape, kind, False, content))


ADDRESSES = (0x4141414141414141).to_bytes(8, "little") * 4
REACHING = {
    "numbers that are pointers": lambda: array(dtype("f8", 0x01 | 0x10), ADDRESSES),
    "a scalar that is a pointer": lambda: Calls(multiarray.scalar, dtype("f8", 0x04), b"12345678"),
    "a scalar from a pickle": lambda: Calls(multiarray.scalar, dtype("f8", 0x02), b"12345678"),
    "objects from bytes": lambda: array(dtype("O8", 0x3F), ADDRESSES),
    "the program's own float64": lambda: dtype("f8", 0, ">", copy=False),
    "strides": lambda: Calls(np.ndarray, (4,), dtype("f8", 0), b"12345678", 0, (0,)),
    "64 GB": lambda: Calls(np.ndarray, (2**33,)),
    "2^63 numbers": lambda: array(dtype("f8", 0), b"", (2**31, 2**32)),
}


@pytest.mark.parametrize("make", REACHING.values(), ids=REACHING)
def test_a_file_cannot_reach_into_numpy(tmp_path, make):
    torch.save(beside_weights(make()), tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            models.load(f"{tmp_path}/w.pt@{ARCH}")
        except UserError as error:
            assert "cannot be read as a checkpoint" in str(error)  # noqa: PT017
    assert np.array([1.0]).tobytes() == b"\0\0\0\0\0\0\xf0?"
    assert np.dtype("f8").isnative


@pytest.mark.parametrize("kind", ["S0", "U0"])
def test_texts_of_no_letters_take_no_memory_however_many_are_claimed(tmp_path, kind):
    torch.save(beside_weights(array(dtype(kind, 0), b"", (10**9, 10**9))), tmp_path / "w.pt")
    assert pickled.read(tmp_path / "w.pt")["extra"].value == b""
    assert harmless.scalar(harmless.Dtype(kind)) in ("", b"")


@pytest.mark.parametrize("key", ["block1.layer.20000.conv1.weight", f"block1.layer.{'9' * 5000}.conv1.weight"])
def test_a_key_cannot_have_a_deep_network_built(tmp_path, key, monkeypatch):
    built = []
    monkeypatch.setattr(nearest, "_shapes", lambda arch: built.append(arch))
    torch.save({"block1.layer.0.conv1.weight": torch.zeros(16, 16, 3, 3), key: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="none of ours is near"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert {arch.partition(":")[0] for arch in built if arch.startswith("wrn")} == {"wrn-10-1"}


def test_each_container_is_looked_into_once(tmp_path, monkeypatch):
    """Eight lists, each ten times the one before: a kilobyte that would be a hundred million."""
    looks, usual = [], nesting._weights
    monkeypatch.setattr(nesting, "_weights", lambda found: looks.append(found) or usual(found))
    nest: list = [{}]
    for _ in range(8):
        nest = [nest] * 10
    torch.save({"state_dict": weights(), "nest": nest}, tmp_path / "w.pt")
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}").training
    assert len(looks) < 20
