"""A file that is no checkpoint is told in one line that says what it is, and what to do."""

import io
import json
import os
import pickle
import struct
import tarfile

import pytest
import torch
from made_checkpoints import ARCH, Calls, renamed, saved, weights, zipped

from energylens import models
from energylens.errors import UserError


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


BROKEN = {
    "nothing": (lambda path: b"", "is empty; download or save it again"),
    "a quota page": (lambda path: b"\n <!DOCTYPE html><html>", "is a web page"),
    "random bytes": (lambda path: bytes(range(7, 255)), "cannot be read as a checkpoint"),
    "half a zip": (lambda path: saved(weights())[:3000], "cannot be read as a checkpoint"),
    "gzip": (lambda path: b"\x1f\x8b\x08\0\0", "is compressed"),
    "HDF5": (lambda path: b"\x89HDF\r\n", "is an HDF5 file"),
    "a Git LFS pointer": (lambda path: b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "a plain pickle": (lambda path: pickle.dumps(Calls(os.mkdir, str(path))), "is a plain pickle.*nothing was run"),
    "a tar": (old_tar, "is a tar archive; unpack it first: tar -xf"),
    "zeros": (lambda path: bytes(5000), "is nothing but zeros at its beginning.*download it again"),
    "an answer": (lambda path: b"404: Not Found", r"is text \('404: Not Found'\), not a checkpoint"),
    "a page with a mark in front": (lambda path: b"\xef\xbb\xbf<!doctype html>", "is a web page"),
    "torch.export": (lambda path: zipped({"w/archive_format": b"pt2"}), "is a program of torch.export"),
    "a zip of something else": (lambda path: zipped({"readme.txt": b"hello"}), "zip archive without a checkpoint"),
    "an .npz": (lambda path: zipped({"images.npy": b"", "labels.npy": b""}), "is a NumPy archive"),
    "TorchScript": (lambda path: zipped({"w/constants.pkl": b"", "w/data.pkl": b""}), "is a TorchScript program"),
    "a tensor larger than its storage": (
        lambda path: renamed(saved({"a.weight": torch.zeros(4)}), b"K\x04\x85", b"\x8a\x06" + bytes(5) + b"\x01\x85"),
        "cannot be read as a checkpoint",
    ),
}


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


def test_a_folder_is_no_checkpoint_and_its_files_are_told(tmp_path):
    (tmp_path / "hub").mkdir()
    torch.save(weights(), tmp_path / "hub" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"hub is a folder, not a checkpoint; name a file in it \(pytorch_model.bin\)"):
        models.load(f"{tmp_path}/hub@{ARCH}")


def test_a_shard_list_is_told(tmp_path):
    (tmp_path / "w.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(UserError, match="is the index of a checkpoint in several files"):
        models.load(f"{tmp_path}/w.safetensors.index.json@{ARCH}")


def test_a_torch_file_under_the_name_of_safetensors_is_told(tmp_path):
    torch.save(weights(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"zip archive, not safetensors; name it \.pt"):
        models.load(f"{tmp_path}/w.safetensors@{ARCH}")


def test_changed_bytes_are_found_and_files_without_sums_are_read(tmp_path):
    content = bytearray(saved(weights()))
    assert content.count(bytes(weights()["conv1.weight"].numpy())) == 1
    content[content.index(bytes(weights()["conv1.weight"].numpy()))] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged \(Bad CRC-32 for file .*\); download it again"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights(), tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}").training


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [4, 5])
def test_newer_pickle_protocols_are_told_and_read_when_trusted(tmp_path, protocol, zipped):
    file = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": zipped}
    torch.save({"state_dict": weights()}, tmp_path / "w.pt", **file)
    with pytest.raises(UserError, match=f"saved with pickle_protocol={protocol}, and torch reads protocol 2 alone"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert not models.load(f"{tmp_path}/w.pt@{ARCH}", trust=True).training
