"""`energylens.energies`: networks, functions and options as objects, and all that a command would say."""

import numpy as np
import pytest
import torch
from own_attacks import own
from torch import nn

import energylens
from energylens.errors import Note, UserError


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


@pytest.fixture
def measured(net, npz, tmp_path):
    """`measured(attacks, option=value)`: six toy images under a toy network."""

    def measure(attacks, **given):
        return energylens.energies({"net": net}, str(npz), attacks, **{"samples": 6, "tables": tmp_path} | given)

    return measure


def test_energies_in_python(tmp_path, net, npz):
    net.train()
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


def test_what_is_moved_aside_is_warned_of_where_the_call_stands(measured, net):
    measured("pgd:eps=0.1")
    net[1].bias.data += 1
    with pytest.warns(Note) as told:
        measured("pgd:eps=0.1")
    assert [warning.filename for warning in told] == [__file__] * 2
    assert all("moved aside, into" in str(warning.message) for warning in told)
    assert all("differs in model_sha" in str(warning.message) for warning in told)


def test_nan_rows_are_warned_of(measured):
    with pytest.warns(Note, match="^6 of 6 images of net under attack gave NaN; they count as wrong") as told:
        measured(own("return torch.full_like(x, torch.nan)"))
    assert len(told) == 1


def test_each_failure_is_warned_of(measured):
    broken = [own(f"raise RuntimeError('{number}')", seed=number) for number in (1, 2)]
    with (
        pytest.warns(Note, match="failed: net under attack-seed[12], images 0 to 6: ") as told,
        pytest.raises(UserError, match="2 of 3 shards failed, the others are there"),
    ):
        measured(broken)
    assert len(told) == 2


def test_more_images_in_the_table_than_asked_for_are_no_matter(measured):
    measured("pgd:eps=0.1")
    assert len(measured(["pgd:eps=0.1", "fgsm:eps=0.1"], samples=2)) == 6


def test_options_of_the_commands(measured, tmp_path):
    both = measured(["pgd", "fgsm"], eps=0.2, seed=3, precision="bf16", keep_logits=True, keep_images=True, batch=4)
    attacked = both[both["attack"] != "natural"]
    assert set(attacked["attack"]) == {"pgd-eps0.2-seed3", "fgsm-eps0.2"}
    assert set(attacked["precision"]) == {"bf16"}
    assert np.stack(both["logits"]).shape == (18, 3)
    assert len(list(tmp_path.glob("mine/points/*/*/_images-*.npz"))) == 3
    drawn = measured("pgd:eps=0.1", shuffle_seed=1, name="drawn", shard=5, device="cpu")
    assert drawn["sample"].tolist() != both["sample"][:12].tolist()
    assert set(measured("pgd:eps=0.1", record="steps", eps=None)["step"]) == set(range(21))


def test_none_is_an_option_that_is_not_given(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(measured("fgsm:eps=0.1", tables=None, batch=None, seed=None, keep_logits=None)) == 12
    assert (tmp_path / "tables" / "mine").is_dir()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"batch": 0}, "energylens.energies: Invalid value for '--batch': .*greater than or equal to 1"),
        ({"batch": 2.5}, "Invalid value for '--batch'"),
        ({"batch": True}, "Invalid value for '--batch'"),
        ({"shard": 0}, "Invalid value for '--shard'"),
        ({"samples": "all"}, "Invalid value for '--samples'"),
        ({"samples": 0}, "--samples 0: .* ask for 1 to 12"),
        ({"keep_logits": "yes"}, "keep_logits='yes'; write True or False"),
        ({"keep_logits": 1}, "keep_logits=1; write True or False"),
        ({"engine": "ray"}, "networks in memory are known to this process alone, and ray would need other processes"),
        ({"name": "t" * 256}, "is too long for the name of a folder"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"record": "step"}, "unknown record 'step'; did you mean 'steps'"),
        ({"eps": "a lot"}, "'a lot' is no number; write for example"),
        (
            {"eps": 0.1, "attacks": "pgd:eps=0.2"},
            "attack pgd:eps=0.2 says eps, and eps 0.1 is said of all attacks",
        ),
        ({"attacks": own("return x"), "eps": 0.1}, "attack has no radius"),
        ({"keep_image": True}, "unknown setting of energylens.energies 'keep_image'; did you mean 'keep_images'"),
    ],
)
def test_what_is_refused(measured, tmp_path, given, line):
    with pytest.raises(UserError, match=line):
        measured(given.pop("attacks", "pgd"), **given)
    assert list(tmp_path.glob("mine*")) == []


def test_no_network_at_all(npz, tmp_path):
    with pytest.raises(UserError, match="wants a network or a model reference"):
        energylens.energies([], str(npz), tables=tmp_path)
