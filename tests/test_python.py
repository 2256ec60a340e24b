"""`energylens.energies`: networks, functions and options as objects, and all that a command would say."""

import numpy as np
import pytest
import torch
from own_attacks import own
from torch import nn

import energylens
from energylens.errors import UserError


def test_energies_in_python(tmp_path, npz):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).train()
    chosen = {"samples": 6, "tables": tmp_path / "tables"}
    found = energylens.energies({"net": net}, str(npz), ["pgd:eps=0.1", own("return x")], **chosen)
    assert net.training
    assert found.groupby(["model", "attack"], observed=True).size().to_dict() == {
        ("net", "natural"): 6,
        ("net", "pgd-eps0.1"): 6,
        ("net", "attack"): 6,
    }
    x = torch.from_numpy(np.load(npz)["images"][:6].transpose(0, 3, 1, 2) / np.float32(255))
    expected = -net(x).logsumexp(1).detach().numpy()
    for attack in ("natural", "attack"):
        np.testing.assert_allclose(found[found["attack"] == attack]["energy"], expected, atol=1e-6)
    net[1].bias.data += 1  # another network of the same name: measured again
    shifted = energylens.energies(net, str(npz), "pgd:eps=0.1", **chosen | {"name": "other"})
    np.testing.assert_allclose(shifted[shifted["attack"] == "natural"]["energy"], expected - 1, atol=1e-6)
    assert set(shifted["model"]) == {"Sequential"}
    with pytest.raises(UserError, match=r"unknown setting of energylens.energies 'bach'"):
        energylens.energies(net, str(npz), bach=3)
