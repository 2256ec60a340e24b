"""Subsets of the training images: which they are, and that they are not attacked, or not trained on."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dying import Death
from safetensors.torch import load_file
from small_runs import NONE, child, ready, train, weights

from energylens import command, data, epochs
from energylens.errors import UserError
from energylens.models import files
from energylens.references import run_command
from energylens.train import command as train_command
from energylens.train import course, pick
from energylens.train.prepare import Energies, Ready
from energylens.train.processes import Alone, Both
from energylens.train.runs import Run
from energylens.train.settings import recipe
from energylens.train.subset import checked

N, WRONG = 40, (0, 8, 17)
"""images, and those that the network of NETS gets wrong"""
HIGH, LOW = (6, 23, 29), (11, 28, 34)
"""by hand: of the right ones, those of the lowest and highest second pixel, (7 i mod 40) / 40"""
NETS = """
import torch
from torch import nn

class ByHand(nn.Module):
    '''Class 1 where the first pixel is bright; E(x) is -10 - 8 (second pixel) - log(1 + exp(-20)).'''
    def forward(self, x):
        bright, second = x[:, 0, 0, 0], x[:, 0, 0, 1]
        sign = 2 * bright - 1
        return torch.stack([8 * second - 10 * sign, 8 * second + 10 * sign], 1)

def by_hand():
    return ByHand()

class Right(ByHand):
    '''Knows the classes by heart, which stand in the third pixel.'''
    def forward(self, x):
        return 9 * torch.stack([1 - x[:, 0, 0, 2], x[:, 0, 0, 2]], 1)

def right():
    return Right()

class Left(Right):
    def forward(self, x):
        return 12 - super().forward(x)

def left():
    return Left()
