"""--tensorboard: a point an epoch for every metric, none twice where a run goes on."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from small_runs import NONE, RUN, changed, ready

from energylens import command
from energylens.train import course, tensorboard
from energylens.train.command import app
from energylens.train.order import Order
from energylens.train.prepare import Place
from energylens.train.processes import Alone

SHORT = changed(RUN, epochs=3)


@pytest.fixture(scope="module")
def accumulator():
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'energylens[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator


def points(accumulator, folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = accumulator(str(folder / "_tensorboard"))
    read.Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def check(accumulator, folder: Path) -> None:
    """Its points are its metrics."""
    rows = pd.read_parquet(folder / "metrics.parquet")
    found = points(accumulator, folder)
    assert set(found) == set(rows.columns) - {"epoch"}
    for name, events in found.items():
        assert [step for step, _ in events] == list(rows["epoch"])
        assert [value for _, value in events] == pytest.approx(list(rows[name]), rel=1e-6)


def test_every_metric_has_a_point_an_epoch(accumulator, tmp_path):
    Order((SHORT,), Place(tmp_path), NONE, tensorboard=True).train(Alone())
    check(accumulator, tmp_path / SHORT.name)


@pytest.mark.parametrize("killed", ["before the point", "after the point"])
def test_a_run_that_goes_on_doubles_no_point(accumulator, tmp_path, killed):
    made = ready(tmp_path, SHORT)

    def stop(row: dict, epochs: int) -> None:
        if killed == "after the point" or row["epoch"] == 1:
            write(row, epochs)
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with tensorboard.writing(made.folder.path) as write, pytest.raises(KeyboardInterrupt):
        course.train(made, Alone(), stop)
    Order((SHORT,), Place(tmp_path), NONE, tensorboard=True).train(Alone())
    check(accumulator, made.folder.path)


def test_a_finished_run_writes_nothing(tmp_path):
    Order((SHORT,), Place(tmp_path), NONE).train(Alone())
    Order((SHORT,), Place(tmp_path), NONE, tensorboard=True).train(Alone())
    assert not (tmp_path / SHORT.name / "_tensorboard").exists()


def test_without_tensorboard_one_line_says_what_to_type(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert command.run(app, "train", ["sat", "--tensorboard"]) == 2
    out, error = capsys.readouterr()
    assert error == "error: --tensorboard needs TensorBoard; type: pip install 'energylens[tensorboard]'\n"
    assert not out
    assert not list(tmp_path.iterdir())
