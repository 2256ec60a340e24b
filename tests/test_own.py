"""Users' own attacks, models and data: measured as ours are, and every mistake in one line."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from own_attacks import FGSM, own
from probing import run

from energylens import attacks, measure, models
from energylens.attacks import PGD, Own
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe

PAGE = Path(__file__).parent.parent / "docs" / "extend.md"


@pytest.fixture
def mine(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FGSM)
    return path


def test_fgsm_as_a_function_gives_the_columns_of_fgsm(toy, mine, tmp_path):
    both = (attacks.parse("fgsm:eps=0.1"), attacks.parse(f"{mine}:sign"))
    found = run(Recipe(toy.models, toy.data, both), tmp_path)
    theirs, ours = (found[found["attack"] == name].reset_index(drop=True) for name in ("fgsm-eps0.1", "sign"))
    assert len(ours) == 12
    np.testing.assert_allclose(ours["linf"], 0.1, atol=1e-6)
    for column in ("pred", "status", "eps", "norm"):
        assert ours[column].tolist() == theirs[column].tolist()
    for column in ("energy", "joint_energy", "ce", "l2"):
        np.testing.assert_allclose(ours[column], theirs[column], atol=1e-6)


def test_random_numbers_depend_neither_on_the_batch_nor_on_the_shard(toy, mine, tmp_path):
    noisy = attacks.parse(f"{mine}:noisy:batch=4")
    recipe = Recipe(toy.models, toy.data, (noisy,))
    once = run(recipe, tmp_path / "1", batch=3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    measure.run(recipe, "test", Place(tables=tmp_path / "2" / "tables", shard=4))
    again = pd.read_parquet(tmp_path / "2" / "tables" / "test" / "points").sort_values(["model", "attack", "sample"])
    rows = once["attack"] == noisy.name
    np.testing.assert_array_equal(once[rows]["linf"], again[(again["attack"] == noisy.name).to_numpy()]["linf"])
    assert once[rows]["linf"].nunique() == 12
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    other = run(Recipe(toy.models, toy.data, (attacks.parse(f"{mine}:noisy:batch=4:seed=1"),)), tmp_path / "3")
    assert not np.array_equal(other[other["attack"] != "natural"]["linf"], once[rows]["linf"])


@pytest.mark.parametrize(("old", "new"), [("STEP = 1.0", "STEP = 0.5"), ("gradient.sign()", "gradient.sign().neg()")])
def test_changed_code_is_another_attack_and_another_place_is_not(mine, tmp_path, old, new):
    first = attacks.parse(f"{mine}:sign")
    (tmp_path / "elsewhere").mkdir()
    moved, changed = tmp_path / "elsewhere" / "others.py", tmp_path / "changed.py"
    moved.write_text(FGSM)
    changed.write_text(FGSM.replace(old, new))
    assert attacks.parse(f"{moved}:sign").facts == first.facts
    assert attacks.parse(f"{changed}:sign").facts != first.facts


def test_changed_code_sets_the_old_shards_aside(toy, mine, tmp_path):
    said: list[str] = []
    run(Recipe(toy.models, toy.data, (attacks.parse(f"{mine}:sign"),)), tmp_path)
    changed = mine.with_name("changed.py")
    changed.write_text(FGSM.replace("STEP = 1.0", "STEP = 0.5"))
    found = run(Recipe(toy.models, toy.data, (attacks.parse(f"{changed}:sign"),)), tmp_path, say=said.append)
    assert "attack=sign/part-" in said[1]
    assert "differs in attack" in said[1]
    np.testing.assert_allclose(found[found["attack"] == "sign"]["linf"], 0.05, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "settings", "text"),
    [
        ("return x + 0.2", {"eps": 0.1}, "attack attack-eps0.1 left its ball: linf distance 0.2"),
        ("return x + 2", {}, r"attack attack left \[0, 1\]"),
        ("return x[:1]", {}, r"attack attack returns torch.float32 \[1, 1, 4, 4\]; wanted images \[6, 1, 4, 4\]"),
        ("return None", {}, "attack attack returns NoneType; wanted images"),
        ("return (255 * x).byte()", {}, "attack attack returns torch.uint8"),
        ("raise RuntimeError('no such luck')", {}, r"failed at images 0 to 6 \(RuntimeError: no such luck\)"),
    ],
)
def test_what_a_function_gets_wrong_is_one_line(toy, tmp_path, body, settings, text):
    with pytest.raises(UserError, match=text):
        run(Recipe(toy.models, toy.data, (own(body, **settings),), samples=6), tmp_path)


def test_a_function_may_write_on_its_images_and_on_the_models_mode(toy, tmp_path):
    found = run(Recipe(toy.models, toy.data, (own("model.train(); return x.mul_(0.5)"),)), tmp_path)
    natural, attacked = (found[found["attack"] == name] for name in ("natural", "attack"))
    assert (natural["linf"] == 0).all()
    images = np.load(toy.data)["images"].reshape(12, -1) / 255
    np.testing.assert_allclose(attacked["linf"], images.max(1) / 2, atol=1e-6)


def test_nan_points_have_their_own_status(toy, tmp_path):
    found = run(Recipe(toy.models, toy.data, (own("return torch.full_like(x, torch.nan)"),)), tmp_path)
    assert set(found[found["attack"] == "attack"]["status"]) == {"nan"}


def test_it_travels_to_other_processes(mine, tmp_path, monkeypatch):
    attack = attacks.parse(f"{mine}:sign:eps=0.2:batch=50")
    again = pickle.loads(pickle.dumps(attack))
    assert (again, again.name, again.facts) == (attack, attack.name, attack.facts)
    monkeypatch.setattr(Place, "devices", ["cpu", "cpu"])
    recipe = Recipe(("demo:sat",), "digits:test", (attack,), samples=20)
    measure.run(recipe, "test", Place(tables=tmp_path / "tables", shard=50))
    assert len(pd.read_parquet(tmp_path / "tables" / "test" / "points")) == 40
    alone = Recipe(("demo:sat",), "digits:test", (Own(lambda model, x, y: x),), samples=20)
    with pytest.raises(UserError, match=r"cannot travel to other processes .* put it into a file: FILE.py:function"):
        measure.run(alone, "test", Place(tables=tmp_path / "tables"))


def test_an_attack_without_steps_fails_alone(toy, tmp_path):
    (tmp_path / "still.py").write_text("def still(model, x, y):\n    return x\n")
    still = attacks.parse(f"{tmp_path}/still.py:still")
    both = Recipe(toy.models, toy.data, (still, PGD(eps=0.1, steps=3)), record="steps")
    why = "1 of 3 shards failed.*; .*attack still never called the model, so it has no steps; take --record points"
    with pytest.raises(measure.Failed, match=why):
        measure.run(both, "test", Place(tables=tmp_path / "tables"))
    assert set(pd.read_parquet(tmp_path / "tables" / "test" / "steps")["attack"]) == {"natural", "pgd-eps0.1-steps3"}


def test_its_steps_are_the_calls_of_its_model(toy, mine, tmp_path):
    recipe = Recipe(toy.models, toy.data, (attacks.parse(f"{mine}:sign"),), record="steps")
    measure.run(recipe, "test", Place(tables=tmp_path / "tables"))
    found = pd.read_parquet(tmp_path / "tables" / "test" / "steps")
    assert found[found["attack"] == "sign"]["step"].tolist() == [0] * 12


def test_a_given_network_stays_in_its_process():
    with pytest.raises(UserError, match="network 'elsewhere' is known to the process that made it alone"):
        models.load("given:elsewhere")


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path):
    """Its files, its commands and its Python, in an empty folder."""
    blocks = re.findall(r"```(python|bash)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    files, commands, theirs, script = (text for _, text in blocks)
    (tmp_path / "mine.py").write_text(files)
    (tmp_path / "script.py").write_text(script + "\nprint(table.groupby(['model', 'attack'], observed=True).size())\n")
    checkout = str(PAGE.parent.parent)
    here = os.environ | {"PYTHONPATH": checkout, "ENERGYLENS_HOME": str(tmp_path / "home")}
    for line in commands.splitlines():
        words = [sys.executable if word == "python" else word for word in line.split()]
        subprocess.run(words, cwd=tmp_path, env=here, check=True, capture_output=True)
    found = pd.read_parquet(tmp_path / "tables" / "mine" / "points")
    assert found.groupby(["model", "attack"], observed=True).size().to_dict() == {
        (model, attack): 50
        for model in ("linear", "sat")
        for attack in ("natural", "mifgsm-eps0.2-steps5", "pgd-eps0.2")
    }
    sat = found[found["model"] == "sat"].assign(right=lambda rows: rows["pred"] == rows["label"])
    right = sat.groupby("attack", observed=True)["right"].mean()
    assert right["mifgsm-eps0.2-steps5"] < right["natural"] - 0.2
    assert len(pd.read_parquet(tmp_path / "tables" / "noise" / "points")) == 100
    out = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=here, check=True, capture_output=True, text=True
    )
    assert re.search(r"linear +natural +50\n +pgd-eps0.2 +50\n +mifgsm +50", out.stdout)
    compile(theirs, "theirs.py", "exec")
