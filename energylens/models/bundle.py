"""Models and data in one archive, for a machine without network.

The archive holds a piece of a cache folder ($ENERGYLENS_HOME), `models/` and `data/`, and `manifest.json` with the
sha256 of every file. Unpacked, references read it as if its files had been downloaded.
"""

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
from energylens.models import robustbench
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
        UserError: a reference is the user's code, or its files cannot be had.
    """
    files: dict[str, Path] = {}
    renamed: dict[str, str] = {}
    for reference in references:
        bare = named(reference)[1]
        found = _of_model(bare, model_dir or paths.model_dir())
        files |= found
        if found and not bare.startswith("robustbench:"):
            (place,) = found
            renamed[reference] = f"$ENERGYLENS_HOME/{place}{bare[len(str(_weights(bare))) :]}"
    for reference in data:
        places = datasets.sources(reference, data_dir or paths.data_dir())
        files |= {f"data/{place}": path for place, path in places.items()}
    if not files:
        raise UserError("nothing to pack: demo networks and the digits ship with energylens")
    size = _write(files, out)
    lines = [f"{place}  {path.stat().st_size / 2**20:.1f} MiB" for place, path in files.items()]
    lines += [f"{old} is there {new}" for old, new in renamed.items()]
    return [*lines, f"{out}: {len(files)} files, {size / 2**20:.1f} MiB; there: energylens models unbundle {out.name}"]


def _of_model(bare: str, model_dir: Path) -> dict[str, Path]:
    """Place in the bundle -> file."""
    if bare.startswith("demo:"):
        return {}
    if bare.startswith("robustbench:"):
        robustbench.fetch(robustbench.missing(bare, model_dir))
        found = robustbench.sources(bare, model_dir)
        return {f"models/{path.relative_to(model_dir).as_posix()}": path for path in found}
    path = _weights(bare)
    if not path.is_file() or ".py:" in bare:
        raise UserError(f"'{bare}' is no file of weights; pack robustbench:..., FILE.safetensors or weights.pt@ARCH")
    return {f"models/files/{path.name}": path}


def _weights(bare: str) -> Path:
    return Path(bare.rpartition("@")[0] or bare)


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


def unpack(archive: Path) -> list[str]:
    """Unpack a bundle into the cache, each file checked before it has its name; what is there already stays.

    Returns:
        Lines that say where everything is.

    Raises:
        UserError: no bundle, a file is not what was packed, or it would lie outside the cache.
    """
    home = paths.home()
    try:
        with tarfile.open(archive) as opened:
            wanted = _manifest(archive, opened)
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unbundle-") as scratch:
                for place, sha in wanted.items():
                    _extract(archive, opened, place, sha, Path(scratch))
                return [_put(Path(scratch) / place, home / place) for place in wanted]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{archive} cannot be unpacked into {home} ({first_line(error)})") from error


def _manifest(archive: Path, opened: tarfile.TarFile) -> dict[str, str]:
    try:
        file = opened.extractfile(MANIFEST)
        assert file is not None
        about: Any = json.loads(file.read())["sha256"]
        places = [PurePosixPath(place) for place in about]
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        raise UserError(f"{archive} is no bundle of energylens: it has no {MANIFEST}") from error
    for place in places:
        if place.is_absolute() or ".." in place.parts or place.parts[0] not in ("models", "data"):
            raise UserError(f"{archive} wants to write {place}, outside the cache; nothing was unpacked")
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


def _put(path: Path, target: Path) -> str:
    if target.is_file():
        return f"{target} is there already"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return str(target)
