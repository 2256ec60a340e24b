"""Energies and accuracies of trainings as figures get them, and the command that draws from them."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from small_runs import RUN, train

from energylens import command, epochs, figure, roles
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.need import Where
from energylens.options import Place
from energylens.run_tables import Means, Rows
from energylens.table import pairs
from energylens.train.prepare import Energies
from energylens.trainings import Trainings, demo

SAT = replace(RUN, objective="sat", settings=replace(RUN.settings, select="last", ema=0.0))
NAME = "sat-digits-small-resnet+width=4-1"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs of 4 epochs: SAT measured after each, TRADES after every second, 6 images of each split."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder, SAT, Energies(every=1, samples=6))
    train(folder, replace(SAT, objective="trades"), Energies(every=2, samples=6))
    return folder


def given(runs: Path) -> Trainings:
    return Trainings((), "digits", given=tuple(sorted(runs.iterdir())))


def read(need, runs: Path) -> pd.DataFrame:
    return need.frame("made", Where(Place(), runs, runs), True)


def test_rows_are_those_of_the_files_with_what_the_runs_tell(runs):
    frame = read(Rows((given(runs),)), runs)
    assert frame["objective"].unique().tolist() == ["sat", "trades"]
    assert set(frame["train_seed"]) == {1}
    assert set(frame["split"]) == {"train"}
    counts = frame.groupby(["objective", "role"], observed=True).size()
    assert counts.to_dict() == {(run, role): 6 * n for run, n in (("sat", 5), ("trades", 3)) for role in ROLES}
    raw = pd.read_parquet(runs / NAME / "epochs")
    raw = raw[(raw["split"] == "train") & (raw["attack"] == "pgd-eps0.2-steps1")]
    mine = frame[(frame["objective"] == "sat") & (frame["role"] == "own")]
    assert sorted(mine["energy"]) == sorted(raw["energy"])


ROLES = ("natural", "own", "common")


def test_pairs_of_rows_are_of_one_run_epoch_and_image(runs):
    both = pairs(read(Rows((given(runs),), splits=("train", "test")), runs))
    assert len(both) == 8 * 6 * 3  # epochs x images x (own and PGD-20 on train, PGD-20 on test)
    assert both["kl_marginal"].to_numpy() == pytest.approx(both["delta_energy"].to_numpy(), abs=1e-5)


def test_the_last_epoch_and_the_first_images_alone(runs):
    frame = read(Rows((given(runs),), splits=("test",), last=True, samples=4), runs)
    assert set(frame["epoch"]) == {4}
    assert set(frame["role"]) == {"natural", "common"}
    assert frame["sample"].tolist() == [0, 1, 2, 3] * 4


def test_means_are_those_of_epochs(runs):
    frame = read(Means((given(runs),)), runs)
    wanted = epochs.means(sorted(runs.iterdir()))
    pd.testing.assert_series_equal(frame["delta_energy"], wanted["delta_energy"])
    assert set(frame["eps"]) == {0.2}
    assert set(frame["data"]) == {"digits"}


def test_pictures_tell_the_runs_without_folders(runs):
    need = Means((given(runs),))
    about = need.about(read(need, runs))
    assert about["keys"] == [NAME, NAME.replace("sat", "trades", 1)]
    assert about["recipe"][NAME]["settings"]["eps"] == 0.2
    assert str(runs) not in json.dumps(about)


def test_a_folder_without_description_goes_by_its_name(runs, tmp_path):
    """As energylens.watch leaves it."""
    shutil.copytree(runs / NAME / "epochs", tmp_path / "mine" / "epochs")
    frame = read(Rows((Trainings((), "digits", given=(tmp_path / "mine",)),)), tmp_path)
    assert frame["objective"].unique().tolist() == [NAME]
    assert set(frame["role"]) == set(ROLES)


def test_a_run_that_was_not_measured_is_told(runs, tmp_path):
    shutil.copytree(runs / NAME, tmp_path / NAME, ignore=lambda folder, names: {"epochs"} & set(names))
    with pytest.raises(UserError, match=f"no energies of epochs lie in {tmp_path / NAME}".replace("+", r"\+")):
        read(Means((Trainings((), "digits", given=(tmp_path / NAME,)),)), tmp_path)


@pytest.mark.parametrize(
    ("attack", "eps", "role"),
    [
        ("natural", None, "natural"),
        (PGD().name, 8 / 255, "common"),
        ("pgd", 0.2, "own"),
        ("pgd-eps0.2", 0.2, "common"),
        ("pgd-kl-eps0.2-steps10-starttiny", 0.2, "own"),
    ],
)
def test_the_common_attack_is_pgd_20_at_the_runs_own_radius(attack, eps, role):
    assert roles.role(attack, eps) == role


def test_two_folders_of_one_run_are_one_and_two_runs_of_one_name_are_refused(runs, tmp_path):
    twice = Means((Trainings((), "digits", given=(runs / NAME, runs / ".." / runs.name / NAME)),))
    pd.testing.assert_frame_equal(read(twice, runs), read(Means((Trainings((), "d", given=(runs / NAME,)),)), runs))
    shutil.copytree(runs / NAME, tmp_path / "copy")
    copied = Means((Trainings((), "digits", given=(runs / NAME, tmp_path / "copy")),))
    with pytest.raises(UserError, match=r"2 folders hold a run called 'sat-digits.*'; give one of them"):
        read(copied, runs)


@pytest.mark.parametrize("name", ["fig3", "tab1a", "fig1d"])
def test_a_run_with_a_subset_does_not_pass_for_an_ordinary_one(name, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / NAME, "apart")
    about = json.loads(Path("apart/run.json").read_text()) | {"subset": "classes:0,1", "subset_mode": "unperturbed"}
    Path("apart/run.json").write_text(json.dumps(about))
    assert draw(name, "--models", runs / NAME, "--models", "apart") == 2
    told = "apart was trained with --subset classes:0,1 and is no ordinary run; leave it out, or draw fig5a or transfer"
    assert told in capsys.readouterr().err


def test_a_run_that_was_trained_without_energies_says_how_it_is_had(tmp_path, monkeypatch):
    need = Means((demo("sat", seeds=(3,)),))
    (run,) = need.trainings[0].runs(tmp_path / "runs")
    folder = tmp_path / "runs" / run.name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run.facts("sha", "small-resnet:channels=1:classes=10")))
    (folder / "last.safetensors").write_bytes(b"")
    with pytest.raises(UserError) as error:
        need.frame("phases", Where(Place(), tmp_path / "runs"), True)
    assert f"the energies of {folder} were not measured while it was trained; delete it" in str(error.value)
    assert "python -m energylens.train sat --data digits --arch small-resnet --seed 3 --name demo-sat" in str(
        error.value
    )


def test_a_run_whose_training_has_not_ended_is_drawn_and_told(runs, tmp_path):
    shutil.copytree(runs / NAME, tmp_path / NAME)
    need = Means((Trainings((), "digits", given=(tmp_path / NAME,)),))
    assert need.remarks(Where(Place()), False) == []
    (tmp_path / NAME / "last.safetensors").unlink()
    assert need.remarks(Where(Place()), False) == [f"note: the training of {tmp_path / NAME} has not ended"]


def test_a_run_trained_with_pgd_20_has_one_attack_that_is_both():
    frame = pd.DataFrame(
        {"model": ["a", "a", "b", "b"], "split": "train", "role": ["own", "common", "natural", "common"]}
    )
    assert roles.of(frame, "own").index.tolist() == [0, 3]
    assert roles.of(frame, "common").index.tolist() == [1, 3]


def draw(*arguments) -> int:
    return command.run(figure.app, "test", list(map(str, arguments)))


def test_runs_of_ones_own_are_drawn_by_name(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = [part for folder in sorted(runs.iterdir()) for part in ("--models", folder)]
    assert draw("fig3", "fig1d", "drift", *named) == 0
    assert {path.name for path in Path("out").iterdir()} == {
        "fig3.png", "fig3.pdf", "fig1d.png", "fig1d.pdf", "drift.gif", "drift.provenance.json"
    }  # fmt: skip
    about = json.loads(Path("out/drift.provenance.json").read_text())
    assert about["recipes"]["drifts"][NAME]["objective"] == "sat"
    assert "claim: cannot tell" in capsys.readouterr().out


def test_figures_of_runs_need_no_torch(runs, tmp_path):
    named = [part for folder in sorted(runs.iterdir()) for part in ("--models", str(folder))]
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['figure', 'fig3', 'tab2a', 'terms', *{named!r}, '--no-measure', '--out', {str(tmp_path)!r}]\n"
        "try: runpy.run_module('energylens.figure', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
    assert len(list(tmp_path.glob("*.pdf"))) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fig3", "--format", "gif"], "unknown format of fig3 'gif'"),
        (["drift", "--format", "png"], "unknown format of drift 'png'"),
        (["tab1a", "--format", "png"], "unknown format of tab1a 'png'"),
        (
            ["fig3", "--no-measure"],
            "no finished run runs/demo-sat-1 and 1 other; train it: python -m energylens.train sat",
        ),
        (["tab1a", "--no-measure"], "out/evaluate.parquet has no row of these runs"),
        (["fig3", "--shuffle-seed", "1"], "--shuffle-seed 1 is a setting of attacks"),
    ],
)
def test_mistakes_are_one_line(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert draw(*arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err
    assert not Path("out").exists()


def test_a_probe_of_trainings_is_refused(capsys):
    from energylens import probe

    assert command.run(probe.app, "test", ["phases"]) == 2
    assert "phases is read from training runs; draw its figure, or probe another one" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_trained_and_evaluated(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert draw("fig3", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out.count("python -m energylens.train") == 2
    assert "2 runs missing, about " in out
    assert draw("tab1a", "--dry-run", "--models", runs / NAME) == 0
    assert "pgd: 1 run of 1 would be evaluated" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
