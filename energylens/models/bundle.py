"""Models and data in one archive, for a machine without network.

The archive holds a piece of a cache folder ($ENERGYLENS_HOME), `models/` and `data/`, and `manifest.json` with the
sha256 of every file. Unpacked, references read it as if its files had been downloaded.
"""

import contextlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from energylens import data as datasets
from energylens import paths
from energylens.atomic import whole
from energylens.errors import UserError, first_line
from energylens.models import architectures, files, robustbench
from energylens.references import named

MANIFEST = "manifest.json"


def pack(
    references: Sequence[str], data: Sequence[str], out: Path, model_dir: Path | None, data_dir: Path | None
) -> list[str]:
    """Write an archive of the files behind some references.

    Args:
        references: `robustbench:...`, downloaded if missing, or files of weights; `demo:` needs none.
        data: names of data sets; the digits need none.
        out: the archive.
        model_dir: RobustBench's files.
        data_dir: the data sets' files.

    Returns:
        Lines that say what is in it, and what to type on the other machine.

    Raises:
        UserError: a reference is the user's code, its files cannot be had, or two files would have one place.
    """
    files: dict[str, Path] = {}
    lines = []
    for reference in references:
        bare = named(reference)[1]
        if bare.startswith("robustbench:"):
            _add(files, _published(bare, model_dir or paths.model_dir()))
        elif not bare.startswith("demo:"):
            path, at_arch = _weights(bare)
            place = _place(path)
            _add(files, {place: path})
            lines.append(f"{reference} is there $ENERGYLENS_HOME/{place}{at_arch}")
    for reference in data:
        places = datasets.sources(reference, data_dir or paths.data_dir())
        _add(files, {f"data/{place}": path for place, path in places.items()})
    if not files:
        raise UserError("nothing to pack: demo networks and the digits ship with energylens")
    size = _write(files, out)
    sizes = [f"{place}  {path.stat().st_size / 2**20:.1f} MiB" for place, path in files.items()]
    end = f"{out}: {len(files)} files, {size / 2**20:.1f} MiB; there: energylens models unbundle {out.name}"
    return [*sizes, *lines, end]


def _add(files: dict[str, Path], more: dict[str, Path]) -> None:
    """Place in the bundle -> file; no place for two files."""
    for place, path in more.items():
        if not files.setdefault(place, path).samefile(path):
            raise UserError(f"{files[place]} and {path} would both be {place}; rename one of the two folders")


def _published(bare: str, model_dir: Path) -> dict[str, Path]:
    """The files of one of RobustBench's models, downloaded if they are missing."""
    robustbench.fetch(robustbench.missing(bare, model_dir))
    found = robustbench.sources(bare, model_dir)
    return {f"models/{path.relative_to(model_dir).as_posix()}": path for path in found}


def _weights(bare: str) -> tuple[Path, str]:
    """The file of `w.pt@resnet18` and its `@resnet18`, an architecture that can be built."""
    path, at, arch = Path(bare), "", ""
    if not path.is_file():
        file, at, arch = bare.rpartition("@")
        path = Path(file)
    if not path.is_file() or ".py:" in bare:
        raise UserError(f"'{bare}' is no file of weights; pack robustbench:..., FILE.safetensors or weights.pt@ARCH")
    if at:
        architectures.build(":".join(each for each in arch.split(":") if not each.startswith("part=")))
    elif not files.says_architecture(path):
        raise UserError(f"'{bare}' does not say its architecture; pack {bare}@ARCHITECTURE, such as {bare}@resnet18")
    return path, at + arch


def _place(path: Path) -> str:
    """With its folder, which tells one run's `last.safetensors` from another's."""
    whole_path = Path(os.path.abspath(path))
    return PurePosixPath("models", "files", whole_path.parent.name, whole_path.name).as_posix()


def _write(files: dict[str, Path], out: Path) -> int:
    import pooch

    about = {place: pooch.file_hash(str(path)) for place, path in files.items()}
    manifest = json.dumps({"energylens": 1, "sha256": about}, indent=1).encode()
    with whole(out, "--out") as hidden, tarfile.open(hidden, "w") as archive:
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(manifest)
        archive.addfile(info, io.BytesIO(manifest))
        for place, path in files.items():
            archive.add(path.resolve(), place, recursive=False)
    return out.stat().st_size


