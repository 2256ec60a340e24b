"""What a user's attack reaches in the user's own files belongs to its identity; what it does not reach does not."""

import sys

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
    return code_in(folder, text)


def code_in(folder, text: str) -> str:
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


NEIGHBOURS = {
    "mine.py": """
import sampled
import torch
from torch.nn import functional

import helper
import package.inner
from other import offset

def attack(model, x, y):
    from late import shift
    return helper.step(x) + package.inner.RATE * offset(shift(x))
""",
    "helper.py": "import deeper\n\ndef step(x):\n    return deeper.Step()(x)\n\ndef unused(x):\n    return x\n",
    "deeper.py": "import helper\n\nSIZE = 3\n\nclass Step:\n    def __call__(self, x):\n        return SIZE * x\n",
    "other.py": "BY = 1.0\n\ndef offset(x):\n    return x + BY\n",
    "package/inner.py": "RATE = 0.5\n",
    "late.py": "def shift(x):\n    return x - 9\n",
    "sampled.py": "def step(x):\n    return x * 11\n",
}


def code_beside(folder, monkeypatch, changed: str = "", old: str = "", new: str = "") -> str:
    for name, text in NEIGHBOURS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(old, new) if name == changed else text)
    with monkeypatch.context() as here:
        here.syspath_prepend(folder)  # as where a command is typed
        found = identity.code(paths.python_file(folder / "mine.py").attack)
    sys.modules.pop("late")
    return found


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helper.py", "deeper.Step()(x)", "-deeper.Step()(x)"),
        ("deeper.py", "SIZE = 3", "SIZE = 4"),
        ("deeper.py", "SIZE * x", "SIZE + x"),
        ("other.py", "BY = 1.0", "BY = 2.0"),
        ("package/inner.py", "RATE = 0.5", "RATE = 0.6"),
        ("late.py", "x - 9", "x - 8"),
    ],
)
def test_a_change_in_a_neighbour_that_is_reached_is_another_attack(tmp_path, monkeypatch, name, old, new):
    assert NEIGHBOURS[name].count(old) == 1
    was = code_beside(tmp_path / "as it was", monkeypatch)
    assert code_beside(tmp_path / "changed", monkeypatch, name, old, new) != was


@pytest.mark.parametrize(
    ("name", "old", "new"), [("helper.py", "return x\n", "return -x\n"), ("sampled.py", "x * 11", "x * 12")]
)
def test_a_change_in_a_neighbour_that_is_not_reached_is_the_same_attack(tmp_path, monkeypatch, name, old, new):
    assert NEIGHBOURS[name].count(old) == 1
    was = code_beside(tmp_path / "as it was", monkeypatch)
    assert code_beside(tmp_path / "changed", monkeypatch, name, old, new) == was


def test_a_package_that_is_installed_is_neither_imported_nor_read(tmp_path, monkeypatch):
    codes = []
    for number in range(2):
        installed = tmp_path / str(number) / "site-packages"
        installed.mkdir(parents=True)
        (installed / "theirs.py").write_text(f"STEP = {number}\n")
        mine = tmp_path / str(number) / "mine.py"
        mine.write_text("def attack(model, x, y):\n    import theirs\n    return theirs.STEP\n")
        with monkeypatch.context() as here:
            here.syspath_prepend(installed)
            codes.append(identity.code(paths.python_file(mine).attack))
    assert codes[0] == codes[1]
    assert "theirs" not in sys.modules


def test_a_module_that_is_enclosed_counts_and_its_place_does_not(tmp_path):
    codes = []
    for number, text in enumerate(("x - 7", "x - 7", "x - 8")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "helper.py").write_text(f"def last(x):\n    return {text}\n")
        mine = "def make():\n    import helper\n    return lambda model, x, y: helper.last(x)\n\nattack = make()\n"
        codes.append(code_in(tmp_path / str(number), mine))
    assert codes[0] == codes[1] != codes[2]
