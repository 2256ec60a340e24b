"""`python -m energylens.train`: what it makes, what it says, and one line for every mistake, before any work."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from energylens import command, models
from energylens.errors import UserError
from energylens.models import files
from energylens.references import run_command
from energylens.train import command as train
from energylens.train import loop
from energylens.train.checkpoints import save_state
from energylens.train.prepare import Energies, Place, prepared

QUICK = ["--arch", "small-resnet:width=4", "--epochs", "2", "--attack-steps", "1", "--batch", "20", "--samples", "50"]
NAME = "digits-small-resnet+width=4"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def typed(capsys, *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, output and errors."""
    code = command.run(train.app, "python -m energylens.train", [str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def test_several_objectives_and_seeds_each_have_a_folder(capsys):
    code, out, _ = typed(capsys, "sat", "mail-trades", "--seed", 1, "--seed", 2, *QUICK, "--energies-every", 0)
    assert code == 0
    names = [f"{objective}-{NAME}-{seed}" for objective in ("sat", "mail-trades") for seed in (1, 2)]
    assert [line.split(":")[0] for line in out] == [name for name in names for _ in range(2)]
    for name in names:
        about = files.metadata(Path(f"runs/{name}/last.safetensors"))
        assert name == f"{about['objective']}-{NAME}-{about['seed']}"


def test_the_same_command_again_trains_nothing(capsys):
    typed(capsys, "sat", *QUICK, "--energies-every", 0)
    code, out, _ = typed(capsys, "sat", *QUICK, "--energies-every", 0)
    assert (code, out) == (0, [f"sat-{NAME}-1: is there, in runs/sat-{NAME}-1"])


def test_lines_tell_what_is_trained_and_how_it_ended(capsys):
    _, out, _ = typed(capsys, "sat", *QUICK, "--energies-every", 0)
    assert (
        out[0]
        == f"sat-{NAME}-1: 50 images of digits:train, small-resnet:width=4:channels=1:classes=10, 2 epochs, eps 0.2"
    )
    assert re.fullmatch(
        rf"sat-{re.escape(NAME)}-1: loss [\d.]+, robust \(own attack, batches\) [\d.]+, [\d.]+ s; runs/.*", out[1]
    )


def test_a_run_that_goes_on_says_so(capsys):
    Path(f"runs/sat-{NAME}-1").mkdir(parents=True)
    run = train.runs(["sat"], train.What(samples=50, arch=QUICK[1]), {"epochs": 2, "attack_steps": 1, "batch": 20})[0]
    one = prepared(run, Place(), Energies(every=0))
    state = loop.begin(one.arch, one.objective, one.data, run.settings)
    one.folder.write_about(one.facts)
    save_state(one.folder.path, {"state": state.state_dict(), "rows": [], "best": -1.0})
    code, out, _ = typed(capsys, "sat", *QUICK, "--energies-every", 0)
    assert (code, out[0].startswith(f"sat-{NAME}-1: goes on, 50 images")) == (0, True)


def test_a_run_that_fails_is_told_and_the_others_are_trained(capsys, monkeypatch):
    def poisoned(net, objective, settings, epoch, x, *others):
        return x * (float("nan") if settings.seed == 1 else 1)

    monkeypatch.setattr(loop, "attacked", poisoned)
    code, _, err = typed(capsys, "sat", "--seed", 1, "--seed", 2, *QUICK, "--energies-every", 0)
    assert code == 2
    assert err.startswith(f"error: 1 of 2 runs failed; sat-{NAME}-1: the loss became nan in epoch 1, step 1 (ce_adv); ")
    assert Path(f"runs/sat-{NAME}-2/last.safetensors").exists()
    assert not Path(f"runs/sat-{NAME}-1/last.safetensors").exists()


def test_a_name_of_its_own_stands_for_a_run_beside_the_usual_one(capsys):
    typed(capsys, "trades", *QUICK, "--energies-every", 0)
    code, _, _ = typed(capsys, "trades", *QUICK, "--beta", 1, "--name", "trades-beta1", "--energies-every", 0)
    assert code == 0
    assert files.metadata(Path("runs/trades-beta1-1/last.safetensors"))["beta"] == 1
    assert {path.name for path in Path("runs").iterdir()} == {f"trades-{NAME}-1", "trades-beta1-1"}


@pytest.mark.parametrize(
    "arguments", [["sat"], ["standard", "--arch", "small-resnet:depth=10"], ["weat-adv", "--seed", "3"]]
)
def test_a_reference_to_a_run_that_is_missing_names_the_command_that_trains_it(arguments, capsys):
    (run,) = train.runs([arguments[0]], train.What(**_what(arguments[1:])), {})
    reference = f"runs/{run.name}/last.safetensors"
    told = run_command(reference).removeprefix("python -m energylens.train ").split()
    (again,) = train.runs([told[0]], train.What(**_what(told[1:])), {})
    assert again == run
    with pytest.raises(UserError, match=r"train it: python -m energylens.train"):
        models.load(reference)


def _what(options: list[str]) -> dict:
    pairs = dict(zip(options[::2], options[1::2], strict=True))
    made = {name.removeprefix("--"): value for name, value in pairs.items()}
    return made | ({"seed": [int(made["seed"])]} if "seed" in made else {})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["weat"], "error: unknown objective 'weat'; did you mean 'weat-nat'? available: standard, fgsm-at, sat"),
        (["sat", "--eps", "0"], "error: --eps 0 must be above 0; an attack of radius 0 moves nothing"),
        (["mail-at", "--burn-in", "25"], "error: --burn-in 25 lies beyond the 24 epochs; take fewer, or more --epochs"),
        (["trades", "--burn-in", "2"], "error: trades has no weights, so --burn-in changes nothing; leave it out"),
        (["trades", "--burn-in", "0"], "error: trades has no weights, so --burn-in changes nothing; leave it out"),
        (
            ["sat", "--energies-every", "0", "--energies-samples", "5"],
            "error: --energies-samples 5 changes nothing with --energies-every 0; leave one of them out",
        ),
        (["sat", "--energies-every", "0", "--test", "x.npz"], "error: --test x.npz changes nothing with --energies-"),
        (["standard", "fgsm-at", "--step-size", ".1"], "error: --step-size changes nothing for an objective without"),
        (["sat", "--normalize", "mean1"], "error: sat has no weights, so --normalize changes nothing; leave it out"),
        (["sat", "--arch", "small-resnet:classes=5"], "error: label 9 in digits is outside the 5 classes of model"),
        (["sat", "--arch", "small-resnet:channels=3"], "error: model 'small-resnet:channels=3' cannot read digits's"),
        (["sat", "--arch", "resnet19"], "error: unknown architecture 'resnet19'; did you mean 'resnet1"),
        (["sat", "--beta", "6"], "error: objective sat has no KL term for beta=6; leave beta out, or take one of "),
        (["standard", "--der", "1"], "error: objective standard has no attack for der=1; leave der out, or take sat"),
        (["sat", "--data", "cifar11"], "error: unknown data set 'cifar11'; did you mean 'cifar10'?"),
        (["sat", "--samples", "5000"], "error: --samples 5000: digits:train has 1297 images; ask for 1 to 1297"),
        (["sat", "--samples", "20", "--epochs", "2"], "error: 2 steps in all are too few for OneCycle; take more"),
        (["sat", "--select", "best-synthetic"], "error: --select best-synthetic and --synthetic FILE.npz go together"),
        (["sat", "--synthetic", "x.npz"], "error: --select best-synthetic and --synthetic FILE.npz go together"),
        (["sat", "--select", "best-val", "--val-images", "1297"], "error: --val-images 1297: there are 1297 training"),
        (["sat", "trades", "--name", "x"], "error: --name x names the runs of one objective; leave it out, or"),
        (["sat", "--name", "a/b"], "error: --name a/b cannot name a folder of --runs; use letters, digits, - and _"),
        (["sat", "--arch", "nets.py:mine"], "error: --arch nets.py:mine is no named architecture; a network of your"),
        (["sat", "--preset", "papers"], "error: unknown preset 'papers'; did you mean 'paper'?"),
        (["sat", "--lr", "fast"], "error: Invalid value for '--lr': Value error, 'fast' is no number; write"),
        (["sat", "--learning-rate", "1"], "error: unknown option '--learning-rate'"),
        (["sat", "--val-images", "5"], "error: --val-images changes nothing without --select best-val; leave it out"),
        (["sat", "--awp-warmup", "2"], "error: --awp-warmup changes nothing without --awp; leave it out"),
        (
            ["sat", "--momentum", "0.5"],
            "error: --momentum changes nothing but for sgd with --no-cycle-momentum; leave it out",
        ),
        (["fgsm-at", "--attack-steps", "5"], "error: --attack-steps changes nothing for an objective without them"),
        (["sat", "--seed", "99999999999999999999"], "error: --seed 99999999999999999999 must be at most 46"),
        (["jeat", "--buffer", "10"], "error: the replay buffer holds 10 images, fewer than a batch of 16; take a"),
        (["sat", "--device", "cuda:9"], "error: --device cuda:9 cannot be used here"),
        (["sat", "--test", "nothing.npz"], "error: no data at nothing.npz"),
    ],
)
def test_mistakes_are_one_line_before_any_work(arguments, text, capsys):
    code, out, err = typed(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert err.startswith(text), err
    assert not Path("runs").exists()


def test_test_images_that_the_network_cannot_read_are_told_before_any_work(capsys):
    np.savez("wide.npz", images=np.zeros((4, 16, 16, 3), np.uint8), labels=np.arange(4))
    code, _, err = typed(capsys, "sat", "--test", "wide.npz")
    assert (code, err.startswith("error: model 'small-resnet' cannot read wide.npz's [3, 16, 16] images")) == (2, True)
    assert not Path("runs").exists()


def test_other_settings_in_the_same_folder_are_told(capsys):
    typed(capsys, "sat", *QUICK, "--energies-every", 0)
    code, _, err = typed(capsys, "sat", *QUICK, "--lr", "0.1", "--energies-every", 0)
    assert code == 2
    assert err == (
        f"error: runs/sat-{NAME}-1 belongs to another run (--lr 0.4 there, 0.1 here); repeat its settings to go on "
        "with it, or take --name NAME, or another --runs\n"
    )


def test_energies_of_one_run_are_of_one_set_of_images(capsys):
    typed(capsys, "sat", *QUICK, "--energies-samples", 10)
    code, _, err = typed(capsys, "sat", *QUICK, "--energies-samples", 20)
    assert (code, "(--energies-samples 10 there, 20 here)" in err) == (2, True)
    code, _, err = typed(capsys, "sat", *QUICK)
    assert (code, "(--energies-samples 10 there, not given here)" in err) == (2, True)


def test_runs_that_cannot_be_written_are_told(capsys):
    Path("runs").write_text("")
    code, _, err = typed(capsys, "sat", *QUICK)
    assert code == 2
    assert err.endswith("/runs is no folder that can be written; choose another one with --runs\n")


def test_metrics_have_a_row_an_epoch(capsys):
    typed(capsys, "trades", *QUICK, "--energies-every", 0)
    table = pd.read_parquet(f"runs/trades-{NAME}-1/metrics.parquet")
    assert list(table["epoch"]) == [1, 2]
    assert {"loss", "ce_clean", "kl", "train_clean", "train_robust", "lr", "momentum", "seconds"} <= set(table.columns)
