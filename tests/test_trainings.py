"""Trainings that figures are drawn from: which they are, whose folder is whose, what is trained and what is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from energylens.errors import UserError
from energylens.need import Where
from energylens.options import Place
from energylens.run_tables import Means, Rows
from energylens.train import timing
from energylens.train.settings import ARCHITECTURES
from energylens.trainings import Trainings, demo, paper, there

QUICK = Trainings(
    ("sat",), "digits", changes={"epochs": 4, "attack_steps": 1, "batch": 256}, title="t", every=2,
    energies_samples=5, here=True,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "demo", "small-resnet:width=4")


def where(folder: Path) -> Where:
    return Where(Place(tables=folder / "tables"), folder / "runs", folder / "out")


def names(trainings: Trainings) -> list[str]:
    return [run.name for run in trainings.runs(Path("runs"))]


def test_each_objective_is_trained_with_each_seed_and_each_subset_ordinary_ones_first():
    made = demo("sat", "trades", seeds=(1, 2), subsets=(("high", "removed"), None))
    assert names(made) == [
        "demo-sat-1", "demo-sat-2", "demo-trades-1", "demo-trades-2", "demo-sat-high-removed-1",
        "demo-sat-high-removed-2", "demo-trades-high-removed-1", "demo-trades-high-removed-2",
    ]  # fmt: skip
    subset = made.runs(Path("runs"))[5]
    assert (subset.subset, subset.subset_mode, subset.subset_model) == ("high", "removed", "runs/demo-sat-2")


def test_the_papers_runs_have_the_names_that_the_command_gives_them():
    assert names(paper("weat-adv", data="cifar100")) == ["weat-adv-cifar100-resnet18-1"]
    assert names(paper("sat", subsets=(("classes:0,1", "unperturbed"),))) == [
        "sat-classes-0-1-unperturbed-cifar10-resnet18-1"
    ]


def test_the_paper_gives_weat_adv_beta_7_on_cifar_100_and_svhn_30_epochs():
    (weat,) = paper("weat-adv", data="cifar100").runs(Path())
    (svhn,) = paper("sat", data="svhn").runs(Path())
    assert (weat.settings.beta, weat.settings.epochs, svhn.settings.epochs) == (7, 100, 30)


def test_what_is_missing_is_trained_once_and_the_first_seed_alone_is_measured(tmp_path, capsys):
    need = Rows((replace(QUICK, seeds=(3, 4)),))
    need.bring(where(tmp_path))
    first, second = tmp_path / "runs" / "t-sat-3", tmp_path / "runs" / "t-sat-4"
    assert need.folders(where(tmp_path)) == [first, second]
    assert len(list(first.rglob("train-*.parquet"))) == 3 * 3  # epochs 0, 2, 4: natural, own, PGD-20
    assert not list(second.rglob("train-*.parquet"))
    before = (first / "last.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    need.bring(where(tmp_path))
    assert (first / "last.safetensors").stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


def test_the_first_network_of_subsets_is_trained_before_them(tmp_path):
    need = Means((replace(QUICK, subsets=(("misclassified", "removed"), None)),), apart=True)
    need.measure("subsets", where(tmp_path))
    frame = need.frame("subsets", where(tmp_path), True)
    assert list(frame["model"].cat.categories) == ["t-sat-1", "t-sat-misclassified-removed-1"]
    sizes = frame.groupby("model", observed=True)["subset_size"].first()
    assert sizes.isna().tolist() == [True, False]
    about = json.loads((tmp_path / "runs" / "t-sat-misclassified-removed-1" / "run.json").read_text())
    assert sizes.iloc[1] == about["subset_size"] > 0


def described(folder: Path, **changes) -> Path:
    """A folder with the description of the first run of QUICK, changed."""
    (run,) = QUICK.runs(folder)
    about = run.facts("sha", "small-resnet:width=4:channels=1:classes=10") | changes
    (folder / run.name).mkdir(parents=True)
    (folder / run.name / "run.json").write_text(json.dumps(about))
    return folder / run.name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objective": "trades"}, "objective trades there, sat here"),
        ({"data": "cifar10:train"}, "--data cifar10:train there, digits:train here"),
        ({"samples": 100}, "--samples 100 there, not given here"),
        ({"shuffle_seed": 5}, "--shuffle-seed 5 there, not given here"),
        ({"subset_model": "another"}, "--subset-model another there, not given here"),
        (
            {"arch": "small-resnet:width=4:depth=10:channels=1"},
            "--arch small-resnet:width=4:depth=10 there, small-resnet:width=4 here",
        ),
    ],
)
def test_a_folder_of_another_run_is_refused_with_what_differs(changes, told, tmp_path):
    folder = described(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        there(folder, QUICK.runs(tmp_path)[0])
    assert f"{folder} belongs to another run ({told})" in str(error.value)


def test_a_run_that_has_not_ended_is_missing_whatever_is_measured_of_it(tmp_path):
    folder = described(tmp_path, energies_samples=77)
    (run,) = QUICK.runs(tmp_path)
    assert not there(folder, run)
    (folder / "last.safetensors").write_bytes(b"")
    assert there(folder, run)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"eps": 0.1}, "--eps 0.1 is a setting of attacks; this figure reads training runs: leave it out"),
        ({"precision": "bf16"}, "--precision bf16 is a setting of attacks"),
        ({"data": "cifar10"}, "--data cifar10 wants --scale paper, or runs that are there: --models runs/NAME"),
        ({"models": ["runs/none"]}, "no such run: runs/none"),
        ({"models": ["SAT=runs/none"]}, "runs go by the names of their folders; leave SAT= out"),
        ({"models": ["runs/none"], "seed": 7}, "--seed 7: the runs that --models names have their own; leave it out"),
        ({"data": "digits:test"}, "--data digits:test: runs are trained on training images; say --data digits"),
        (
            {"models": ["runs/sat-cifar10-resnet18-2"]},
            "train it: python -m energylens.train sat --data cifar10 --arch resnet18 --seed 2",
        ),
    ],
)
def test_choices_that_trainings_have_no_use_for_are_told(given, told):
    with pytest.raises(UserError, match=r".") as error:
        Means((demo("sat"),)).override(**given)
    assert told in str(error.value)


def test_means_are_of_all_images_and_rows_of_the_first():
    with pytest.raises(UserError, match="--samples 5: here are means over all images that were measured; leave it out"):
        Means((demo("sat"),)).override(samples=5)
    assert Rows((demo("sat"),)).override(samples=5).samples == 5
    with pytest.raises(UserError, match="--samples 0: ask for at least 1"):
        Rows((demo("sat"),)).override(samples=0)


def test_the_split_of_training_images_may_be_said():
    (run,) = paper("sat").override(data="cifar100:train").runs(Path())
    assert (run.name, run.data) == ("sat-cifar100-resnet18-1", "cifar100:train")


def test_titles_of_the_papers_runs_tell_their_data():
    made = replace(paper("sat"), title="pgd5")
    assert names(made) == ["pgd5-sat-cifar10-1"]
    assert names(made.override(data="svhn")) == ["pgd5-sat-svhn-1"]


def test_folders_that_a_user_names_stand_for_all(tmp_path):
    (tmp_path / "mine").mkdir()
    need = Means((paper("sat"), paper("trades"))).override(models=[str(tmp_path / "mine" / "last.safetensors")])
    assert need.folders(where(tmp_path)) == [tmp_path / "mine"]
    assert need.missing(where(tmp_path)) == []


def test_the_time_is_a_steps_seconds_times_images_epochs_and_passes(monkeypatch):
    """0.6 s an image and step of PGD-10, so 0.05 s a pass; 50,000 images, 100 epochs; energies of 1,000 + 1,000
    images at 51 moments: 1,000 (10 + 20) and 1,000 x 20 passes each."""
    monkeypatch.setattr(timing, "_step", lambda run, name, images, device: {16: 9.6}[images])
    (run,) = paper("sat").runs(Path())
    clock = timing.Clock("cpu")
    plain = 0.6 * 50_000 * 100
    assert clock.seconds(run, 0, None) == pytest.approx(plain)
    assert clock.seconds(run, 2, 1000) == pytest.approx(plain + 0.05 * 51 * 50_000)


def test_training_without_attack_has_two_passes_a_step(monkeypatch):
    monkeypatch.setattr(timing, "_step", lambda run, name, images, device: {16: 9.6}[images])
    (run,) = paper("standard").runs(Path())
    clock = timing.Clock("cpu")
    plain = 0.6 * 50_000 * 100
    assert clock.seconds(run, 100, 1000) == pytest.approx(plain + 0.3 * 2 * 40_000)


def test_a_quick_step_is_timed_with_a_whole_batch(monkeypatch):
    monkeypatch.setattr(timing, "_step", lambda run, name, images, device: {16: 0.4, 128: 1.28}[images])
    (run,) = paper("sat").runs(Path())
    assert timing.Clock("cpu").seconds(run, 0, None) == pytest.approx(0.01 * 50_000 * 100)


@pytest.mark.parametrize("changes", [{}, {"epochs": 1, "batch": 64}, {"awp": 0.005, "awp_warmup": 1}])
def test_a_step_is_really_timed(changes):
    (run,) = replace(QUICK, changes=QUICK.changes | changes).runs(Path())
    assert 0 < timing.Clock("cpu").seconds(run, None, None) < 3600


def test_the_time_of_data_of_unknown_size_is_not_guessed():
    run = replace(paper("sat").runs(Path())[0], data="mine:train")
    assert timing.Clock("cpu").seconds(run, 0, None) is None
