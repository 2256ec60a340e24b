"""`table check` and `summary` of a training run's energies: every fault that is put into a file is told."""

import numpy as np
import pandas as pd
import pytest
from by_hand import edit, fill, put
from telemetry import measured

from energylens import command, epoch_checks, table_command


@pytest.fixture
def epochs(tmp_path):
    for epoch in (0, 1):
        measured(tmp_path / "runs" / "r", epoch, slope=0.3 + epoch)
    return tmp_path / "runs" / "r" / "epochs"


def file(epochs, attack="pgd-eps0.1", name="train-0001"):
    return epochs / "model=r" / f"attack={attack}" / f"{name}.parquet"


def told(epochs) -> list[str]:
    return [str(finding) for finding in epoch_checks.problems(epochs)]


def run(capsys, *arguments) -> tuple[int, list[str], list[str]]:
    code = command.run(table_command.app, "test", [str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), [line for line in err.splitlines() if not line.startswith("checked ")]


@pytest.mark.parametrize("options", [{}, {"keep_logits": True}])
def test_what_a_run_writes_is_all_right(tmp_path, options):
    measured(tmp_path, **options)
    assert told(tmp_path / "epochs") == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (put("kl_marginal", 2, 9.0), "kl_marginal is not E(x) - E(x*) (1 row, first sample 2)"),
        (
            put("kl_conditional", 1, -9.0),
            "kl_conditional + kl_marginal, a divergence, is below 0 (1 row, first sample 1)",
        ),
        (put("kl_conditional", 1, None), "no number in one of kl_conditional, kl_marginal (1 row, first sample 1)"),
        (fill("epoch", [3] * 6), "epoch is not that of its name (6 rows, first sample 0)"),
        (put("linf", 0, 0.5), "linf is above eps (1 row, first sample 0)"),
        (put("ce", 3, 9.0), "ce is not joint_energy - energy (1 row, first sample 3)"),
    ],
)
def test_faults_in_attacked_rows(epochs, change, what):
    edit(file(epochs), change)
    assert told(epochs) == [f"{file(epochs)}: {what}"]


def test_an_image_that_stands_twice(epochs):
    edit(file(epochs), put("sample", 5, 4))
    assert told(epochs)[0] == f"{file(epochs)}: images stand in it twice: 6 rows of 5 images"


def test_natural_rows_have_no_terms(epochs):
    natural = file(epochs, "natural")
    edit(natural, put("kl_marginal", 0, 0.0))
    assert told(epochs) == [f"{natural}: natural images with kl_conditional or kl_marginal (1 row, first sample 0)"]


def test_files_under_the_names_of_others(epochs):
    """Epoch 0 under the name of epoch 1: rows, network and energies are of another epoch."""
    file(epochs).write_bytes(file(epochs, name="train-0000").read_bytes())
    file(epochs, name="val-0001").write_bytes(file(epochs).read_bytes())
    lines = told(epochs)
    assert f"{file(epochs)}: model_sha not as beside it, so of another network: delete the older file" in lines
    assert f"{file(epochs)}: epoch is not that of its name (6 rows, first sample 0)" in lines
    assert f"{file(epochs, name='val-0001')}: its name has another split than its provenance, train" in lines


def test_strangers_leftovers_and_broken_files(epochs, capsys, monkeypatch):
    monkeypatch.chdir(epochs.parents[2])
    hidden = file(epochs).with_name(".train-0002.parquet.17")
    hidden.touch()
    (epochs / "notes.txt").touch()
    file(epochs, name="part-1").touch()
    broken = file(epochs, "natural")
    broken.write_bytes(b"")
    code, out, err = run(capsys, "check", "runs")
    assert code == 2
    assert out[0].startswith("runs/r/epochs/notes.txt: is nothing of ours")
    assert out[1].split("/")[-1].startswith("part-1.parquet: is nothing of ours")
    assert out[2].startswith("note: ")
    assert out[2].endswith(".17: left by a killed run, or just being written; readers skip it")
    assert "train-0001.parquet: cannot be read (ArrowInvalid: " in out[3]
    assert err[0].endswith(
        "problems in runs; a run writes a file again once it is deleted and that epoch is trained again"
    )


def test_the_commands_take_a_run_or_all_of_them(epochs, capsys, monkeypatch):
    monkeypatch.chdir(epochs.parents[2])
    for folder in ("runs", "runs/r", "runs/r/epochs"):
        assert run(capsys, "check", folder) == (0, ["10 files, 52 rows: all right"], [])
    assert run(capsys, "compact", "runs") == (
        0, ["runs/r/epochs: left as it is, a file for each split and epoch"], []
    )  # fmt: skip


def test_summary_has_a_line_for_each_epoch(epochs, capsys, monkeypatch):
    monkeypatch.chdir(epochs.parents[2])
    code, out, err = run(capsys, "summary", "runs")
    assert (code, out[0], err) == (0, "runs/r/epochs:", [])
    assert out[2].split()[:7] == ["model", "split", "attack", "epoch", "images", "accuracy", "%"]
    assert [line.split()[:4] for line in out[3:5]] == [["r", "test", "pgd-eps0.1", str(epoch)] for epoch in (0, 1)]
    assert len(out) == 3 + 6
    _, out, _ = run(capsys, "summary", "runs", "--format", "csv")
    rows = pd.DataFrame([line.split(",") for line in out[1:]], columns=out[0].split(","))
    assert rows["accuracy_natural"].astype(float).tolist() == [100] * 6
    assert np.isfinite(rows["delta_energy"].astype(float)).all()
