"""One row a model and attack: accuracy, energies, and how far the attack moved them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from energylens import compact, epochs
from energylens.errors import UserError, some
from energylens.schema import NATURAL
from energylens.shards import Part, broken, check_one_key, folder, named, parts

READ = ("sample", "step", "label", "pred", "energy", "joint_energy")
SHOWN = {
    "model": ("model", "{}"),
    "attack": ("attack", "{}"),
    "images": ("images", "{:,}"),
    "accuracy": ("accuracy %", "{:.2f}"),
    "energy": ("E(x)", "{:z.3f}"),
    "joint_energy": ("E(x, y)", "{:z.3f}"),
    "delta_energy": ("E(x) - E(x*)", "{:z.3f}"),
}
"""column -> its heading, and how it is written"""
SHOWN_OF_EPOCHS = {
    "model": ("model", "{}"),
    "split": ("split", "{}"),
    "attack": ("attack", "{}"),
    "epoch": ("epoch", "{}"),
    "images": ("images", "{:,}"),
    "accuracy_natural": ("accuracy %", "{:.2f}"),
    "accuracy": ("attacked %", "{:.2f}"),
    "delta_energy": ("E(x) - E(x*)", "{:z.3f}"),
    "delta_joint_energy": ("E(x, y) - E(x*, y)", "{:z.3f}"),
    "kl_conditional": ("KL, conditional", "{:z.3f}"),
    "entropy": ("entropy at x*", "{:z.3f}"),
}
NAMES = ("model", "split", "attack")


def of(
    points: Path,
    models: Iterable[str] | None = None,
    attacks: Iterable[str] | None = None,
    samples: int | None = None,
) -> pd.DataFrame:
    """What a table says, in short. Reads a model and attack at a time; each image counts once.

    Args:
        points: the folder `TABLES/ANALYSIS/points`, `steps` or `chains`; of steps, an image's last one counts.
        models: display names; all that are there if None.
        attacks: attack names, without `natural`; all that are there if None.
        samples: the first this many images that were selected; all that are there if None.

    Returns:
        One row a model and attack, natural images first (chains have none), also where there are no images:
        `model`, `attack`;
        `images`: how many;
        `accuracy`: the mean of pred == label in percent, NaN rows being wrong;
        `energy`, `joint_energy`: the means of E(x) and E(x, y) in nats, without NaN rows;
        `delta_energy`: the mean of E(x) - E(x*), natural minus attacked, over the images that have both;
        `nan`: NaN rows.

    Raises:
        UserError: there is no such folder, a file cannot be read, or files of several keys lie together.
    """
    points = Path(points)
    if not points.is_dir():
        raise UserError(f"there is no folder {points}; give that of a table's files, such as tables/NAME/points")
    compact.recover(points)
    there = [named(where) for where in points.glob("model=*/attack=*") if parts(where)]
    models = sorted({model for model, _ in there}) if models is None else models
    attacks = sorted({attack for _, attack in there} - {NATURAL}) if attacks is None else list(dict.fromkeys(attacks))
    rows, chains = [], points.resolve().name == "chains"
    for model in dict.fromkeys(models):
        natural = _images(folder(points, model, NATURAL), samples)
        if not chains:
            rows.append({"model": model, "attack": NATURAL} | _means(natural) | {"delta_energy": np.nan})
        for attack in attacks:
            images = _images(folder(points, model, attack), samples)
            if images.empty and chains:
                continue
            rows.append({"model": model, "attack": attack} | _means(images) | {"delta_energy": _fall(natural, images)})
    return pd.DataFrame(rows, columns=[*SHOWN, "nan"])


def of_epochs(run: Path) -> pd.DataFrame:
    """The same of a training run's energies: one row a model, split, attack and epoch, as `epochs.means`.

    Of attacked images; `images` are how many, accuracies are in percent. Reads a few files at a time.

    Raises:
        UserError: as `epochs.means`.
    """
    frame = epochs.means(run).rename(columns={"n": "images"})
    return frame.assign(**{name: 100 * frame[name] for name in ("accuracy", "accuracy_natural")})


def _images(where: Path, samples: int | None) -> pd.DataFrame:
    """One row an image: `sample`, `label`, `pred`, `energy`, `joint_energy`."""
    found = parts(where)
    check_one_key(where, found)
    shards = [_last(_first(_read(part.path), part, samples)) for part in found if part.start < (samples or part.stop)]
    if not shards:
        return pd.DataFrame(columns=[name for name in READ if name != "step"], dtype=float)
    return pd.concat(shards).drop_duplicates("sample")


def _first(rows: pd.DataFrame, part: Part, samples: int | None) -> pd.DataFrame:
    """Those of a file's rows that are of the first images."""
    if samples is None or part.stop <= samples:
        return rows
    return rows[rows["sample"].isin(rows["sample"].unique()[: samples - part.start])]


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    """The last step of each image; of restarts that went as far, the last one's."""
    if "step" in rows:
        rows = rows.sort_values("step", kind="stable").drop_duplicates("sample", keep="last")
    return rows.drop(columns="step", errors="ignore")


