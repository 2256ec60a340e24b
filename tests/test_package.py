"""The wheel carries analyses and figures and draws from any folder; the README's commands and example run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from energylens import cli, command, draw, paths
from energylens.errors import UserError
from energylens.options import Choice

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    import os

    done = subprocess.run(
        arguments, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_draws_figure_4_from_another_folder(tmp_path):
    run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)],
        tmp_path,
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = "import energylens; print(energylens.__file__)"
    assert str(site) in run([sys.executable, "-c", code], elsewhere, PYTHONPATH=str(site))
    arguments = [
        "-m",
        "energylens.figure",
        "fig4",
        "--samples",
        "8",
        "--models",
        "demo:sat",
        "--models",
        "demo:trades",
    ]
    run([sys.executable, *arguments], elsewhere, PYTHONPATH=str(site))
    assert sorted(path.name for path in (elsewhere / "out").iterdir()) == ["fig4.pdf", "fig4.png"]


def test_shipped_names():
    assert "fig4" in paths.names("figures")
    assert "delta_energy" in paths.names("analyses")
    assert paths.shipped("figures") == ROOT / "figures"


def test_figures_have_hyphens_where_their_files_have_underscores():
    assert "jeat-flatness" in paths.names("figures")
    assert "jeat_flatness" not in paths.names("figures")
    assert paths.load("figures", "jeat_flatness") is paths.load("figures", "jeat-flatness")
    assert draw.job("jeat_flatness", "demo", Choice(), None).name == "jeat-flatness"
    assert "delta_energy" in paths.names("analyses")
    with pytest.raises(UserError, match="unknown analysis 'delta-energy'; did you mean 'delta_energy'"):
        paths.load("analyses", "delta-energy")


def blocks(language: str, path: Path = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def test_the_readmes_pandas_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.run(cli.app(), "energylens", ["figure", "fig4", "--samples", "30"]) == 0
    (example,) = blocks("python")
    capsys.readouterr()
    exec(compile(example, str(README), "exec"), {})
    printed = capsys.readouterr().out
    for name in ("std-6", "SAT", "TRADES", "WEAT-ADV"):
        assert name in printed


def test_the_python_example_of_the_docs_runs(capsys):
    """SAT's mean Delta E on the digits is negative: PGD raises its energy."""
    (example,) = blocks("python", ROOT / "docs" / "api.md")
    exec(compile(example, "api.md", "exec"), {})
    value = re.search(r"tensor\((-\d+\.\d+)", capsys.readouterr().out)
    assert float(value[1]) == pytest.approx(-1.08, abs=0.4)


def test_the_readmes_commands_parse():
    """Every `python -m energylens...` line names a command whose options exist."""
    found = [
        line for block in blocks("bash") for line in block.splitlines() if line.startswith("python -m energylens.")
    ]
    assert found
    for line in found:
        _, _, module, *arguments = shlex.split(line)
        names = module.split(".")[1:]
        assert command.run(cli.app(), "energylens", [*names, *arguments, "--help"]) == 0, line


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", "\n".join(blocks("bash")), re.MULTILINE):
        assert f"\n{target}: " in makefile


def test_citation_is_valid_yaml_with_the_version():
    import yaml

    from energylens import __version__

    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert about["version"] == __version__
    assert about["title"]


def test_reading_a_table_needs_pandas_alone(tmp_path):
    arguments = [
        "probe",
        "t",
        "--models",
        "demo:sat",
        "--data",
        "digits",
        "--samples",
        "5",
        "--tables",
        str(tmp_path),
    ]
    assert command.run(cli.app(), "energylens", arguments) == 0
    assert len(pd.read_parquet(tmp_path / "t" / "points")) == 10
