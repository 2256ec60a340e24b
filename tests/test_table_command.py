"""`table check`, `summary` and `compact` as a user types them."""

import io
import subprocess
import sys

import pandas as pd
import pytest
from by_hand import ATTACKED, edit, pairs, put, shard, steps
from probing import recipe

from energylens import cli, command, compact, measure, table_command
from energylens.attacks import PGD
from energylens.options import Place


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tables(tmp_path):
    """Two tables, one of them with points and steps, as a probe leaves them."""
    pairs(tmp_path / "tables" / "a" / "points")
    pairs(tmp_path / "tables" / "b" / "points", model="n")
    steps(tmp_path / "tables" / "b" / "steps", "natural")
    (tmp_path / "tables" / "a" / "points" / "_lock").touch()
    return tmp_path / "tables"


def run(capsys, *arguments) -> tuple[int, list[str], list[str]]:
    """Exit code, and the lines on standard output and error, without those of progress."""
    code = command.run(table_command.app, "test", [str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), [line for line in err.splitlines() if not line.startswith("checked ")]


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("tables", "5 files, 30 rows: all right"),
        ("tables/a", "2 files, 12 rows: all right"),
        ("tables/b", "3 files, 18 rows: all right"),
        ("tables/b/points", "2 files, 12 rows: all right"),
        ("tables/b/steps/", "1 file, 6 rows: all right"),
    ],
)
def test_check_takes_a_folder_of_tables_or_one_or_its_points(tables, capsys, folder, line):
    assert run(capsys, "check", folder) == (0, [line], [])


def test_check_from_inside(tables, capsys, monkeypatch):
    monkeypatch.chdir(tables / "b" / "steps")
    assert run(capsys, "check", ".") == (0, ["1 file, 6 rows: all right"], [])


def test_a_table_may_be_called_points(tmp_path, capsys):
    pairs(tmp_path / "tables" / "points" / "points")
    for folder in ("tables", "tables/points", "tables/points/points"):
        assert run(capsys, "check", folder)[0] == 0


def test_check_tells_every_problem_in_a_line_and_counts_them(tables, capsys):
    (broken,) = tables.glob("a/points/*/attack=pgd/*.parquet")
    (wrong,) = tables.glob("b/points/*/attack=pgd/*.parquet")
    broken.write_bytes(b"")
    edit(wrong, put("linf", 2, 0.5))
    hidden = wrong.with_name(f".{wrong.name}.1")
    hidden.touch()
    code, out, err = run(capsys, "check", "tables")
    assert code == 2
    here = broken.parents[5]
    assert out[0].startswith(f"{broken.relative_to(here)}: cannot be read (ArrowInvalid: ")
    assert out[1:] == [
        f"note: {hidden.relative_to(here)}: left by a killed probe, or just being written; readers skip it",
        f"{wrong.relative_to(here)}: linf is above eps (1 row, first sample 2)",
    ]
    assert err == [
        "error: 2 problems in tables; the probe that made a file measures it again once it is deleted, and moves "
        "unreadable ones aside itself"
    ]


def test_check_notes_a_hole_and_says_so_at_its_end(tables, capsys):
    (whole,) = tables.glob("a/points/*/attack=pgd/*.parquet")
    whole.unlink()
    shard(tables / "a" / "points", "pgd", stop=2)
    shard(tables / "a" / "points", "pgd", start=4)
    where = "tables/a/points/model=m/attack=pgd"
    told = f"note: {where}: no images 2 to 4, of 6; a probe that asks for them measures them"
    assert run(capsys, "check", "tables/a") == (0, [told, "3 files, 10 rows: all right, 1 note"], [])


def test_check_says_that_it_checks(tables, capsys):
    command.run(table_command.app, "test", ["check", "tables/a"])
    assert capsys.readouterr().err.splitlines()[-1].startswith("checked 12 of 12 rows in ")


def test_what_is_deleted_is_measured_again(toy_net, npz, tmp_path, capsys):
    wanted, place = recipe(toy_net(), npz), Place(tables=tmp_path / "tables", shard=3)
    measure.run(wanted, "test", place)
    broken = sorted((tmp_path / "tables").glob("*/points/*/attack=pgd*/*.parquet"))[0]
    broken.write_bytes(broken.read_bytes()[:-9])
    assert run(capsys, "check", "tables")[0] == 2
    broken.unlink()
    measure.run(wanted, "test", place)
    capsys.readouterr()
    assert run(capsys, "check", "tables") == (0, ["4 files, 12 rows: all right"], [])