def _read(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            return file.read([name for name in READ if name in file.schema_arrow.names]).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise broken(path, error) from error


def _means(images: pd.DataFrame) -> dict[str, float]:
    valid = images[images["pred"] != -1]
    return {
        "images": len(images),
        "accuracy": 100 * (images["pred"] == images["label"]).mean() if len(images) else np.nan,
        "energy": valid["energy"].astype(float).mean(),
        "joint_energy": valid["joint_energy"].astype(float).mean(),
        "nan": len(images) - len(valid),
    }


def _fall(natural: pd.DataFrame, attacked: pd.DataFrame) -> float:
    before, after = (rows.set_index("sample")["energy"].astype(float) for rows in (natural, attacked))
    return before.sub(after).mean()  # NaN where one of them lacks the image, or its energy


def lines(frame: pd.DataFrame) -> list[str]:
    """A summary as aligned text, and its warnings."""
    aligned = []
    for name, cells in zip(_shown(frame), _columns(frame), strict=True):
        width, align = max(map(len, cells)), "<" if name in NAMES else ">"
        aligned.append([f"{cell:{align}{width}}" for cell in cells])
    return [*("  ".join(row).rstrip() for row in zip(*aligned, strict=True)), *warnings(frame)]


def markdown(frame: pd.DataFrame) -> list[str]:
    """The same as a Markdown table."""
    head, *rows = (f"| {' | '.join(cells)} |" for cells in zip(*_columns(frame), strict=True))
    rule = f"|{'|'.join('---' if name in NAMES else '---:' for name in _shown(frame))}|"
    return [head, rule, *rows, *(line for warning in warnings(frame) for line in ("", warning))]


def warnings(frame: pd.DataFrame) -> list[str]:
    """A line for each model and attack with NaN rows, and one where there are fewer images than elsewhere."""
    told = []
    for row in frame[frame["nan"] > 0].itertuples():
        what = f"{row.nan:,} of {row.images:,} images of {row.model} under {row.attack}{_moment(row)} gave NaN"
        end = "it counts as wrong and is" if row.nan == 1 else "they count as wrong and are"
        told.append(f"warning: {what}; {end} left out of the means")
    if "epoch" in frame:
        return told  # splits differ in their images
    most = frame["images"].max()
    fewer = frame[(frame["images"] > 0) & (frame["images"] < most)]
    if len(fewer):
        listed = some(f"{row.model} under {row.attack} ({row.images:,})" for row in fewer.itertuples())
        told.append(f"note: fewer than {most:,} images: {listed}; means over other images do not compare")
    return told


def _moment(row: Any) -> str:
    return f" ({row.split}, epoch {row.epoch})" if hasattr(row, "epoch") else ""


def _columns(frame: pd.DataFrame) -> list[list[str]]:
    """Each column as text, its heading first; `-` where there is no number."""
    return [
        [heading, *("-" if pd.isna(value) else form.format(value) for value in frame[name])]
        for name, (heading, form) in _shown(frame).items()
    ]


def _shown(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    return SHOWN_OF_EPOCHS if "epoch" in frame else SHOWN
