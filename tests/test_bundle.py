"""What is packed here is read there, byte for byte; what is not what was packed is refused whole."""

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from families import built, place
from safetensors.torch import save_file

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
    own = f"models/files/{tmp_path.name}/w.pt@small-resnet"
    assert f"{tmp_path}/w.pt@small-resnet is there $ENERGYLENS_HOME/{own}" in told
    assert command.run(models_command.app, "models", ["unbundle", str(out)]) == 0
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(models.load(SMALL)(x), net(x))
    assert models.load(f"{there}/{own}")
    assert (there / "data" / "svhn" / "test_32x32.mat").read_bytes() == b"made"
    assert command.run(models_command.app, "models", ["unbundle", str(out)]) == 0
    assert "is there already" in capsys.readouterr().out


def seeds(tmp_path, *folders: str) -> list[str]:
    """References to files of one name in several folders, each with other weights."""
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        torch.manual_seed(number)
        torch.save(architectures.build("small-resnet").state_dict(), tmp_path / folder / "last.pt")
    return [f"{tmp_path}/{folder}/last.pt@small-resnet" for folder in folders]


def test_files_of_one_name_keep_their_folders(tmp_path, there):
    references = seeds(tmp_path, "seed-1", "seed-2")
    lines = bundle.pack(references, [], tmp_path / "bundle.tar", None, None)
    bundle.unpack(tmp_path / "bundle.tar")
    for number, reference in enumerate(references, 1):
        new = f"models/files/seed-{number}/last.pt"
        assert f"{reference} is there $ENERGYLENS_HOME/{new}@small-resnet" in lines
        assert (there / new).read_bytes() == (tmp_path / f"seed-{number}" / "last.pt").read_bytes()


def test_two_files_in_one_place_are_refused(tmp_path, there):
    references = seeds(tmp_path, "a/seed", "b/seed")
    with pytest.raises(UserError, match=r"a/seed/last.pt and .*b/seed/last.pt would both be models/files/seed/last.pt"):
        bundle.pack(references, [], tmp_path / "bundle.tar", None, None)
    assert not (tmp_path / "bundle.tar").exists()
    bundle.pack([references[0]] * 2, [], tmp_path / "bundle.tar", None, None)  # one file twice is one file


def test_another_file_in_its_place_stays_unless_forced(tmp_path, there, capsys):
    archive(tmp_path / "bundle.tar", {"models/a.pt": b"hello", "models/b.pt": b"hello"},
            {"models/a.pt": HELLO, "models/b.pt": HELLO})  # fmt: skip
    (there / "models").mkdir(parents=True)
    (there / "models" / "b.pt").write_bytes(b"mine")
    (there / "models" / "b.pt.sha256").write_text("of mine")
    unbundle = ["unbundle", str(tmp_path / "bundle.tar")]
    assert command.run(models_command.app, "models", unbundle) == 2
    told = capsys.readouterr().err
    assert f"{there}/models/b.pt is there and is another file" in told
    assert f"energylens models unbundle {tmp_path}/bundle.tar --force" in told
    assert sorted(path.name for path in (there / "models").iterdir()) == ["b.pt", "b.pt.sha256"]
    assert (there / "models" / "b.pt").read_bytes() == b"mine"
    assert command.run(models_command.app, "models", [*unbundle, "--force"]) == 0
    assert f"{there}/models/b.pt (replaced)" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (there / "models").iterdir()} == {
        "a.pt": b"hello", "b.pt": b"hello"}  # fmt: skip


@pytest.mark.parametrize("in_the_way", ["models/a/x", "models"])
def test_what_is_in_the_way_is_told_before_anything_is_put(tmp_path, there, in_the_way):
    (there / in_the_way).parent.mkdir(parents=True)
    (there / in_the_way).write_bytes(b"")
    archive(tmp_path / "bundle.tar", {"data/a": b"hello", "models/a": b"hello"}, {"data/a": HELLO, "models/a": HELLO})
    with pytest.raises(UserError, match=r"is in the way; move it. Nothing was unpacked"):
        bundle.unpack(tmp_path / "bundle.tar")
    assert not (there / "data").exists()


def with_first(manifest):
    return {"models/first.pt": HELLO} | manifest if isinstance(manifest, dict) else manifest


def archive(path, files: dict, manifest: dict | list | None) -> None:
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
        ({}, {"": HELLO}, "wants to write '', outside the cache"),
        ({}, {".": HELLO}, "wants to write '.', outside the cache"),
        ({}, {"models": HELLO}, "wants to write 'models', which is no file's name"),
        ({}, {"models/a\0": HELLO}, "which is no file's name"),
        ({}, {"models/a": 5}, "is no bundle of energylens"),
        ({}, ["models/a"], "is no bundle of energylens"),
    ],
)
def test_what_is_no_whole_bundle_leaves_nothing(tmp_path, there, files, manifest, message):
    path = tmp_path / "bundle.tar"
    archive(path, {"models/first.pt": b"hello"} | files, with_first(manifest))
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^no such archive: .*bundle.tar$"),
        (b"", r"bundle.tar is empty, so no bundle of energylens; copy it again$"),
        (b"no archive", r"bundle.tar is no tar archive, so no bundle of energylens; copy it again$"),
    ],
)
def test_what_is_no_archive_is_told(tmp_path, there, content, message):
    if content is not None:
        (tmp_path / "bundle.tar").write_bytes(content)
    with pytest.raises(UserError, match=message):
        bundle.unpack(tmp_path / "bundle.tar")
    assert not there.exists()


def test_a_file_that_does_not_say_its_architecture_is_packed_with_one(tmp_path, there):
    reference = seeds(tmp_path, "run1")[0].partition("@")[0]
    foreign = tmp_path / "foreign.safetensors"
    save_file(architectures.build("small-resnet").state_dict(), foreign)
    for bare in (reference, str(foreign)):
        with pytest.raises(UserError, match=r"does not say its architecture; pack .*@ARCHITECTURE, such as"):
            bundle.pack([bare], [], tmp_path / "bundle.tar", None, None)
    about = {"energylens": json.dumps({"arch": "small-resnet"})}
    save_file(architectures.build("small-resnet").state_dict(), tmp_path / "ours.safetensors", about)
    (tmp_path / "ours.onnx").write_bytes(b"a graph")
    ours = [f"{tmp_path}/ours.safetensors", f"{tmp_path}/ours.onnx"]
    assert len(bundle.pack(ours, [], tmp_path / "bundle.tar", None, None)) == 5


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nets.py:mine", "is no file of weights; pack robustbench"),
        ("missing.pt@resnet18", "is no file of weights"),
        (f"{Path(__file__)}@resnet19", "unknown architecture 'resnet19'; did you mean"),
        ("demo:sat", "nothing to pack"),
        ("robustbench:cifar10/Linf/Debenedetti2022Light_XCiT-S12", r"\$ENERGYLENS_OFFLINE is set\); save https"),
        (SMALL, r"\$ENERGYLENS_OFFLINE is set"),
    ],
)
def test_what_cannot_be_packed_is_told(tmp_path, there, reference, message):
    with pytest.raises(UserError, match=message):
        bundle.pack([reference], [], tmp_path / "bundle.tar", None, None)
    assert not (tmp_path / "bundle.tar").exists()
