"""Damage to a table's files is told in one line each; tables that are whole stay silent, joined or not."""

import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from by_hand import PGD, edit, pairs, shard, steps, told
from probing import recipe

from energylens import compact, measure, table, verify
from energylens.attacks import CW, FAB
from energylens.attacks import PGD as Pgd
from energylens.options import Keep, Place


@pytest.fixture
def points(tmp_path):
    return tmp_path / "tables" / "test" / "points"


SEVERAL = (Pgd(eps=0.1, steps=3), CW(steps=3, batch=2), Pgd(eps=0.5, norm="l2", steps=2))
WATCHED = (Pgd(eps=0.1, steps=3, restarts=2), FAB(eps=0.1, steps=2, batch=2))


@pytest.mark.parametrize(
    ("changes", "keep"),
    [
        ({"attacks": SEVERAL}, Keep()),
        ({"attacks": SEVERAL}, Keep(keep_logits=True)),
        ({"shuffle_seed": 3, "precision": "bf16"}, Keep(keep_images=True)),
        ({"attacks": WATCHED, "record": "steps"}, Keep(keep_logits=True)),
        ({"record": "forces"}, Keep()),
    ],
)
def test_what_the_probe_measures_stays_silent_joined_or_not(toy_net, npz, tmp_path, changes, keep):
    wanted = recipe(toy_net(), npz, samples=7, **changes)
    measure.run(wanted, "test", Place(tables=tmp_path, shard=4, batch=2), keep)
    points = tmp_path / "test" / wanted.folder
    assert told(points) == []
    compact.compact(points)
    assert told(points) == []


IN_PROVENANCE = {
    "key": ({"key": "0123abcd"}, "its name has another key than its provenance, 0123abcd"),
    "decisive": ({"decisive": {"attack": PGD | {"steps": 7}}}, "its key is not that of what it was measured from"),
    "missing": ({"kept": None}, "its provenance is damaged (TypeError: "),
    "of natural images": ({"decisive": {"attack": None}}, "it is of natural images, and its folder is not"),
    "rows": ({"rows": 7}, "it has 6 rows, and its provenance says 7"),
    "images": ({"kept": ["keep_logits", "keep_images"]}, "-0-6.npz, are gone"),
    "logits": ({"kept": []}, "logits are kept, and its provenance says not"),
}


@pytest.mark.parametrize(("about", "line"), IN_PROVENANCE.values(), ids=IN_PROVENANCE)
def test_damage_in_provenance(points, about, line):
    _, path = pairs(points)
    if "decisive" in about:
        about["decisive"] = table.provenance(path)["decisive"] | about["decisive"]
    edit(path, about=about)
    found = told(points)
    assert any(what.startswith(f"{path}: ") and line in what for what in found), found


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read (ArrowInvalid: "),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read (ArrowInvalid: "),
        (lambda path: path.write_text("sample,energy\n"), "cannot be read (ArrowInvalid: "),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "is nothing of ours, and readers take it for a part"),
        (lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({"energylens": "{"}), path),
         "its provenance is damaged (JSONDecodeError: "),
    ],
    ids=["empty", "truncated", "text", "foreign parquet", "broken provenance"],
)  # fmt: skip
def test_unreadable_files_are_told_and_the_others_still_looked_at(points, damage, line):
    shard(points, "natural")
    first, last = shard(points, "pgd", stop=3), shard(points, "pgd", start=3, linf=[1.0] * 3)
    damage(first)
    found = told(points)
    assert found[0].startswith(f"{first}: {line}")
    assert found[1:] == [f"{last}: linf is above eps (3 rows, first sample 3)"]


def test_a_flipped_bit_is_seen_where_pages_have_checksums(points):
    _, path = pairs(points, kept=[])
    edit(path, use_dictionary=False, compression="none", write_page_checksum=True)
    entropy = pq.read_metadata(path).row_group(0).column(20)
    assert entropy.path_in_schema == "entropy"
    written = bytearray(path.read_bytes())
    written[entropy.data_page_offset + entropy.total_compressed_size - 1] ^= 1
    path.write_bytes(written)
    (line,) = told(points)
    assert line.startswith(f"{path}: cannot be read (")


@pytest.mark.parametrize(
    "place", ["notes.txt", "model=m/part-0123abcd-0-6.parquet", "model=m/attack=pgd/part-1.parquet", "backup/a.parquet",
              "model=n", "model=m/attack=fab", "model=m/attack=pgd/old/b.parquet"]
)  # fmt: skip
def test_strangers_that_readers_would_take_are_told(points, place):
    _, path = pairs(points)
    stranger = points / place
    stranger.parent.mkdir(exist_ok=True)
    shutil.copy(path, stranger)
    while stranger.parent not in (points, points / "model=m", points / "model=m" / "attack=pgd"):
        stranger = stranger.parent
    assert told(points) == [f"{stranger}: is nothing of ours, and readers take it for a part of the table; "
                            "move it out of the folder"]  # fmt: skip


def test_a_renamed_file_is_told(points):
    _, path = pairs(points)
    key = path.stem.split("-")[1]
    other = path.rename(path.with_name("part-0123abcd-0-6.parquet"))
    assert told(points) == [f"{other}: its name has another key than its provenance, {key}"]
    longer = other.rename(path.with_name(f"part-{key}-0-7.parquet"))
    assert told(points) == [f"{longer}: it has 6 images, and its name says 7"]
    later = longer.rename(path.with_name(f"part-{key}-1-7.parquet"))
    assert told(points) == [f"{later}: samples outside its name's range (1 image, first sample 0)"]