"""
SETTINGS = recipe("demo", "sat", "digits", epochs=4, attack_steps=2, batch=16)


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    """Images whose first pixels say what the networks of nets.py make of them."""
    monkeypatch.chdir(tmp_path)
    rng, at = np.random.default_rng(0), np.arange(N)
    images, labels = rng.random((N, 16, 16, 1)).astype(np.float32), at % 2
    images[:, 0, 0, 0] = np.where(np.isin(at, WRONG), 1 - labels, labels)
    images[:, 0, 1, 0] = (7 * at % N) / N
    images[:, 0, 2, 0] = labels
    np.savez("toy.npz", images=images, labels=labels)
    Path("nets.py").write_text(NETS)
    return tmp_path


def toy_run(which: str | None, mode: str | None = "unperturbed", **changes) -> Run:
    named = which and not which.startswith("classes:")
    run = Run("sat", "toy.npz", "small-resnet:width=4", SETTINGS)
    run = replace(run, subset=which, subset_mode=mode if which else None)
    return replace(run, **{"subset_model": "nets.py:by_hand" if named else None} | changes)


def sizes(made: Ready) -> tuple[int, int]:
    """Images of the subset, images that are trained on."""
    return len(made.subset), len(made.data)


@pytest.mark.parametrize(
    ("which", "images"),
    [
        ("misclassified", WRONG),
        ("high", HIGH),
        ("low", LOW),
        ("classes:1", range(1, N, 2)),
        ("classes:0,1", range(N)),
    ],
)
def test_the_images_are_those_that_one_finds_by_hand(toy, which, images):
    made = ready(toy / "runs", toy_run(which))
    assert tuple(made.subset.rows["sample"]) == tuple(images)
    assert torch.equal(made.subset.natural.nonzero().flatten(), torch.tensor(list(images)))
    if which in ("misclassified", "high", "low"):
        energies = made.subset.rows["energy"].to_numpy()
        np.testing.assert_allclose(energies, -10 - 8 * (7 * np.array(images) % N) / N, atol=1e-5)
        assert (made.subset.rows["pred"] != made.subset.rows["label"]).all() == (which == "misclassified")


def test_places_are_those_in_the_split_also_of_drawn_images(toy):
    made = ready(toy / "runs", toy_run("misclassified", samples=30, shuffle_seed=3))
    drawn = data.load("toy.npz", samples=30, shuffle_seed=3).index
    assert list(made.subset.rows["sample"]) == [place for place in drawn if place in WRONG]
    assert not set(made.subset.rows["sample"]) - set(WRONG)


def test_equal_energies_take_the_first_images():
    found = pd.DataFrame({"sample": range(6), "label": 0, "pred": [0, 1, 0, 0, 1, 0], "energy": -1.0})
    assert [list(pick.pick(which, found, "net")["sample"]) for which in ("high", "low")] == [[0, 2], [0, 2]]


def test_an_image_without_a_class_is_misclassified():
    found = pd.DataFrame({"sample": range(3), "label": 0, "pred": [0, -1, 0], "energy": [-1.0, np.nan, -2.0]})
    assert list(pick.pick("misclassified", found, "net")["sample"]) == [1]
    assert list(pick.pick("low", found, "net")["sample"]) == [2]


def same(one: Ready, other: Ready) -> bool:
    mine, theirs = weights(one), weights(other)
    return all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_with_every_image_unperturbed_adversarial_training_is_standard_training(toy):
    everything = train(toy / "runs", toy_run("classes:0,1"))
    standard = train(toy / "runs", toy_run(None, objective="standard"))
    assert same(everything, standard)
    assert not same(everything, train(toy / "runs", toy_run("classes:0")))


def test_removed_images_are_as_if_they_had_never_been_there(toy):
    """The last ten images are a class of their own: without them the set is that of the first thirty."""
    saved = dict(np.load("toy.npz"))
    saved["labels"][30:] = 2
    np.savez("toy.npz", **saved)
    removed = train(toy / "runs", toy_run("classes:2", "removed"))
    assert sizes(removed) == (10, 30)
    assert same(removed, train(toy / "runs", toy_run(None, samples=30, title="thirty")))


@pytest.mark.parametrize("objective", ["sat", "trades", "weat-adv", "mail-at", "jeat"])
def test_these_images_and_no_others_stay_as_they_are(toy, objective, monkeypatch):
    """Told apart by their second pixel before the attack; AWP takes the same images, JEAT's negatives come behind."""
    seen = []
    real = Both.forward

    def forward(self, x, x_adv):
        seen.append((x, x_adv[: len(x)]))
        return real(self, x, x_adv)

    monkeypatch.setattr(Both, "forward", forward)
    changes = {"sgld_steps": 1, "buffer": 16} if objective == "jeat" else {"awp": 0.005, "awp_warmup": 1}
    run = toy_run("high", objective=objective, settings=replace(SETTINGS, epochs=2, **changes))
    train(toy / "runs", run)
    assert len(seen) == 6 if objective == "jeat" else 9
    for x, x_adv in seen:
        places = (x[:, 0, 0, 1] * N).round().int() * 23 % N  # 7 * 23 = 161 = 1 mod 40
        left = (x == x_adv).flatten(1).all(1)
        assert set(places[left].tolist()) == set(places.tolist()) & set(HIGH)


def test_energies_are_measured_on_all_training_images(toy):
    made = train(toy / "runs", toy_run("misclassified", "removed"), Energies(every=4))
    assert set(epochs.open(made.folder.path, splits="train")["sample"]) == set(range(N))
    assert sizes(made) == (3, 37)


def test_images_held_out_for_the_selection_are_in_no_subset(toy):
    settings = replace(SETTINGS, select="best-val", val_images=20, epochs=9)
    made = ready(toy / "runs", toy_run("classes:0", "removed", settings=settings))
    assert len(made.subset) + len(made.data) + len(made.apart) == N
    assert not set(made.subset.rows["sample"]) & set(made.apart.index)


def test_a_run_tells_its_subset_in_its_description_and_its_checkpoint(toy):
    made = train(toy / "runs", toy_run("high"))
    assert made.folder.path.name == "sat-high-unperturbed-toy-npz-small-resnet+width=4-1".replace("toy-npz", "toy.npz")
    about = json.loads((made.folder.path / "run.json").read_text())
    told = {"subset": "high", "subset_mode": "unperturbed", "subset_model": "nets.py:by_hand", "subset_size": 3}
    assert {name: about[name] for name in told} == told
    assert len(about["subset_model_sha"]) == 64
    metadata = files.metadata(made.folder.path / "last.safetensors")
    assert {name: metadata[name] for name in told} == told
    assert list(pd.read_parquet(made.folder.path / "subset.parquet")["sample"]) == list(HIGH)


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


