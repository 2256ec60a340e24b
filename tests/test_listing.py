"""Tables of models: whole in a pipe and in files, the columns that fit in a terminal."""

import io
import json

import pandas as pd
import pytest

from energylens import command, models_command
from energylens.models import published


def run(*arguments: str) -> int:
    return command.run(models_command.app, "models", list(arguments))


def test_the_command_lists_them_as_text_csv_and_json(capsys):
    chosen = ("list", "--data", "cifar10", "--norm", "Linf", "--sort", "robust")
    assert run(*chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["Bartoldson2024Adversarial_WRN-94-16", "Linf", "8/255", "93.68", "73.71"]
    assert lines[-1].startswith("99 models; write a model as robustbench:cifar10/Linf/")
    assert run(*chosen, "--format", "csv") == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == 99
    assert run(*chosen, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["link"].startswith("https://")
    assert run("list", "--data", "Digits") == 0
    assert "9 models; write a model as demo:" in capsys.readouterr().out
    assert run("list", "--data", "digits", "--norm", "Linf") == 2
    assert "leave out the other conditions" in capsys.readouterr().err


def test_the_example_is_a_model_that_can_be_measured(capsys):
    assert run("list", "--norm", "corruptions", "--data", "cifar10") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "Diffenderfer2021Winning_LRR_CARD_Deck"
    assert lines[-1] == "23 models; write a model as robustbench:cifar10/corruptions/Diffenderfer2021Winning_LRR"
    refused = "Diffenderfer2021Winning_Binary_CARD_Deck, Diffenderfer2021Winning_LRR_CARD_Deck"
    assert lines[-2] == f"no logits, so no energies: {refused}"
    assert run("list", "--data", "cifar10", "--arch", "Neural ODE") == 0
    told = capsys.readouterr().out
    assert "called unreliable by RobustBench: Kang2021Stable" in told
    assert "1 model; write" in told


def listed(monkeypatch, capsys, width: int, *chosen: str) -> list[str]:
    """What a terminal of this width shows, but for the lines below the table."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("list", *chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    return lines[: next(row for row, line in enumerate(lines) if not line[:1].isupper() and row)]


@pytest.mark.parametrize(
    ("width", "chosen", "columns"),
    [
        (80, ("--data", "cifar10", "--norm", "Linf"), "name eps clean robust architecture"),
        (120, ("--data", "cifar10", "--norm", "Linf"),
         "name eps clean robust robust_by extra_data weights energies architecture"),
        (160, ("--data", "cifar10", "--norm", "Linf"),
         "name eps clean robust robust_by extra_data weights energies architecture venue"),
        (80, (), "name data norm eps clean robust"),
        (120, (), "name data norm eps clean robust extra_data architecture"),
        (160, (), "name data norm eps clean robust extra_data energies architecture venue"),
    ],
)  # fmt: skip
def test_a_terminal_shows_the_columns_that_fit(monkeypatch, capsys, width, chosen, columns):
    lines = listed(monkeypatch, capsys, width, *chosen)
    facts = published.select(*chosen[1::2])
    assert lines[0].split() == columns.split()
    assert max(map(len, lines)) <= width
    for line, (_, row) in zip(lines[1:], facts.iterrows(), strict=True):
        assert f"{row['clean']:.2f}" in line.split()
        assert f"{row['robust']:.2f}" in line.split()
        assert not row["eps"] or row["eps"] in line.split()
        shown = line.split()[0]
        assert row["name"].startswith(shown.removesuffix("…"))
        assert len(shown) >= min(len(row["name"]), 29)


def test_a_terminal_narrower_than_all_that_cuts_names_alone(monkeypatch, capsys):
    lines = listed(monkeypatch, capsys, 30, "--data", "cifar10", "--norm", "L2")
    assert lines[1].split() == ["Wang2023Bet…", "0.5", "95.54", "84.97"]
