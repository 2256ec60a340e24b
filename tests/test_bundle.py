"""What is packed here is read there, byte for byte; what is not what was packed is refused whole."""

import io
import json
import tarfile

import pytest
import torch
from families import built, place

from energylens import command, models, models_command
from energylens.errors import UserError
from energylens.models import architectures, bundle

SMALL = "robustbench:cifar10/corruptions/Hendrycks2020AugMix_WRN"


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Another machine: an empty cache, no network."""
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "there"))
    monkeypatch.delenv("ENERGYLENS_DATA", raising=False)
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    return tmp_path / "there"


def test_models_and_data_cross_to_a_machine_without_network(tmp_path, there, capsys):
    here, data_dir, out = tmp_path / "models", tmp_path / "data", tmp_path / "bundle.tar"
    place(SMALL, net := built(SMALL), here)
    torch.save(architectures.build("small-resnet").state_dict(), tmp_path / "w.pt")
    (data_dir / "svhn").mkdir(parents=True)
    (data_dir / "svhn" / "test_32x32.mat").write_bytes(b"made")
    packed = [SMALL, "demo:sat", f"{tmp_path}/w.pt@small-resnet", "--data", "svhn:test", "--out", str(out)]
    folders = ["--model-dir", str(here), "--data-dir", str(data_dir)]
    assert command.run(models_command.app, "models", ["bundle", *packed, *folders]) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path}/w.pt@small-resnet is there $ENERGYLENS_HOME/models/files/w.pt@small-resnet" in told
    assert command.run(models_command.app, "models", ["unbundle", str(out)]) == 0
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(models.load(SMALL)(x), net(x))
    assert models.load(f"{there}/models/files/w.pt@small-resnet")
    assert (there / "data" / "svhn" / "test_32x32.mat").read_bytes() == b"made"
    assert command.run(models_command.app, "models", ["unbundle", str(out)]) == 0
    assert "is there already" in capsys.readouterr().out


def archive(path, files: dict, manifest: dict | None) -> None:
    with tarfile.open(path, "w") as packed:
        if manifest is not None:
            files = {"manifest.json": json.dumps({"sha256": manifest}).encode()} | files
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))


HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
"""sha256 of `hello`"""


@pytest.mark.parametrize(
    ("files", "manifest", "message"),
    [
        ({"models/a.pt": b"hello"}, None, "is no bundle of energylens"),
        ({"models/a.pt": b"hullo"}, {"models/a.pt": HELLO}, "is not what was packed.*Nothing was unpacked"),
        ({}, {"models/a.pt": HELLO}, "lacks models/a.pt"),
        ({"../a.pt": b"hello"}, {"../a.pt": HELLO}, "outside the cache; nothing was unpacked"),
        ({"models/../../a.pt": b"hello"}, {"models/../../a.pt": HELLO}, "outside the cache"),
        ({"/tmp/a.pt": b"hello"}, {"/tmp/a.pt": HELLO}, "outside the cache"),
        ({"bin/a.pt": b"hello"}, {"bin/a.pt": HELLO}, "outside the cache"),
    ],
)
def test_what_is_no_whole_bundle_leaves_nothing(tmp_path, there, files, manifest, message):
    path = tmp_path / "bundle.tar"
    archive(path, {"models/first.pt": b"hello"} | files, manifest and {"models/first.pt": HELLO} | manifest)
    with pytest.raises(UserError, match=message):
        bundle.unpack(path)
    assert not there.exists() or not list(there.iterdir())


def test_links_in_a_bundle_are_not_followed(tmp_path, there):
    with tarfile.open(tmp_path / "bundle.tar", "w") as packed:
        manifest = json.dumps({"sha256": {"models/a": HELLO}}).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(manifest)
        packed.addfile(info, io.BytesIO(manifest))
        link = tarfile.TarInfo("models/a")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    with pytest.raises(UserError, match="lacks models/a"):
        bundle.unpack(tmp_path / "bundle.tar")


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_archive_is_told(tmp_path, there, content):
    (tmp_path / "bundle.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be unpacked|is no bundle"):
        bundle.unpack(tmp_path / "bundle.tar")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nets.py:mine", "is no file of weights; pack robustbench"),
        ("missing.pt@resnet18", "is no file of weights"),
        ("demo:sat", "nothing to pack"),
        ("robustbench:cifar10/Linf/Debenedetti2022Light_XCiT-S12", r"\$ENERGYLENS_OFFLINE is set\); save https"),
        (SMALL, r"\$ENERGYLENS_OFFLINE is set"),
    ],
)
def test_what_cannot_be_packed_is_told(tmp_path, there, reference, message):
    with pytest.raises(UserError, match=message):
        bundle.pack([reference], [], tmp_path / "bundle.tar", None, None)
    assert not (tmp_path / "bundle.tar").exists()
