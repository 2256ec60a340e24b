"""What a sampler leaves alone, what it makes of NaN, its presets, and mistakes in its settings."""

import math
import subprocess
import sys

import pytest
import torch
from bowls import states
from linear import Linear, images
from torch import nn

from energylens.attacks.precision import Half
from energylens.errors import UserError
from energylens.generate.sampler import SAMPLERS, Sampler, parse


class Small(nn.Module):
    """A convolution with all that differs between training and evaluation; NaN above a mean pixel of `hole`."""

    def __init__(self, hole: float = 2.0):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
        self.head, self.hole = nn.Linear(128, 4).requires_grad_(False), hole

    def forward(self, x):
        logits = self.head(self.body(x))
        return torch.where(x.mean((1, 2, 3))[:, None] > self.hole, torch.nan, logits)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_comes_back_as_it_was(fails):
    net = Small().train()
    net.body[3].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, wanted = [m.training for m in net.modules()], [p.requires_grad for p in net.parameters()]

    def observe(step, x, logits):
        assert not net.body[1].training
        if fails and step == 2:
            raise KeyboardInterrupt

    try:
        with torch.no_grad():
            Sampler(steps=3)(net, images(4), torch.arange(4), index=[0, 1, 2, 3], seed=0, observe=observe)
    except KeyboardInterrupt:
        assert fails
    assert [m.training for m in net.modules()] == modes
    assert [p.requires_grad for p in net.parameters()] == wanted
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_bfloat16_gradients_lead_nearly_where_float32_does():
    net, x, y = Small().eval(), images(4), torch.arange(4)
    seen = states(Sampler(steps=5, noise=0), Half(net), x, y)
    exact = states(Sampler(steps=5, noise=0), net, x, y)
    assert {logits.dtype for _, logits in seen.values()} == {torch.float32}
    moved = (exact[5][0] - x).norm()
    assert 0 < (seen[5][0] - exact[5][0]).norm() < 0.05 * moved


@pytest.mark.parametrize(
    "sampler", [Sampler(steps=4), Sampler(steps=4, momentum=0, tries=2), Sampler(steps=4, stop=1e-9)]
)
def test_a_nan_chain_stays_nan_and_the_others_do_not_notice(sampler):
    """Its network's gradient there is 0, so that noise alone might lead it out again."""
    x, y, reference = images(4), torch.arange(4), torch.zeros(4)
    x[2] += 0.2
    seen = states(sampler, Small(hole=0.6), x, y, reference=reference)
    well = states(sampler, Small(), x, y, reference=reference)
    others = [0, 1, 3]
    for step, (now, logits) in seen.items():
        assert now[2].isnan().all() == (step > 0)
        assert logits[2].isnan().all()
        assert torch.equal(now[others], well[step][0][others])
        assert torch.equal(logits[others], well[step][1][others])


def test_presets_names_and_facts():
    eq7, sgld, jem, jeat = (SAMPLERS[name] for name in ("eq7", "sgld", "jem", "jeat"))
    assert (eq7.step_size, eq7.momentum, eq7.noise, eq7.steps, eq7.loss) == (0.025, 0.8, 0.001, 500, "joint")
    assert (sgld.step_size, sgld.momentum, sgld.steps, sgld.loss) == (0.5, 0, 50, "joint")
    assert sgld.noise == pytest.approx(0.001 * math.sqrt(2 * 0.5))
    # JEM on u = 2x - 1: u <- u - 1 dE/du + 0.01 n, dE/du = (dE/dx) / 2
    assert (jem.step_size / 2, jem.noise, jem.steps, jem.loss) == (1 / 2 / 2, 0.01 / 2, 20, "marginal")
    assert (jeat.step_size, jeat.noise, jeat.steps, jeat.loss) == (0.5, 0.005, 100, "joint")
    assert [sampler.name for sampler in SAMPLERS.values()] == list(SAMPLERS)
    changed = parse("eq7:steps=200:momentum=0:stop=0.5")
    assert changed == Sampler(steps=200, momentum=0.0, stop=0.5)
    assert changed.name == "eq7-steps200-momentum0-stop0.5"
    assert parse("jem:loss=ce:step_size=1").name == "jem-stepsize1-lossce"
    assert changed.facts == {
        "version": 1, "step_size": 0.025, "steps": 200, "momentum": 0.0, "noise": 0.001, "loss": "joint",
        "stop": 0.5, "tries": 1,
    }  # fmt: skip
    assert [parse(text).needs_reference for text in ("eq7", "eq7:stop=1", "sgld:loss=reference")] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("eq8", "unknown sampler 'eq8'; did you mean 'eq7'?"),
        ("eq7:eta=1", "unknown setting of sampler eq7 'eta'"),
        ("eq7:preset=jem", "unknown setting of sampler eq7 'preset'"),
        ("eq7:loss=energy", "unknown loss of Sampler 'energy'"),
        ("eq7:momentum=1", "Sampler(momentum=1): momentum must be below 1"),
        ("eq7:steps=0", "steps must be a whole number, at least 1"),
        ("eq7:stop=0", "stop must be a number, above 0"),
        ("eq7:tries=5:noise=0", "Sampler(tries=5) without noise would draw the same point again"),
    ],
)
def test_what_cannot_be_is_told(text, told):
    with pytest.raises(UserError) as error:
        parse(text)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("sampler", "x", "index", "told"),
    [
        (Sampler(stop=1), images(2), [0, 1], "sampler eq7-stop1 goes by the classes' mean energies; give reference"),
        (Sampler(), images(2), [0], "2 images and 1 indices"),
        (Sampler(), 255 * images(2), [0, 1], "take [0, 1]"),
    ],
)
def test_a_call_that_cannot_be_is_told(sampler, x, index, told):
    with pytest.raises(UserError) as error:
        sampler(Linear(), x, torch.arange(2), index=index, seed=0)
    assert told in str(error.value)


def test_settings_load_no_torch():
    code = "import sys, energylens.generate.sampler; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_sampler_none_gives_the_starts_back():
    x = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    seen = []
    net = torch.nn.Flatten()
    ends = parse("none")(
        net, x, torch.zeros(3, dtype=torch.int64), index=[0, 1, 2], seed=0, observe=lambda *state: seen.append(state[0])
    )
    assert torch.equal(ends, x)
    assert seen == [0]
    with pytest.raises(UserError, match=r"sampler none takes no steps; take eq7:steps=5, or leave steps out"):
        parse("none:steps=5")