def test_other_weights_under_the_networks_name_are_told(toy, monkeypatch):
    train(toy / "runs", toy_run("high"))
    monkeypatch.setattr("energylens.models.identity.sha", lambda net: "that of another one")
    with pytest.raises(UserError, match=r"^.*belongs to another run \(other weights of nets.py:by_hand\); take --name"):
        ready(toy / "runs", toy_run("high"))


@pytest.mark.parametrize("damage", ["cut", "gone", "foreign"])
def test_a_damaged_subset_is_told(toy, damage):
    path = train(toy / "runs", toy_run("high")).folder.path / "subset.parquet"
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


# --- as a user types it -------------------------------------------------------------------------------------------

QUICK = ["--arch", "small-resnet:width=4", "--epochs", "3", "--attack-steps", "1", "--batch", "20", "--samples", "120"]
QUIET = ["--energies-every", "0"]


def typed(capsys, *arguments: str) -> tuple[int, list[str], str]:
    code = command.run(train_command.app, "python -m energylens.train", list(arguments))
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def test_the_usual_first_network_is_the_sat_run_beside_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["trades", *QUICK, *QUIET, "--subset", "misclassified"]
    code, out, err = typed(capsys, *arguments)
    name = "sat-digits-small-resnet+width=4-1"
    assert (code, out) == (2, [])
    assert err == (
        f"error: --subset misclassified asks the network of runs/{name}, which is not there; train it: python -m "
        "energylens.train sat --data digits --arch small-resnet:width=4 --seed 1, or name another one with "
        "--subset-model\n"
    )
    assert not Path("runs").exists()
    typed(capsys, "sat", *QUICK, *QUIET)
    code, out, err = typed(capsys, *arguments, "--subset-mode", "removed")
    assert code == 0, err
    count = len(pd.read_parquet(f"runs/trades-misclassified-removed-{name[4:]}/subset.parquet"))
    assert out[1].endswith(f"-1: subset: {count} of 120 images misclassified by {name}, removed")
    assert f": {120 - count} images of digits:train" in out[0]
    about = json.loads(Path(f"runs/trades-misclassified-removed-{name[4:]}/run.json").read_text())
    assert about["subset_model"] == name
    code, out, _ = typed(capsys, *arguments, "--subset-mode", "removed", "--subset-model", f"runs/{name}")
    assert (code, "is there" in out[0]) == (0, True)


def test_a_first_network_that_has_not_ended_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed(capsys, "sat", *QUICK, *QUIET)
    Path("runs/sat-digits-small-resnet+width=4-1/last.safetensors").unlink()
    code, _, err = typed(capsys, "sat", *QUICK, *QUIET, "--subset", "low")
    assert (code, err.count("\n")) == (2, 1)
    assert "its training has not ended: give the command that trains it once more" in err


