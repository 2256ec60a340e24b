"""Which of a file's sets are averaged weights, and which only sound like them."""

import warnings

import pytest
import torch
from made_checkpoints import ARCH, fresh, logits

from energylens import models
from energylens.errors import Note, UserError

PLAIN, OTHER = fresh(1).state_dict(), fresh(2).state_dict()
PARAMETERS = {name: value.detach() for name, value in fresh(2).named_parameters()}
NOT_AVERAGED = {
    "Adam's moments": {"opt_state": {"exp_avg": PARAMETERS}},
    "Adam's moments without a word": {"exp_avg": PARAMETERS},
    "both of Adam's moments": {"opt_state": {"exp_avg": PARAMETERS, "exp_avg_sq": PARAMETERS}},
    "a loss": {"avg": {"val.loss": torch.tensor(0.3)}},
    "an accuracy": {"wa_best": {"acc.top1": torch.tensor(0.9)}},
    "a meter": {"avg_meter": {"weight": torch.tensor(1.0)}},
    "a counter": {"ema": {"num.updates": torch.tensor(7)}},
}


@pytest.mark.parametrize("extra", NOT_AVERAGED.values(), ids=NOT_AVERAGED)
@pytest.mark.parametrize("name", ["model", "state_dict"])
def test_moments_and_metrics_do_not_win_over_the_network(tmp_path, name, extra):
    torch.save({name: PLAIN} | extra, tmp_path / "w.pt")
    with pytest.warns(Note, match=rf"and {name}, which is read"):
        found = models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(found), logits(fresh(1)))


@pytest.mark.parametrize("averaged", ["moving_average", "model_average", "averages", "ema", "swa"])
def test_averaged_weights_are_read_beside_metrics_of_such_a_name(tmp_path, averaged):
    torch.save({"model": PLAIN, averaged: OTHER, "avg": {"val.loss": torch.tensor(0.3)}}, tmp_path / "w.pt")
    with pytest.warns(Note, match=f"and averaged weights, {averaged}, which are read"):
        assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh(2)))


def whole() -> torch.nn.Module:
    """What a trainer evaluates: averaged parameters in the network with its running statistics."""
    net = trained(fresh(1))
    net.load_state_dict(PARAMETERS, strict=False)
    return net


def trained(net: torch.nn.Module) -> torch.nn.Module:
    for key, value in net.named_buffers():
        if key.endswith("running_mean"):
            value.add_(0.25)
    return net


@pytest.mark.parametrize("part", ["", ":part=ema"])
def test_an_ema_of_parameters_has_the_running_statistics_of_the_network_and_a_note_says_so(tmp_path, part):
    torch.save({"state_dict": trained(fresh(1)).state_dict(), "ema": PARAMETERS}, tmp_path / "w.pt")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = models.load(f"{tmp_path}/w.pt@{ARCH}{part}")
    assert "w.pt: ema has no statistics of BatchNorm; those of state_dict are taken" in [str(w.message) for w in told]
    assert torch.equal(logits(found), logits(whole()))


def test_statistics_that_would_have_to_be_computed_anew_are_not_borrowed(tmp_path):
    torch.save({"state_dict": PLAIN, "swa": PARAMETERS}, tmp_path / "w.pt")
    with (
        pytest.warns(Note, match="part=state_dict for the others"),
        pytest.raises(UserError, match=r"missing .*running_mean"),
    ):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


def test_an_average_without_names_is_told(tmp_path):
    ema = {"decay": 0.99, "num_updates": 5, "shadow_params": list(PARAMETERS.values()), "collected_params": None}
    torch.save({"state_dict": PLAIN, "ema": ema}, tmp_path / "w.pt")
    with pytest.warns(Note, match=r"ema.shadow_params has averaged weights without names.*; state_dict is read"):
        assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh(1)))
