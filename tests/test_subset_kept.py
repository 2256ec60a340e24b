"""A run keeps its subset: killed, it goes on with the same images; another subset is another run."""

import json
import signal
from pathlib import Path

import pandas as pd
import pytest
from dying import Death
from small_runs import NONE, child, ready, train
from toy_subsets import HIGH, N, make, same, toy_run

from energylens.errors import UserError
from energylens.train import children, cluster, course
from energylens.train.order import Order
from energylens.train.prepare import Energies, Place
from energylens.train.processes import Alone


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    """A folder of its own with the toy images and networks."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    return tmp_path


@pytest.mark.parametrize("call", [1, 2, 3, 6])
def test_a_killed_run_goes_on_with_its_images_though_the_network_is_gone(toy, call):
    """Killed before each of its files; the network is needed again only where its subset was not yet kept."""
    run = toy_run("high")
    whole = train(toy / "whole", run)
    process, _ = child(toy / "runs", run, NONE, Death("replace", call, "before"))
    process.join(60)
    if call > 2:
        Path("nets.py").unlink()
    made = ready(toy / "runs", run)
    assert (process.exitcode == -signal.SIGKILL) != made.folder.done
    course.train(made, Alone())
    assert same(made, whole)


def test_the_images_that_are_kept_count_and_not_those_that_would_be_found_now(toy):
    process, _ = child(toy / "runs", toy_run("high"), NONE, Death("replace", 4, "before"))
    process.join(60)
    path = ready(toy / "runs", toy_run("high")).folder.path
    rows = pd.read_parquet(path / "subset.parquet")
    rows.iloc[:2].to_parquet(path / "subset.parquet")
    assert list(ready(toy / "runs", toy_run("high")).subset.rows["sample"]) == list(HIGH[:2])


def unfinished(folder: Path) -> Path:
    """The folder of a run that lacks its last file alone."""
    path = train(folder, toy_run("high")).folder.path
    (path / "last.safetensors").unlink()
    return path


def test_other_weights_under_the_networks_name_are_told(toy, monkeypatch):
    unfinished(toy / "runs")
    monkeypatch.setattr("energylens.models.identity.sha", lambda net: "that of another one")
    with pytest.raises(UserError, match=r"^.*belongs to another run \(other weights of nets.py:by_hand\); take --name"):
        ready(toy / "runs", toy_run("high"))


@pytest.mark.parametrize("damage", ["cut", "gone", "foreign"])
def test_a_damaged_subset_is_told(toy, damage):
    path = unfinished(toy / "runs") / "subset.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "gone":
        path.unlink()
    else:
        pd.DataFrame({"sample": [N], "label": [0]}).to_parquet(path)
    with pytest.raises(
        UserError, match=r"subset.parquet (cannot be read|is not of this run's training images).*delete"
    ):
        ready(toy / "runs", toy_run("high"))


@pytest.mark.parametrize("measured", [0, 1])
def test_a_finished_run_asks_neither_its_network_nor_its_subset(toy, monkeypatch, measured):
    path = train(toy / "runs", toy_run("high", "removed"), Energies(every=measured)).folder.path
    (path / "subset.parquet").unlink()
    monkeypatch.setattr("energylens.models.load", lambda *given: pytest.fail("loaded"))
    made = ready(toy / "runs", toy_run("high", "removed"), Energies(every=measured))
    course.train(made, Alone(), lambda row, epochs: pytest.fail("trained"))
    (path / "last.safetensors").unlink()
    with pytest.raises(UserError, match=r"held a run that is gone now; give the command once more"):
        course.train(made, Alone())


def test_a_subset_that_was_left_of_another_run_goes(toy):
    """Killed between its subset and its description, a run leaves the one without the other."""
    made = ready(toy / "runs", toy_run(None, title="mine"))
    made.folder.path.mkdir(parents=True)
    (made.folder.path / "subset.parquet").write_text("of a subset")
    course.train(made, Alone())
    assert not (made.folder.path / "subset.parquet").exists()


def test_what_another_process_will_measure_is_not_measured(toy, monkeypatch):
    """The network is looked for all the same."""
    monkeypatch.setattr("energylens.train.subset.measured", lambda *given: pytest.fail("measured"))
    order = Order((toy_run("high", "removed"),), Place(toy / "runs"), NONE)
    (made,) = order.ready(2, measure=False)
    assert made.subset is None
    missing = Order((toy_run("high", subset_model="nets.py:none"),), Place(toy / "runs"), NONE)
    with pytest.raises(UserError, match="none"):
        missing.ready(measure=False)
    (classes,) = Order((toy_run("classes:1"),), Place(toy / "runs"), NONE).ready(measure=False)
    assert len(classes.subset) == 20


@pytest.mark.parametrize("train", [cluster.train, children.train])
def test_the_head_of_others_measures_no_subset(toy, monkeypatch, train):
    class Asked(Exception):
        pass

    def ready(self, processes=1, measure=True):
        raise Asked(measure)

    monkeypatch.setattr(Order, "ready", ready)
    with pytest.raises(Asked, match="False"):
        train(Order((toy_run("high"),), Place(toy / "runs"), NONE), None if train is cluster.train else 1)


def test_a_subset_and_none_are_two_runs(toy):
    made = train(toy / "runs", toy_run("high", title="mine"))
    with pytest.raises(
        UserError, match=r"another run \(--subset high there, not given here; --subset-mode unperturbed"
    ):
        ready(toy / "runs", toy_run(None, title="mine"))
    with pytest.raises(UserError, match=r"\(--subset-model nets.py:by_hand there, nets.py:right here\)"):
        ready(toy / "runs", toy_run("high", title="mine", subset_model="nets.py:right"))
    assert made.folder.done


def test_a_run_from_before_there_were_subsets_is_one_without(toy):
    made = train(toy / "runs", toy_run(None))
    path = made.folder.path / "run.json"
    about = json.loads(path.read_text())
    old = {name: value for name, value in about.items() if not name.startswith("subset")}
    assert len(old) < len(about)
    path.write_text(json.dumps(old))
    assert ready(toy / "runs", toy_run(None)).folder.done


class Half(Alone):
    """The second of two processes, whose first one found other images."""

    rank, size = 1, 2

    def first(self, work):
        return pd.DataFrame({"sample": [1, 2], "label": [1, 0]})


def test_all_processes_take_the_images_of_the_first(toy):
    for mode, count in (("unperturbed", N), ("removed", N - 2)):
        made = course._agreed(ready(toy / "runs", toy_run("high", mode)), Half())
        assert (len(made.data), list(made.subset.rows["sample"])) == (count, [1, 2])