def test_what_is_said_of_high_and_of_classes(toy):
    assert str(ready(toy / "runs", toy_run("high")).subset) == (
        "3 of 40 images with the highest E(x) of those that nets.py:by_hand gets right, left unperturbed"
    )
    assert (
        str(ready(toy / "runs", toy_run("classes:0,1")).subset) == "40 of 40 images of classes 0, 1, left unperturbed"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--subset-mode removed", "--subset-mode removed goes with --subset; say which images, or leave it out"),
        ("--subset-model demo:sat", "--subset-model demo:sat goes with --subset; say which images, or leave it out"),
        ("--subset hihg", "unknown subset 'hihg'; did you mean 'high'? available: misclassified, high, low, classes:0"),
        ("--subset low --subset-mode remove", "unknown subset mode 'remove'; did you mean 'removed'? available: unpe"),
        ("--subset classes:", "--subset classes:: name classes by their numbers, such as classes:0,1,2"),
        ("--subset classes:1,x", "--subset classes:1,x: name classes by their numbers, such as classes:0,1,2"),
        (
            "--subset classes:1,10",
            "--subset classes:1,10: no image of class 10; the training images have classes 0 to 9",
        ),
        ("--subset classes:1 --subset-model demo:sat", "--subset classes:1 asks no network; leave --subset-model out"),
        ("--subset high --subset-model demo:sta", "unknown demo network 'sta'; did you mean 'sat'?"),
        ("--subset high --subset-model nets.pt", "no such checkpoint: nets.pt"),
        (
            "--subset classes:0,1,2,3,4,5,6,7,8,9 --subset-mode removed",
            "--subset classes:0,1,2,3,4,5,6,7,8,9 --subset-",
        ),
        ("--subset classes:" + ",".join(map(str, range(200))), "'sat-classes-0-1-2-3-4-5-6-7-8-9-10-11-12...' is too"),
    ],
)
def test_mistakes_are_one_line_before_any_work(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, "sat", *arguments.split())
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert err.startswith(f"error: {text}"), err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("right", "nets.py:right gets all 40 images right, so there is no number of misclassified ones; name another"),
        ("left", "nets.py:left gets 40 images wrong and only 0 right; name another network with --subset-model"),
    ],
)
def test_networks_that_give_no_subset_are_told(toy, network, text):
    with pytest.raises(UserError, match=f"^--subset high: {text}"):
        ready(toy / "runs", toy_run("high", subset_model=f"nets.py:{network}"))
    assert not (toy / "runs").exists()


def test_all_images_misclassified_leave_none_to_train_on(toy):
    with pytest.raises(UserError, match=r"^--subset misclassified --subset-mode removed leaves no images to train on"):
        ready(toy / "runs", toy_run("misclassified", "removed", subset_model="nets.py:left"))


def test_standard_training_has_no_attack_to_leave_out(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = typed(capsys, "standard", "--subset", "classes:1")
    assert (code, err) == (
        2,
        "error: standard attacks no image, so none is left unperturbed; take --subset-mode removed\n",
    )
    plain = [word for word in QUICK if word not in ("--attack-steps", "1")]
    code, _, err = typed(capsys, "standard", *plain, *QUIET, "--subset", "classes:1", "--subset-mode", "removed")
    assert code == 0, err


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--subset", "misclassified"], "sat-misclassified-unperturbed-digits-small-resnet-1"),
        (["--subset", "low", "--subset-mode", "removed"], "sat-low-removed-digits-small-resnet-1"),
        (["--subset", "classes:4,2,2"], "sat-classes-2-4-unperturbed-digits-small-resnet-1"),
    ],
)
def test_a_folders_name_says_the_command_that_trains_it(options, folder):
    (run,) = train_command.runs(["sat"], what(options), {})
    assert run.name == folder
    told = run_command(f"runs/{folder}/last.safetensors").split()
    assert told[3] == "sat"
    (again,) = train_command.runs([told[3]], what(told[4:]), {})
    assert again == run


def what(options: list[str]) -> train_command.What:
    pairs = dict(zip(options[::2], options[1::2], strict=True))
    made = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs.items()}
    return train_command.What(**made | {"seed": [int(made.get("seed", 1))]})


def test_classes_stand_once_and_in_order():
    assert checked("classes:2,0,2", None, None) == ("classes:0,2", "unperturbed", None)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unperturbed", "removed"])
def test_two_processes_train_like_one(tmp_path, mode):
    """Without BatchNorm each has its part of every batch, down to rounding."""
    script = Path(__file__).with_name("plain_training.py")
    path = os.pathsep.join([str(script.parent), str(script.parents[1])])
    for size in ("1", "2"):
        arguments = [
            "sat",
            "--arch",
            "plain",
            "--samples",
            "75",
            "--batch",
            "16",
            "--attack-steps",
            "1",
            "--epochs",
            "3",
        ]
        arguments += [*QUIET, "--subset", "classes:0,3", "--subset-mode", mode, "--runs", size, "--processes", size]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, str(script), *arguments], check=True, cwd=tmp_path, env=environment)
    one, two = (load_file(next((tmp_path / size).glob("*/last.safetensors"))) for size in ("1", "2"))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
