"""The race of training steps is one between equals, and counts what it says."""

import importlib
import sys
import time
from pathlib import Path

import pytest
import torch
from small_training import small_batch, small_net

from energylens import data
from energylens.train.objectives import OBJECTIVES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PASSES = {  # forward 1, backward to the inputs 1, backward to inputs and weights 2
    "sat": (10 * (1 + 2) + 1 + 3 + 1, 10 * (1 + 1) + 3),
    "sat-mail": (10 * (1 + 1) + 3, 10 * (1 + 1) + 3),
    "trades": (10 * (2 + 1) + 3 * 3, 1 + 10 * (1 + 1) + 2 * 3),
    "weat-adv": (10 * (2 + 1) + 2 * 3, 1 + 10 * (1 + 1) + 2 * 3),
}
"""public, ours"""


@pytest.fixture
def benchmark(monkeypatch):
    """Gives a module of benchmarks/, whose `probing` is not that of the tests; the imports are undone."""
    before = dict(sys.modules)
    sys.modules.pop("probing", None)
    monkeypatch.syspath_prepend(BENCHMARKS)
    with torch.random.fork_rng():
        yield importlib.import_module
    own = [name for name, module in sys.modules.items() if str(BENCHMARKS) in str(getattr(module, "__file__", ""))]
    for name in own:
        del sys.modules[name]
    sys.modules.update({name: before[name] for name in ("probing",) if name in before})


@pytest.mark.parametrize("name", list(PASSES))
def test_public_loss_equals_ours_at_the_same_images_value_and_gradients(name, benchmark):
    public, row = benchmark("public_loops"), OBJECTIVES[name.removesuffix("-mail")]
    x, x_adv, y = small_batch()
    found = []
    for loss in (
        lambda net: public.LOSSES[name](net, x, x_adv, y),
        lambda net: row.loss(*row.logits(net, x, x_adv), y),
    ):
        net = small_net()
        value = loss(net)
        found.append([value, *torch.autograd.grad(value, list(net.parameters()))])
    torch.testing.assert_close(*found, rtol=0, atol=1e-9)  # WEAT's code adds 1e-12 inside its logarithm


@pytest.mark.parametrize("name", list(PASSES))
def test_passes_of_each_step_are_those_of_its_code(name, benchmark):
    bench = benchmark("training").Bench(data.load("digits:train", samples=4), 2, torch.device("cpu"), time.process_time)
    theirs, ours = PASSES[name]
    assert list(benchmark("training").passes(bench, name).values()) == [theirs, ours, ours, ours]


def test_a_tiny_race_runs_to_its_end(benchmark, monkeypatch, capsys):
    training = benchmark("training")
    tiny = ["--arch", "small-resnet:width=2", "--data", "digits:train", "--batch", "2", "--steps", "2", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["training.py", "--objectives", "weat-adv", *tiny])
    monkeypatch.setattr(training, "limit", lambda *settings: 1e12)
    training.main()
    lines = capsys.readouterr().out.splitlines()
    contenders = [line[10:36].strip() for line in lines if line.startswith("weat-adv ")]
    assert contenders == [training.PUBLIC, training.PLAIN, training.LAYOUT, training.HALF]
    assert sum(line.startswith("weat-adv: public") for line in lines) == 2


def test_verdicts_compare_the_rounds_own_ratios(benchmark, monkeypatch):
    training = benchmark("training")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    public, plain, half = [3.0, 30.0, 3.0], [2.0, 20.0, 2.5], [1.0, 10.0, 2.0]
    times = {training.PUBLIC: public, training.PLAIN: plain, training.HALF: half}
    assert training.verdicts({"trades": times}, torch.device("cpu")) == [
        "trades: public fp32 / ours fp32: 1.50 (target: at least 1.2, met)",
        "trades: public fp32 / ours bf16, channels-last: 3.00 "
        "(target: at least 2.2 with avx512_bf16, which this processor lacks)",
    ]
    assert (
        "2.00 (no target)"
        in training.verdicts({"sat-mail": times | {training.HALF: [1.5, 15, 3]}}, torch.device("cpu"))[1]
    )