def test_overlapping_shards_are_told(points):
    shard(points, "natural")
    shard(points, "pgd", stop=4)
    path = shard(points, "pgd", start=2)
    assert told(points) == [
        f"{path}: 2 images of it are in files before it too, so readers take them twice; compact mends that"
    ]


def test_several_keys_under_one_name_are_told(points):
    shard(points, "natural")
    first = shard(points, "pgd", stop=3)
    other = shard(points, "pgd", start=3, settings=PGD | {"steps": 5})
    keys = sorted(path.stem.split("-")[1] for path in (first, other))
    listed = ", ".join(f"{key} (1 file)" for key in keys)
    assert told(points) == [f"{first.parent}: files of several keys, so measured from different things: {listed}"]


@pytest.mark.parametrize("fact", ["model_sha", "data_sha"])
def test_several_networks_or_sets_of_images_under_one_name_are_told(points, fact):
    natural = shard(points, "natural")
    path = shard(points, "pgd", decisive={fact: "other"})
    place = natural.relative_to(points / "model=m")
    assert told(points) == [f"{path}: {fact} not as in {place}: different things under one model name"]


def test_attacked_rows_without_natural_ones_are_told(points):
    shard(points, "natural", stop=3)
    path = shard(points, "pgd")
    alone = shard(points, "pgd", model="n")
    assert told(points) == [
        f"{path}: no natural row beside them (3 rows, first sample 3)",
        f"{alone}: no natural row beside them (6 rows, first sample 0)",
    ]


@pytest.mark.parametrize(
    ("attack", "ranges", "holes"),
    [
        ("natural", [(0, 2), (4, 6)], "2 to 4"),
        ("natural", [(2, 6)], "0 to 2"),
        ("pgd", [(0, 4), (1, 3), (5, 6)], "4 to 5"),
        ("pgd", [(0, 4)], "4 to 6"),
        ("pgd", [(1, 2), (3, 4), (5, 6)], "0 to 1, 2 to 3, 4 to 5"),
    ],
)
def test_images_that_no_file_has_are_a_note(points, attack, ranges, holes):
    other = "pgd" if attack == "natural" else "natural"
    shard(points, other, *(ranges[0] if other == "pgd" else ()))
    for start, stop in ranges:
        shard(points, attack, start, stop)
    found = [finding for finding in verify.problems(points) if f"attack={attack}" in str(finding.path)]
    notes = [str(finding) for finding in found if not finding.damage]
    where = points / "model=m" / f"attack={attack}"
    assert notes == [f"{where}: no images {holes}, of 6; a probe that asks for them measures them"]


def test_fewer_natural_images_than_another_probe_wanted_are_no_hole(points):
    pairs(points, stop=4)
    assert list(verify.problems(points)) == []


def test_what_killed_probes_leave_is_a_note(points):
    _, path = pairs(points)
    hidden = path.with_name(f".{path.name}.4711")
    hidden.write_bytes(b"PAR1 half")
    (finding,) = verify.problems(points)
    assert str(finding) == f"{hidden}: left by a killed probe, or just being written; readers skip it"
    assert not finding.damage


def test_points_among_steps_are_told(tmp_path):
    points = tmp_path / "steps"
    steps(points, "natural")
    path = shard(points, "pgd")
    names = "step, loss, cos_joint, cos_marginal, update_norm"
    assert told(points) == [f"{path}: its columns are not those of steps, in {names}; delete it and measure it again"]


def test_it_tells_how_far_it_is(points):
    shard(points, "natural", stop=4)
    shard(points, "natural", start=4)
    seen = []
    assert verify.images(points) == 6
    list(verify.problems(points, lambda images, rows: seen.append((images, rows))))
    assert seen == [(4, 4), (2, 2)]


def test_a_folder_that_may_not_be_read_is_told(points, monkeypatch):
    _, path = pairs(points)
    monkeypatch.setattr(os, "access", lambda folder, mode: folder != path.parent)
    assert told(points) == [f"{path.parent}: may not be read; change its permissions"]


def test_what_a_killed_compact_left_is_put_in_order_first(points):
    _, path = pairs(points)
    moved = points / compact.HIDDEN / "old" / path.parent.relative_to(points)
    moved.parent.mkdir(parents=True)
    path.parent.rename(moved)
    assert list(verify.problems(points)) == []
    assert path.exists()


def test_a_compact_at_work_is_a_note(points, monkeypatch):
    pairs(points)
    (points / compact.HIDDEN).mkdir()
    monkeypatch.setattr(compact, "recover", lambda points: None)
    (finding,) = verify.problems(points)
    assert str(finding) == f"{points / compact.HIDDEN}: table compact is at work, or was killed; readers skip it"
    assert not finding.damage


def test_a_file_that_goes_meanwhile_is_not_called_broken(points):
    shard(points, "natural", stop=3)
    path = shard(points, "natural", start=3)
    (finding,) = verify.problems(points, lambda images, rows: path.unlink(missing_ok=True))
    line = "was moved or joined while it was to be read; check again when nobody is at work"
    assert str(finding) == f"{path}: {line}"
