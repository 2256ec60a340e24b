"""What a file is, told from its first bytes and from the names in its archive, before torch stumbles over it."""

import zipfile
import zlib
from pathlib import Path

from safetensors import SafetensorError

from energylens import transfers
from energylens.errors import UserError, some

KINDS = {
    b"<": "a web page, not a checkpoint (a download's quota page?); download it again",
    b"\x1f\x8b": "compressed (gzip); unpack it first: gunzip",
    b"BZh": "compressed (bzip2); unpack it first: bunzip2",
    b"\xfd7zXZ": "compressed (xz); unpack it first: unxz",
    b"\x89HDF": "an HDF5 file (Keras?); save model.state_dict() with torch.save",
    b"\x93NUMPY": "a NumPy array; save model.state_dict() with torch.save",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; type: git lfs pull",
}
"""first bytes -> what the file is and what to do"""
CHUNK = 1 << 20
UNREADABLE = (SafetensorError, OSError, ValueError, MemoryError)
"""what the safetensors library raises for files that are no safetensors, or not whole"""


def glance(path: Path) -> None:
    """The quick look at a checkpoint file that its first bytes allow.

    Raises:
        UserError: missing, a folder, empty, or plainly something else.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a checkpoint; name a file in it{_inside(path)}")
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    with open(path, "rb") as file:
        head = file.read(512)
    if what := _kind(path, head):
        raise UserError(f"{path} is {what}")


def _inside(folder: Path) -> str:
    names = some(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return f" ({names})" if names else ""


def _kind(path: Path, head: bytes) -> str | None:
    """What a file is, if it is no checkpoint."""
    if not head:
        return "empty; download or save it again"
    if not any(head):
        return "nothing but zeros at its beginning (a download that was cut?); download it again"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first: tar -xf"
    if path.name.endswith(".index.json"):
        return "the index of a checkpoint in several files; join them: one dictionary of all tensors, and torch.save"
    for start, what in KINDS.items():
        if transfers.beginning(head).startswith(start):
            return what
    if words := transfers.text(head):
        return f"text ('{words.splitlines()[0][:40]}'), not a checkpoint; download or save it again"
    return None


def check_zip(path: Path) -> None:
    """A zip that is no checkpoint is named, and one whose bytes changed since it was written.

    Raises:
        UserError: it is.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive.namelist())
            _check_sums(archive)
    except (zipfile.BadZipFile, zlib.error) as error:
        if "CRC" in str(error) or isinstance(error, zlib.error):
            raise UserError(f"{path} is damaged ({error}); download it again") from error
    except (OSError, RuntimeError, NotImplementedError, EOFError):
        return  # torch says what is wrong with it


def _check_names(path: Path, names: list[str]) -> None:
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(f"{path} is a TorchScript program; save model.state_dict() instead")
    if any(name.endswith("/archive_format") for name in names):
        raise UserError(f"{path} is a program of torch.export; save model.state_dict() with torch.save instead")
    if names and all(name.endswith(".npy") for name in names):
        raise UserError(f"{path} is a NumPy archive (.npz); save model.state_dict() with torch.save")
    if not any(name.endswith("data.pkl") for name in names):
        raise UserError(f"{path} is a zip archive without a checkpoint ({', '.join(names[:3])}); unpack it first")


def _check_sums(archive: zipfile.ZipFile) -> None:
    """Read all, which makes zipfile compare sums; 0.05 s for 150 MB. Torch itself never compares them."""
    for entry in archive.infolist():
        if entry.CRC == 0:  # torch.serialization.set_crc32_options(False) writes none
            continue
        with archive.open(entry) as file:
            while file.read(CHUNK):
                pass
