"""Commands as a user types them: what they make, and one line with exit code 2 for every mistake."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from energylens import command, figure, probe
from energylens import models_command as models

FIGURE = ["fig4", "--models", "SAT=demo:sat", "--models", "TRADES=demo:trades", "--samples", "6"]


def run(module, *arguments: str) -> int:
    return command.run(module.app, "test", [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


def test_figure_measures_draws_and_gives_its_verdicts(capsys):
    assert run(figure, *FIGURE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["images", "drawn", "drawn", "claim", "claim", "claim", "claim"]
    assert lines[0] == "images: digits, first 6 of 500 test images"
    assert Path("out/fig4.pdf").read_bytes().startswith(b"%PDF")
    with Image.open("out/fig4.png") as picture:
        assert picture.width == pytest.approx(4.8 * 300, abs=2)


def test_pictures_name_their_table_and_recipe_and_embed_their_fonts():
    run(figure, *FIGURE)
    with Image.open("out/fig4.png") as picture:
        about = json.loads(picture.text["Description"])
    recipe = about["recipes"]["delta_energy"]
    assert recipe["models"] == ["demo:sat", "demo:trades"]
    assert recipe["attacks"][0]["eps"] == 0.2
    assert len(about["tables"]["delta_energy"]) == 4
    pdf = Path("out/fig4.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert b"delta_energy" in pdf


def test_no_measure_draws_the_same_table_without_torch_or_checkpoint():
    run(figure, *FIGURE)
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['figure', *{[*FIGURE, '--no-measure']!r}]\n"
        "try: runpy.run_module('energylens.figure', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    Path("out/fig4.png").unlink()
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)
    assert Path("out/fig4.png").exists()


def test_no_measure_refuses_a_table_of_other_data(capsys):
    run(figure, *FIGURE)
    assert run(figure, *FIGURE, "--no-measure", "--data", "digits:train") == 2
    assert "is of images digits:test, not digits:train" in capsys.readouterr().err
    assert run(figure, "fig4", "--models", "SAT=demo:trades", "--samples", "6", "--no-measure") == 2
    assert "is of model demo:sat, not demo:trades" in capsys.readouterr().err
    assert run(figure, *FIGURE, "--no-measure", "--shuffle-seed", "3") == 2
    assert "is of shuffle seed None, not 3" in capsys.readouterr().err
    assert run(figure, *FIGURE, "--no-measure", "--eps", "0.1") == 2
    assert "no table of 'SAT' under 'pgd-eps0.1'" in capsys.readouterr().err


def test_a_dry_run_says_what_is_missing_and_writes_nothing(capsys):
    assert run(figure, "fig4", "--samples", "20", "--models", "demo:sat", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "images: digits, first 20 of 500 test images"
    assert lines[-1].startswith("missing: 2 shards, 40 rows; about ")
    probed = ("mine", "--models", "demo:sat", "--data", "digits:test", "--attack", "fgsm:eps=0.2", "--samples", "20")
    assert run(probe, *probed, "--shard", "10", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("missing: 4 shards, 40 rows; about ")
    assert list(Path().iterdir()) == []


def test_several_formats():
    assert run(figure, *FIGURE, "--format", "svg", "--format", "pdf") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["fig4.pdf", "fig4.svg"]


def test_probe_records_a_table_of_a_users_own_model(toy_net, npz, capsys):
    path = toy_net()
    arguments = [
        "mine",
        "--models",
        f"{path}:toy",
        "--data",
        npz,
        "--attack",
        "pgd:steps=2:eps=8/255",
        "--attack",
        "pgd-kl:steps=2",
    ]
    assert run(probe, *arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "table: tables/mine/points"
    found = pd.read_parquet("tables/mine/points")
    assert set(found["attack"]) == {"natural", "pgd-steps2", "pgd-kl-steps2"}
    assert len(found) == 36


def test_check_reports_accuracy_with_its_interval(capsys):
    assert run(models, "check", "demo:sat", "--data", "digits:test", "--samples", "200") == 0
    out = capsys.readouterr().out
    assert "10 classes, 19,962 parameters, logits" in out
    assert "first 200 of 500 test images" in out
    assert "clean accuracy" in out


def mistakes(tmp_path, toy_net):
    bad = toy_net("return logits.log_softmax(1)", "bad.py")
    return {
        "figure": [
            (["fig44"], "unknown figure 'fig44'; did you mean 'fig4'? available: chain, drift, fig"),
            (["fig4", "--scale", "papers"], "unknown scale 'papers'; did you mean 'paper'? available: demo, paper"),
            (["fig4", "--format", "jpg"], "unknown format of fig4 'jpg'"),
            (["fig4", "--sample", "3"], "unknown option '--sample'; did you mean '--samples'? available: --scale"),
            (["fig4", "--eps", "a"], "'a' is no number; write for example 0.03 or 8/255"),
            (["fig4", "--eps", "0"], "PGD(eps=0.0): eps must be a number, above 0"),
            (["fig4", "--samples", "x"], "--samples"),
            (["fig4", "--samples", "0"], "--samples 0: digits:test has 500 images"),
            (["fig4", "--models", "demo:stat"], "unknown demo network 'stat'"),
            (["fig4", "--data", "cifar", "--eps", "0.1"], "unknown data set 'cifar'; did you mean 'cifar10'?"),
            (["fig4", "--models", "a=demo:sat", "--models", "a=demo:trades"], "two models are called 'a'"),
            (["fig4", "--models", f"{bad}:toy", "--data", "digits"], "cannot read digits's [1, 16, 16] images"),
            (["fig4", "--models", f"{bad}:toy"], "is not of the demo zoo, so say its images: --data"),
            (["fig4", "--data", "cifar10:test"], "eps 0.2 is for digits:test; for cifar10:test say --eps 8/255"),
            (["fig4", "--device", "cuda:99", "--samples", "2"], "--device cuda:99 cannot be used here"),
            (["fig4", "--no-measure"], "no table of 'std-6' under 'natural'"),
            (["fig4", "--models", "demo:sat", "--models", "demo:sat"], "model demo:sat is named twice"),
            (["fig4", "--eps", "1e400"], "'1e400' is no number"),
            (["fig4", "--seed", "99999999999999999999"], "seed must be a whole number"),
            (["fig4", "--models", "dem:sat", "--data", "digits"], "reference 'dem'; did you mean 'demo'?"),
            (["fig4", "--models", f"{bad}", "--data", "digits"], f"write {bad}:FUNCTION"),
            (["fig4", "--out", f"{tmp_path}/toy.npz"], "choose another one with --out"),
            ([], "Missing argument 'NAME...'"),
        ],
        "probe": [
            (["--attack", "pdg"], "unknown attack 'pdg'; did you mean 'pgd'? available: pgd, pgd-kl, pgd-t"),
            (["--attack", "pgd:stepss=3"], "unknown setting of attack pgd 'stepss'; did you mean 'steps'?"),
            (["mine"], "'mine' is no shipped analysis ("),
            (["--attack", "pgd:eps=0.1", "--eps", "0.2"], "attack pgd:eps=0.1 says eps, and eps 0.2 is said of all"),
            (["delta_energy", "--scale", "papers"], "unknown scale 'papers'; did you mean 'paper'?"),
            (["../out", "--models", "demo:sat", "--data", "digits"], "'../out' cannot name a table"),
            (["t", "--models", "=demo:sat", "--data", "digits"], "gives no usable name"),
            (["t", "--models", "demo:sat", "--data", "digits", "--tables", f"{tmp_path}/toy.npz"], "with --tables"),
        ],
        "models": [
            ([], "--help"),
            (["chek"], "unknown command 'chek'; did you mean 'check'? available: list, fetch, check"),
            (["check", "nothing"], "'nothing' is no model reference; write demo:NAME"),
            (["check", f"{bad}:toy", "--data", f"{tmp_path}/toy.npz"], "so its energies mean nothing"),
        ],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["figure", "probe", "models"])
def test_every_mistake_is_one_line_with_exit_code_2_and_leaves_nothing(name, tmp_path, toy_net, npz, capsys):
    module = {"figure": figure, "probe": probe, "models": models}[name]
    for arguments, text in mistakes(tmp_path, toy_net)[name]:
        assert run(module, *arguments) == 2, arguments
        error = capsys.readouterr().err
        assert text in error, (arguments, error)
        assert error.count("\n") == 1, error
        assert not list(Path().iterdir()), arguments


def test_a_malicious_checkpoint_is_one_line_and_runs_nothing(tmp_path, capsys):
    import os

    import torch

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it-ran"),)

    torch.save({"state_dict": Payload()}, tmp_path / "w.pt")
    assert run(figure, "fig4", "--models", f"{tmp_path}/w.pt@resnet18", "--data", "digits") == 2
    error = capsys.readouterr().err
    assert "wants to run code" in error
    assert "--trust-checkpoint" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "it-ran").exists()
    assert not list(Path().iterdir())


def test_an_interrupt_is_not_a_traceback(monkeypatch, capsys):
    from energylens import measure

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "run", interrupt)
    assert run(figure, "fig4") == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_names_every_option_and_imports_no_torch():
    code = (
        "import sys, runpy\nsys.argv = ['figure', '--help']\n"
        "try: runpy.run_module('energylens.figure', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'pandas', 'matplotlib'} & sys.modules.keys()\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for option in (
        "--scale",
        "--models",
        "--data",
        "--samples",
        "--eps",
        "--format",
        "--no-measure",
        "--trust-checkpoint",
    ):
        assert option in out


def test_the_console_script_has_the_same_commands(capsys):
    from energylens import cli

    assert command.run(cli.app(), "energylens", ["figure", "fig44"]) == 2
    assert "did you mean 'fig4'?" in capsys.readouterr().err
    assert command.run(cli.app(), "energylens", ["models", "check", "demo:sat", "--samples", "20"]) == 0


def test_progress_tells_how_far_and_how_long(capsys, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with command.progress(8) as advance:
        for _ in range(4):
            advance(2)
    assert capsys.readouterr().err.splitlines()[1] == "measured 4 of 8 rows in 2 s, 2 s left"
