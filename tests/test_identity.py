"""What decides a network's output decides its number, and nothing else does."""

import pytest
import torch
from torch import nn

from energylens import models
from energylens.models import architectures, identity


def test_identity_covers_weights_settings_and_own_source_but_not_the_file_around(toy_net, tmp_path):
    load = lambda name, body="return logits": models.load(f"{toy_net(body, name)}:toy")  # noqa: E731
    same = identity.sha(load("a.py"))
    renamed = toy_net(name="b.py")
    renamed.write_text("# another file around the same class\n" + renamed.read_text())
    assert identity.sha(models.load(f"{renamed}:toy")) == same
    assert identity.sha(load("c.py", "return 2 * logits")) != same
    assert identity.sha(models.load(f"{toy_net(name='d.py')}:other")) != same
    assert identity.sha(nn.Conv2d(1, 1, 3, padding=1)) != identity.sha(nn.Conv2d(1, 1, 3))


def test_identity_sees_plain_attributes():
    net = architectures.build("small-resnet")
    before = identity.sha(net)
    net.temperature = 2.0
    assert identity.sha(net) != before
    net.temperature = torch.tensor(2.0)
    assert identity.sha(net) != before


VARIANTS = {  # each changes what the network computes, and nothing in its parameters
    "class attribute": ("SCALE = 1.0", "SCALE = 2.0"),
    "static method": ("return x  # static", "return 2 * x  # static"),
    "property": ("return 1.0  # property", "return 3.0  # property"),
    "private attribute": ("self._mean = 0.1", "self._mean = 0.2"),
    "private tensor": ("self._shift = torch.zeros(3)", "self._shift = torch.ones(3)"),
    "array": ("np.zeros(3)", "np.ones(3)"),
    "dictionary": ("{'t': 1.0}", "{'t': 2.0}"),
    "lambda": ("lambda x: x + 0", "lambda x: x + 1"),
    "built-in function": ("torch.relu", "torch.tanh"),
    "hook": ("lambda net, args: (args[0] * 1,)", "lambda net, args: (args[0] * 2,)"),
    "constant of the file": ("MEAN = 0.5", "MEAN = 0.4"),
    "helper of the file": ("return x + 7", "return x + 8"),
    "enclosed value": ("make(1)", "make(2)"),
}


SOURCE = """
import numpy as np
import torch
from torch import nn

MEAN = 0.5
UNUSED = 1

def helper(x):
    return x + 7

def make(shift):
    return lambda x: x + shift

class Net(nn.Module):
    SCALE = 1.0

    def __init__(self):
        super().__init__()
        self._mean = 0.1
        self._shift = torch.zeros(3)
        self.offset = np.zeros(3)
        self.settings = {'t': 1.0}
        self.act = lambda x: x + 0
        self.last = torch.relu
        self.made = make(1)
        self.register_forward_pre_hook(lambda net, args: (args[0] * 1,))

    def forward(self, x):
        return helper(x - MEAN)

    @staticmethod
    def double(x):
        return x  # static

    @property
    def bias(self):
        return 1.0  # property
"""


@pytest.mark.parametrize("what", list(VARIANTS))
def test_identity_sees_whatever_a_class_can_hide(tmp_path, what):
    shas = []
    for number, source in enumerate((SOURCE, SOURCE, SOURCE.replace(*VARIANTS[what]))):
        path = tmp_path / f"nets{number}.py"
        path.write_text(source)
        shas.append(identity.sha(models.load(f"{path}:Net")))
    assert shas[0] == shas[1] != shas[2]


def test_identity_ignores_the_file_around(tmp_path):
    for number, source in enumerate((SOURCE, "# a comment\n" + SOURCE.replace("UNUSED = 1", "UNUSED = 2"))):
        (tmp_path / f"nets{number}.py").write_text(source)
    one, other = (identity.sha(models.load(f"{tmp_path}/nets{number}.py:Net")) for number in range(2))
    assert one == other


def test_identity_sees_what_a_class_names_in_another_file(tmp_path):
    shas = []
    for number, by in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "helper.py").write_text(f"BY = {by}\n\ndef scale(x):\n    return BY * x\n")
        source = "import helper\n" + SOURCE.replace("return helper(x - MEAN)", "return helper.scale(x - MEAN)")
        (folder / "nets.py").write_text(source.replace("def helper", "def another"))
        shas.append(identity.sha(models.load(f"{folder}/nets.py:Net")))
    assert shas[0] == shas[1] != shas[2]
