"""What a user's attack reaches in the user's own files belongs to its identity; what it does not reach does not."""

import pytest

from energylens import paths
from energylens.models import identity

ATTACK = """
import functools
import torch

FAR = 1.0
UNUSED = 1.0

def scale():
    return FAR

def helper(x):
    return scale() * x

class Base:
    def shrink(self, x):
        return 0.5 * x

class Step(Base):
    rate = 0.1

    def __call__(self, x):
        return self.rate * self.shrink(x)

    @property
    def size(self):
        return 2.0

def twice(function):
    @functools.wraps(function)
    def wrapped(*args):
        return 2 * function(*args)
    return wrapped

first, second = (lambda x: x + 1, lambda x: x + 2)

@twice
def decorated(x):
    return first(x)

def unused(x):
    return x

def attack(model, x, y):
    return helper(x) + Step()(x) + Step().size * decorated(x)
"""

REACHED = {
    "a constant of a helper's helper": ("FAR = 1.0", "FAR = 2.0"),
    "a helper's helper": ("return FAR", "return -FAR"),
    "a class attribute": ("rate = 0.1", "rate = 0.2"),
    "a method of a base class": ("0.5 * x", "0.25 * x"),
    "a property": ("return 2.0", "return 3.0"),
    "a decorator": ("2 * function", "3 * function"),
    "what is decorated": ("return first(x)", "return second(x)"),
    "one of two lambdas on a line": ("x + 1", "x + 3"),
}


def code(folder, text: str) -> str:
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    return identity.code(paths.python_file(folder / "mine.py").attack)


@pytest.mark.parametrize(("old", "new"), REACHED.values(), ids=REACHED)
def test_a_change_in_what_is_reached_is_another_attack(tmp_path, old, new):
    assert ATTACK.count(old) == 1
    assert code(tmp_path / "changed", ATTACK.replace(old, new)) != code(tmp_path / "as it was", ATTACK)


@pytest.mark.parametrize(("old", "new"), [("UNUSED = 1.0", "UNUSED = 2.0"), ("return x\n", "return -x\n")])
def test_a_change_in_what_is_not_reached_is_the_same_attack(tmp_path, old, new):
    assert ATTACK.count(old) == 1
    assert code(tmp_path / "changed", ATTACK.replace(old, new)) == code(tmp_path / "as it was", ATTACK)


def test_its_place_does_not_count(tmp_path):
    assert code(tmp_path / "here", ATTACK) == code(tmp_path / "there", "# a remark\n" + ATTACK)