def test_problems_go_where_standard_output_goes_while_a_bar_is_on_the_terminal(tables, monkeypatch):
    """The bar takes sys.stdout over, and would write what is printed to the terminal."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    (broken,) = tables.glob("a/points/*/attack=pgd/*.parquet")
    broken.write_bytes(b"")
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setenv("TERM", "xterm")
    assert command.run(table_command.app, "test", ["check", "tables"]) == 2
    assert "cannot be read" in file.getvalue()
    assert "cannot be read" not in terminal.getvalue()


@pytest.mark.parametrize("name", ["check", "summary", "compact"])
def test_folders_without_tables_are_told_in_one_line(name, tmp_path, capsys):
    nothing = (
        "holds no energy table (NAME/points or NAME/steps, or a run's epochs); measure one: python -m energylens.probe"
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "hidden" / "points" / "_aside").mkdir(parents=True)
    (tmp_path / "file").touch()
    for folder in ("empty", "hidden"):
        assert run(capsys, name, folder) == (2, [], [f"error: {folder} {nothing}"])
    for folder in ("tabels", "file"):
        line = f"error: there is no folder {folder}; give one of tables, such as tables, or tables/NAME"
        assert run(capsys, name, folder) == (2, [], [line])
    assert run(capsys, name)[2] == ["error: Missing argument 'DIR'."]


def test_check_tells_strangers_in_a_folder_without_tables(tmp_path, capsys):
    stranger = tmp_path / "tables" / "a" / "points" / "part-1.parquet"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    code, (line,), _ = run(capsys, "check", "tables")
    assert code == 2
    assert line.startswith("tables/a/points/part-1.parquet: is nothing of ours")


def test_summary_writes_text(tables, capsys):
    assert run(capsys, "summary", "tables/a") == (
        0,
        [
            "tables/a/points:",
            "",
            "model  attack   images  accuracy %    E(x)  E(x, y)  E(x) - E(x*)",
            "m      natural       6       83.33  -3.374   -2.833             -",
            "m      pgd           6       16.67  -2.639   -0.833        -0.735",
        ],
        [],
    )


def test_summary_of_several_tables(tables, capsys):
    code, out, _ = run(capsys, "summary", "tables", "--format", "markdown")
    assert code == 0
    assert [line for line in out if line.endswith(":")] == ["tables/a/points:", "tables/b/points:", "tables/b/steps:"]
    assert out.count("|---|---|---:|---:|---:|---:|---:|") == 3


def test_summary_as_csv(tables, capsys):
    code, out, err = run(capsys, "summary", "tables", "--format", "csv")
    assert (code, err) == (0, [])
    frame = pd.read_csv(io.StringIO("\n".join(out)))
    assert list(frame)[:4] == ["table", "model", "attack", "images"]
    assert frame["table"].tolist() == ["tables/a/points"] * 2 + ["tables/b/points"] * 2 + ["tables/b/steps"]
    assert frame["accuracy"].tolist() == pytest.approx([500 / 6, 100 / 6, 500 / 6, 100 / 6, 500 / 6])


def test_summary_as_csv_warns_on_standard_error(tmp_path, capsys):
    broken = ATTACKED * float("nan")
    shard(tmp_path / "tables" / "a" / "points", "pgd", logits=broken)
    _, out, err = run(capsys, "summary", "tables", "--format", "csv")
    assert len(out) == 3
    assert err == ["warning: 6 of 6 images of m under pgd gave NaN; they count as wrong and are left out of the means"]


def test_summary_as_csv_compares_the_images_of_a_table_with_its_own(tables, capsys):
    shard(tables / "b" / "points", "natural", model="o", stop=3)
    shard(tables / "c" / "points", "natural", stop=3)
    _, _, err = run(capsys, "summary", "tables", "--format", "csv")
    assert err == ["note: fewer than 6 images: o under natural (3); means over other images do not compare"]


def test_summary_refuses_formats_that_it_does_not_know(tables, capsys):
    code, out, err = run(capsys, "summary", "tables", "--format", "txt")
    assert (code, out) == (2, [])
    assert err == ["error: unknown format 'txt'; did you mean 'text'? available: text, markdown, csv"]


def test_compact_is_called_for_each_folder(tables, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(compact, "compact", lambda points, say: asked.append(points) or say("joined"))
    assert run(capsys, "compact", "tables") == (0, ["joined"] * 3, [])
    assert [str(points) for points in asked] == ["tables/a/points", "tables/b/points", "tables/b/steps"]


def test_compact_then_check_and_the_same_summary(toy_net, npz, tmp_path, capsys):
    wanted = recipe(toy_net(), npz, attacks=(PGD(eps=0.1, steps=2), PGD(eps=0.2, steps=2)))
    measure.run(wanted, "test", Place(tables=tmp_path / "tables", shard=2))
    capsys.readouterr()
    _, before, _ = run(capsys, "summary", "tables")
    assert run(capsys, "compact", "tables")[0] == 0
    assert run(capsys, "check", "tables") == (0, ["3 files, 18 rows: all right"], [])
    assert run(capsys, "summary", "tables")[1] == before


def test_the_module_and_the_console_script_have_them(tables, capsys):
    assert command.run(cli.app(), "energylens", ["table", "check", "tables"]) == 0
    assert capsys.readouterr().out == "5 files, 30 rows: all right\n"
    arguments = [sys.executable, "-W", "error", "-m", "energylens.table", "check", "tables/a"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert done.stdout == "2 files, 12 rows: all right\n"


def test_help_and_summary_import_no_torch(tables):
    code = (
        "import sys\nfrom energylens import command, table_command\n"
        "assert command.run(table_command.app, 'test', ['check', '--help']) == 0\n"
        "assert 'pandas' not in sys.modules\n"
        "assert command.run(table_command.app, 'test', ['summary', 'tables']) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
