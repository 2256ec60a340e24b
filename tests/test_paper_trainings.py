"""The paper's recipes that read training runs, to their ends: runs of random weights where a user would place them."""

import shlex

import pandas as pd
import pytest
from placed_runs import CLASSES, data_set, place

from energylens import command, figure, paths
from energylens.recipe import recipes
from energylens.train import command as train_command
from energylens.train import engines, timing
from energylens.train.prepare import Energies
from energylens.train.settings import ARCHITECTURES

FIGURES = {
    "fig1b": ["drift"], "fig1c": ["drift"], "fig1d": ["drift"], "drift": ["drifts"], "fig3": ["phases"],
    "tab2a": ["rivals", "rivals_end"], "terms": ["trades_terms"],
    "fig5a": ["subsets_start", "subsets", "subsets_end"], "transfer": ["transfer"],
}  # fmt: skip
TABLES = {"tab1a": "table_1a", "tab1b": "table_1b", "tab1c": "table_1c"}


@pytest.fixture
def small(monkeypatch):
    """The paper's recipes with a small network; the slow test has the paper's own."""
    monkeypatch.setitem(ARCHITECTURES, "paper", "small-resnet:width=4")


@pytest.fixture(autouse=True)
def _quick_clock(monkeypatch):
    timing.clock.cache_clear()
    monkeypatch.setattr(timing, "_step", lambda run, name, images, device: 0.36 * images)


def run(tmp_path, *arguments):
    folders = {"--data-dir": "data", "--tables": "tables", "--runs": "runs", "--out": "out"}
    places = [str(part) for option, folder in folders.items() for part in (option, tmp_path / folder)]
    return command.run(figure.app, "test", [*arguments, "--scale", "paper", *places])


def wanted(tmp_path, analysis):
    """The runs of an analysis, each with its data set."""
    trainings = recipes(analysis)["paper"].trainings
    return [(made, one.data) for one in trainings for made in one.runs(tmp_path / "runs")]


def bring(tmp_path, analyses, labels=(3, 3, 3), measured=(1, 50, 100), seeds=(1, 2)):
    """Place the runs of these analyses and seeds, and their data."""
    for made, data in (one for analysis in analyses for one in wanted(tmp_path, analysis)):
        if made.settings.seed not in seeds:
            continue
        if not (tmp_path / "data" / data).exists():
            data_set(tmp_path / "data", data, labels)
        if not (tmp_path / "runs" / made.name).exists():
            place(made, tmp_path / "runs", tmp_path / "data", measured)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_at_paper_scale_reads_the_runs_that_lie_there(name, tmp_path, small, capsys):
    bring(tmp_path, FIGURES[name], labels=range(9) if name == "transfer" else (3, 3, 3))
    assert run(tmp_path, name) == 0
    out = capsys.readouterr().out
    drawn = [line for line in out.splitlines() if line.startswith("drawn: ")]
    assert len(drawn) == 2  # png and pdf; the animation and where it comes from
    assert out.count("claim: ") == len(paths.load("figures", name).CLAIMS)
    assert "missing, about" not in out


@pytest.mark.parametrize("name", [pytest.param("tab1a", marks=pytest.mark.slow), "tab1b", "tab1c"])
def test_a_table_at_paper_scale_evaluates_the_runs_that_lie_there(name, tmp_path, small, capsys):
    """All images are wrong without attack, so that AutoAttack has nothing to do: every accuracy is 0."""
    bring(tmp_path, [TABLES[name]], labels=(1, 1, 1), measured=())
    assert run(tmp_path, name) == 0
    out = capsys.readouterr().out
    assert ("runs missing" in out) == (name != "tab1b")  # seeds 3 to 5
    assert {path.suffix for path in (tmp_path / "out").glob(f"{name}.*")} == {
        ".txt", ".csv", ".md", ".tex", ".json"
    }  # fmt: skip
    found = pd.read_csv(tmp_path / "out" / f"{name}.csv")
    ours = found[found["seeds"] > 0]
    assert (ours["mean"] == 0).all()
    assert ours["seeds"].max() == (1 if name == "tab1b" else 2)
    assert set(ours["measure"]) == {"clean", "pgd", "autoattack"}


def test_a_table_shows_what_is_there_and_names_what_is_missing(tmp_path, small, capsys):
    """75 runs of 100 epochs (SVHN 30); one image takes 0.36 s here, and its energies a twelfth of it a pass."""
    made, data = wanted(tmp_path, "table_1a")[0]
    data_set(tmp_path / "data", data, (1, 1, 1))
    place(made, tmp_path / "runs", tmp_path / "data")
    assert run(tmp_path, "tab1a") == 0
    out = capsys.readouterr().out
    assert "74 runs missing, about " in out
    assert out.count("python -m energylens.train") == 74
    days = 50_000 * 100 * 0.36 / 86400
    where = f"--runs {tmp_path / 'runs'}"
    assert (
        f"sat --data cifar10 --arch small-resnet:width=4 --seed 2 --energies-every 0 {where}  # {days:.1f} days" in out
    )
    assert (tmp_path / "out" / "tab1a.txt").exists()


@pytest.mark.parametrize("analysis", ["drift", "phases", "rivals", "subsets", "transfer", "table_1a", "table_1c"])
def test_the_commands_that_are_named_train_the_runs_that_are_missing(analysis, tmp_path, monkeypatch):
    """As a user types them: the command's own run has the same name, recipe, images and measurements."""
    orders = []
    monkeypatch.setattr(engines, "engine", lambda *_: orders.append)
    for one in recipes(analysis)["paper"].trainings:
        for made in one.runs(tmp_path / "runs"):
            line = one.command(made, tmp_path / "runs")
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "energylens.train"]
            assert command.run(train_command.app, "test", words[3:]) == 0
            order = orders.pop()
            (typed,) = order.runs
            every = one.measured_every(made)
            assert order.energies == Energies(every, None if every == 0 else one.energies_samples)
            assert (typed.name, typed.settings, typed.data) == (made.name, made.settings, made.data)
            assert (typed.subset, typed.subset_mode, typed.subset_model) == (
                made.subset, made.subset_mode, made.subset_model
            )  # fmt: skip
            assert typed.arch == made.arch == "resnet18"


@pytest.mark.parametrize(("name", "missing"), [("fig3", 2), ("fig1b", 1), ("tab1b", 6)])
def test_without_runs_it_names_the_commands_and_the_hours_and_draws_nothing(name, missing, tmp_path, capsys):
    assert run(tmp_path, name) == 2
    told = capsys.readouterr()
    assert told.out.count("python -m energylens.train") == missing
    assert f"{missing} run{'s' * (missing > 1)} missing, about" in told.out
    assert told.err.count("\n") == 1
    assert f"not in {tmp_path / 'runs'}; train as said above, or name others with --models" in told.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_papers_own_network(tmp_path, capsys):
    """ResNet-18, 11 million parameters: figures 1b to 1d, Tables 1a on CIFAR-10, and 1b on 64x64 images."""
    assert ARCHITECTURES["paper"] == "resnet18"
    bring(tmp_path, ["drift"])
    assert run(tmp_path, "fig1b", "fig1c", "fig1d") == 0
    made, data = wanted(tmp_path, "table_1b")[0]
    data_set(tmp_path / "data", data, (1, 1, 1))
    place(made, tmp_path / "runs", tmp_path / "data")
    assert run(tmp_path, "tab1b") == 0
    assert "5 runs missing" in capsys.readouterr().out
    assert CLASSES[data] == 200
