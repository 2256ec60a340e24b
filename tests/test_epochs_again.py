"""Energies while training: a killed run goes on, and measures what is missing and nothing else."""

import multiprocessing
import signal

import pandas as pd
import pytest
from dying import Death
from telemetry import FULL, SHORT, Sloped, dies, grey, measured, selected, sets

from energylens import epochs
from energylens.errors import UserError
from energylens.train.epochs import record

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["energylens.train.epochs"])


@pytest.fixture
def run(tmp_path):
    return tmp_path / "runs" / "sat-toy-1"


def times(run) -> dict[str, int]:
    return {str(path.relative_to(run / "epochs")): path.stat().st_mtime_ns for path in run.rglob("*.parquet")}


class Counted(Sloped):
    """Keeps the number of images of each call."""

    calls: list = []  # noqa: RUF012 - an attribute of the instance would be a part of the network's identity

    def forward(self, x):
        self.calls.append(len(x))
        return super().forward(x)


@pytest.fixture
def counted():
    Counted.calls.clear()
    return Counted()


def test_natural_rows_are_measured_once_however_many_attacks(run, counted):
    """PGD of n steps takes n gradients; beside them one pass for all natural images and one at each end."""
    record(counted, run, "r", 0, sets()[:1])
    assert counted.calls == [6] * (1 + (SHORT.steps + 1) + (FULL.steps + 1))


def test_what_is_there_is_not_measured_again(run, counted):
    assert len(record(counted, run, "r", 0, sets())) == 5
    before = times(run)
    counted.calls.clear()
    assert record(counted, run, "r", 0, sets()) == []
    assert (counted.calls, times(run)) == ([], before)


def test_only_the_missing_file_is_measured(run, counted):
    written = record(counted, run, "r", 0, sets())
    before = times(run)
    lost = next(path for path in written if "steps2" in str(path))
    lost.unlink()
    counted.calls.clear()
    assert record(counted, run, "r", 0, sets()) == [lost]
    assert counted.calls == [6] * (1 + SHORT.steps + 1)
    after = times(run)
    assert {name for name in after if after[name] != before[name]} == {str(lost.relative_to(run / "epochs"))}


@pytest.mark.parametrize(
    "death",
    [
        Death("write_table", 3, "before"),
        Death("write_table", 3, "within"),
        Death("write_table", 3, "after"),
        Death("replace", 3, "before"),
        Death("replace", 3, "after"),
    ],
    ids=str,
)
def test_a_run_killed_between_two_files_goes_on(run, tmp_path, death):
    process = FORKS.Process(target=dies, args=(run, death))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    whole = times(run)
    assert len(whole) == (3 if str(death) == "after replace 3" else 2)
    net = Sloped()
    assert len(record(net, run, "r", 0, sets())) == 5 - len(whole)
    assert whole.items() <= times(run).items()
    measured(tmp_path / "whole")
    columns = ["sample", "energy", "kl_marginal", "clean_correct", "key"]
    ours, theirs = (epochs.open(folder, columns=columns) for folder in (run, tmp_path / "whole"))
    assert ours.drop(columns="key").equals(theirs.drop(columns="key"))
    assert ours["key"].tolist() == theirs["key"].tolist()


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"slope": 2.0}, 5),
        ({"precision": "bf16"}, 3),
        ({"keep_logits": True}, 5),
        ({"sets": [("train", selected(grey(), 0, 2, 4), (SHORT, FULL)), sets()[1]]}, 3),
        ({"batch": 2}, 0),
        ({"epoch": 1}, 5),
    ],
)
def test_files_of_another_key_are_replaced(run, changes, again):
    """bf16 is of the search alone: natural rows stay. Another three images are other rows of the same set."""
    measured(run)
    before = times(run)
    measured(run, **changes)
    after = times(run)
    assert sum(after[name] != before.get(name) for name in after) == again
    assert len(after) == (10 if "epoch" in changes else 5)
    assert len(epochs.means(run)) == len([name for name in after if "natural" not in name])


def test_what_cannot_be_read_is_measured_again_and_what_is_not_ours_is_left(run):
    measured(run)
    broken, foreign = sorted(run.rglob("test-0000.parquet"))
    broken.write_bytes(broken.read_bytes()[:-9])
    measured(run)
    assert len(epochs.open(run)) == 6 * 3 + 4 * 2
    pd.DataFrame({"mine": [1]}).to_parquet(foreign)
    with pytest.raises(UserError, match="is no energy table of ours; move it out of the folder"):
        measured(run)
    assert list(pd.read_parquet(foreign, columns=["mine"])) == ["mine"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*; choose another folder with --runs"):
        measured(tmp_path / "file" / "run")
