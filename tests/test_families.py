"""A RobustBench folder filled with random weights: every architecture family loads, with its own logits."""

import pytest
import torch
from families import NOT_HERE, QUICK, SLOW, built, place

from energylens import models
from energylens.errors import UserError
from energylens.models import robustbench


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_every_family_loads_with_equal_logits(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    reference, side = f"robustbench:{name}", 224 if name.startswith("imagenet") else 32
    net = built(reference)
    place(reference, net, tmp_path)
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = net(x)
        del net
        torch.testing.assert_close(models.load(reference, model_dir=tmp_path)(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_cannot_be_built_here_is_one_line(name, tmp_path, monkeypatch):
    if "CUDA" in NOT_HERE[name] and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    reference = f"robustbench:{name}"
    for path in robustbench.sources(reference, tmp_path):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({}, path)
    with pytest.raises(UserError, match=r"could not load .*NVIDIA driver"):
        models.load(reference, model_dir=tmp_path)