def unpack(archive: Path, force: bool = False) -> list[str]:
    """Unpack a bundle into the cache, all of it or nothing, each file checked before it has its name.

    Args:
        archive: what `pack` wrote.
        force: replace files that are there and are others.

    Returns:
        Lines that say where everything is.

    Raises:
        UserError: no bundle, a file is not what was packed, it would lie outside the cache, or in another's place.
    """
    home = paths.home()
    _check_archive(archive)
    try:
        with tarfile.open(archive) as opened:
            wanted = _manifest(archive, opened)
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unbundle-") as scratch:
                for place, sha in wanted.items():
                    _extract(archive, opened, place, sha, Path(scratch))
                there = {place for place, sha in wanted.items() if _is_there(home / place, sha, archive, force)}
                return [
                    f"{home / place} is there already" if place in there else _put(Path(scratch) / place, home / place)
                    for place in wanted
                ]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{archive} cannot be unpacked into {home} ({first_line(error)})") from error


def _check_archive(archive: Path) -> None:
    """Whether a file can be a bundle at all, told before the cache is touched."""
    if not archive.exists():
        raise UserError(f"no such archive: {archive}")
    if archive.is_dir():
        raise UserError(f"{archive} is a folder; name the archive that energylens models bundle wrote")
    with contextlib.suppress(OSError):  # told where it is opened
        if not archive.stat().st_size or not tarfile.is_tarfile(archive):
            what = "is no tar archive" if archive.stat().st_size else "is empty"
            raise UserError(f"{archive} {what}, so no bundle of energylens; copy it again")


def _manifest(archive: Path, opened: tarfile.TarFile) -> dict[str, str]:
    """Place -> sha256."""
    try:
        file = opened.extractfile(MANIFEST)
        about: Any = json.loads(file.read())["sha256"] if file else None
    except (KeyError, ValueError, TypeError, RecursionError):
        about = None
    if not isinstance(about, dict) or not all(isinstance(sha, str) for sha in about.values()):
        raise UserError(f"{archive} is no bundle of energylens: its {MANIFEST} is missing or broken")
    for place in about:
        path = PurePosixPath(place)
        if path.is_absolute() or ".." in path.parts or path.parts[:1] not in (("models",), ("data",)):
            raise UserError(f"{archive} wants to write '{place}', outside the cache; nothing was unpacked")
        if len(path.parts) < 2 or "\0" in place:
            raise UserError(f"{archive} wants to write {place!r}, which is no file's name; nothing was unpacked")
    return about


def _extract(archive: Path, opened: tarfile.TarFile, place: str, sha: str, scratch: Path) -> None:
    import pooch

    try:
        file = opened.extractfile(place)
    except KeyError:
        file = None
    if file is None:
        raise UserError(f"{archive} lacks {place}, which its {MANIFEST} names; pack it again")
    path = scratch / place
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(file, target)
    if pooch.file_hash(str(path)) != sha:
        raise UserError(f"{place} in {archive} is not what was packed; copy the archive again. Nothing was unpacked")


def _is_there(target: Path, sha: str, archive: Path, force: bool) -> bool:
    """Whether a file has its place already; what is not the same is refused, or replaced by force."""
    import pooch

    folder = next(parent for parent in target.parents if parent.exists())
    if target.is_dir() or not folder.is_dir():
        raise UserError(f"{target if target.is_dir() else folder} is in the way; move it. Nothing was unpacked")
    same = target.is_file() and pooch.file_hash(str(target)) == sha
    if target.is_file() and not same and not force:
        raise UserError(
            f"{target} is there and is another file than the one in {archive}; nothing was unpacked. Move it, or "
            f"replace it: energylens models unbundle {archive} --force"
        )
    return same


def _put(path: Path, target: Path) -> str:
    replaced = " (replaced)" if target.is_file() else ""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_name(f"{target.name}.sha256").unlink(missing_ok=True)  # of a download that is replaced
    os.replace(path, target)
    return f"{target}{replaced}"
