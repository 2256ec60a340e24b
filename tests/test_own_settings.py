"""The settings of users' attacks: names, lists, and every mistake in a line before anything is measured."""

import dataclasses
import re
from pathlib import Path

import pytest
from own_attacks import FGSM, own
from probing import files, run

from energylens import attacks
from energylens.attacks import Own
from energylens.errors import UserError


@pytest.fixture
def mine(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FGSM)
    return path


def test_its_name_and_what_it_is_given(mine):
    attack = attacks.parse(f"{mine}:sign:eps=4/255")
    assert (attack.name, attack.eps, attack.norm) == ("sign-eps4_255", 4 / 255, "linf")
    assert attacks.parse(f"{mine}:sign").eps == 0.1
    noisy = attacks.parse(f"{mine}:noisy:amount=0.2:seed=3")
    assert (noisy.name, noisy.eps) == ("noisy-seed3-amount0.2", None)
    assert attacks.parse("by_hand:edit:eps=0.1").kind == "edit"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: own("return x", settings={"step": 4}),
            "unknown setting of attack attack 'step'; did you mean 'steps'",
        ),
        (lambda: own("return x", settings={"steps": object()}), "settings of attack attack are numbers, words"),
        (lambda: own("return x", settings={"steps": {"a": 1}}), "numbers, words or lists of them, not dict"),
        (lambda: own("return x", settings={"eps": 1}), r"eps of attack attack is none of its settings; write Own\("),
        (lambda: own("return x", settings={"ep": 1}), "available: steps, eps, norm, batch, seed$"),
        (lambda: own("return x", eps=-1), r"eps must be a number, above 0"),
        (lambda: own("return x", batch=0), r"batch must be a whole number"),
        (lambda: Own(lambda model, x: x), "takes 2 arguments; write def <lambda>"),
        (lambda: attacks.parse("nowhere.py:attack"), "no such file: nowhere.py"),
        (
            lambda: attacks.parse("nowhere.at_all:attack"),
            "cannot import 'nowhere.at_all' of attack nowhere.at_all:attack",
        ),
        (lambda: attacks.parse("made_tables:row"), "unknown function in made_tables 'row'; did you mean 'rows'"),
    ],
)
def test_mistakes_are_named(make, text):
    with pytest.raises(UserError, match=text):
        make()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("strength", "mine.py:needs:strength=..."),
        ("*, strength, **others", "mine.py:needs:strength=..."),
        ("eps, norm, seed, strength", "mine.py:needs:eps=...:strength=..."),
    ],
)
def test_an_argument_without_a_value_is_told_before_anything_is_measured(tmp_path, arguments, line):
    (tmp_path / "mine.py").write_text(f"def needs(model, x, y, {arguments}):\n    return x\n")
    with pytest.raises(UserError, match=rf"attack needs wants .*strength; write {re.escape(line)}$"):
        attacks.parse(f"{tmp_path}/mine.py:needs")
    assert attacks.parse(f"{tmp_path}/mine.py:needs:eps=0.1:strength=2").settings == (("strength", 2),)


def test_in_python_an_argument_without_a_value_is_told_too():
    space: dict = {}
    exec("def needs(model, x, y, eps, strength): return x\ndef batched(model, x, y, batch): return x", space)
    with pytest.raises(UserError, match=r'write Own\(needs, eps=..., settings={"strength": ...}\)$'):
        Own(space["needs"])
    assert Own(space["needs"], eps=0.1, settings={"strength": 1}).eps == 0.1
    with pytest.raises(UserError, match="attack batched has an argument batch, which is energylens's own setting"):
        Own(space["batched"])


def test_lists_as_settings_come_as_lists_and_are_found_again(toy, tmp_path):
    sized = own("assert steps == [[1, 2], 'a'], steps; return x", settings={"steps": [[1, 2], "a"]})
    assert sized == dataclasses.replace(sized, settings={"steps": ((1, 2), "a")})
    assert sized.name == "attack-steps[[1,2],a]"
    recipe = dataclasses.replace(toy, attacks=(sized,))
    found = run(recipe, tmp_path)
    assert set(found["attack"]) == {"natural", sized.name}
    before = files(tmp_path)
    run(recipe, tmp_path)
    assert files(tmp_path) == before


def test_a_function_cannot_be_called_as_one_of_ours(tmp_path):
    (tmp_path / "mine.py").write_text("def pgd(model, x, y):\n    return x\n")
    with pytest.raises(UserError, match="an own attack cannot be called 'pgd', as one of energylens's is; rename"):
        attacks.parse(f"{tmp_path}/mine.py:pgd")
