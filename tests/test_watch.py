"""energylens.watch on a loop of one's own: what it measures, when, and that it leaves no trace."""

import copy
import random

import numpy as np
import pandas as pd
import pytest
import torch
import watched
from torch import nn
from torch.nn import functional as F

import energylens
from energylens import alarms, data, energy
from energylens.attacks import FGSM, PGD
from energylens.errors import Note, UserError
from energylens.telemetry import COLUMNS

EPS = 0.1


def test_the_two_lines_of_the_docs():
    model, (x, y) = watched.net(), watched.images()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = energylens.watch(model, watched.loader(), every=1, eps=EPS)
    for _ in range(3):
        watched.epoch(model, x, y, optimizer)
        watch()
    assert watch.table["step"].tolist() == [0, 1, 2]
    assert tuple(watch.table) == COLUMNS
    assert watch.table["clean_accuracy"].iloc[-1] > watch.table["pgd_accuracy"].iloc[-1]


def test_values_are_those_of_the_definitions():
    """Eqs. 2, 3 and 5 written out, in eval mode, natural minus adversarial."""
    model, (x, y) = watched.net(), watched.images()
    watch = energylens.watch(model, watched.loader(), eps=EPS)
    watch()
    row = watch.table.iloc[0]
    model.eval()
    with torch.no_grad():
        points = PGD(eps=EPS, steps=10)(model, x, y, index=torch.arange(64))
        f, g, h = (model(at).double() for at in (x, points, FGSM(eps=EPS)(model, x, y)))
    known = {
        "delta_energy": g.logsumexp(1) - f.logsumexp(1),
        "delta_joint_energy": g[range(64), y] - f[range(64), y],
        "kl_conditional": (f.softmax(1) * (f - g)).sum(1),
        "kl_marginal": g.logsumexp(1) - f.logsumexp(1),
        "entropy": -(f.softmax(1) * f.log_softmax(1)).sum(1),
        "clean_accuracy": (f.argmax(1) == y).double(),
        "pgd_accuracy": (g.argmax(1) == y).double(),
        "fgsm_accuracy": (h.argmax(1) == y).double(),
    }
    for name, values in known.items():
        assert row[name] == pytest.approx(values.mean().item(), abs=1e-6), name
    kl = F.kl_div(g.log_softmax(1), f.log_softmax(1), log_target=True, reduction="batchmean")
    assert row["kl_conditional"] + row["kl_marginal"] == pytest.approx(kl.item(), abs=1e-6)
    assert row["delta_energy"] == pytest.approx((energy.marginal(f) - energy.marginal(g)).mean().item(), abs=1e-6)


def streams() -> list:
    return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]


@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_all_random_numbers_are_left_as_they_were(training):
    model, (x, y) = watched.net().train(training), watched.images(16)
    model.norm.eval()  # a part that its user froze
    model.head.bias.requires_grad_(False)
    F.cross_entropy(model(x), y).backward()
    before, random_before = copy.deepcopy(model), streams()
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    watch = energylens.watch(model, watched.loader(shuffle=True), eps=EPS)
    watch()
    assert streams() == random_before
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]
    for old, new in zip(before.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(old, new)  # BatchNorm's statistics among them
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert gradient is parameter.grad is None or torch.equal(gradient, parameter.grad)


def test_a_watch_leaves_no_gradients_where_there_were_none():
    model = watched.net()
    energylens.watch(model, watched.loader(), eps=EPS)()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("own", "options"),
    [(True, {}), (False, {}), (False, {"num_workers": 1, "persistent_workers": True})],
)
def test_training_gives_the_same_weights_watched_or_not(own, options):
    """A loader that shuffles, by a generator of its own or the global one, has its order and its workers untouched."""

    def train(watching: bool) -> nn.Module:
        model = watched.net()
        generator = torch.Generator().manual_seed(5) if own else None
        loader = watched.loader(shuffle=True, generator=generator, **options)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        watch = energylens.watch(model, loader, eps=EPS, samples=20) if watching else list
        for _ in range(2):
            for x, y in loader:
                watched.epoch(model, x, y, optimizer)
            watch()
        return model

    with_, without = train(True).state_dict(), train(False).state_dict()
    assert all(torch.equal(with_[name], without[name]) for name in with_)


def test_a_loops_autocast_does_not_reach_in():
    watch = energylens.watch(watched.net(), watched.loader(), eps=EPS)
    watch()
    with torch.autocast("cpu", torch.bfloat16):
        watch()
    one, two = (watch.table.drop(columns="step").iloc[row] for row in (0, 1))
    assert one.equals(two)


def test_an_attack_keeps_its_own_radius():
    watch = energylens.watch(watched.net(), watched.loader(), attack=PGD(eps=0.3, step_size=0.1, steps=2))
    watch()
    assert watch.table.attrs["eps"] == 0.3
    with pytest.raises(UserError, match=r"has eps 0.3, and eps=0.1 is said; leave one out"):
        energylens.watch(watched.net(), watched.loader(), eps=0.1, attack=PGD(eps=0.3))


def test_it_works_where_gradients_are_off():
    watch = energylens.watch(watched.net(), watched.loader(), eps=EPS)
    watch()
    with torch.no_grad():
        watch()
    with torch.inference_mode():
        watch()
    assert watch.table["delta_energy"].nunique() == 1


def test_every_nth_call_is_measured_the_first_one_included():
    watch = energylens.watch(watched.net(), watched.loader(), every=3, eps=EPS, samples=8)
    for _ in range(8):
        watch.step()
    assert watch.table["step"].tolist() == [0, 3, 6]


def test_steps_can_be_named():
    watch = energylens.watch(watched.net(), watched.loader(), every=2, eps=EPS, samples=8)
    for step in (100, 200, 300):
        watch(step)
    assert watch.table["step"].tolist() == [100, 300]


def test_the_images_are_the_first_ones_and_stay_the_same():
    assert energylens.watch(watched.net(), watched.loader(64), samples=40, eps=EPS).images.labels.tolist() == (
        watched.images(40)[1].tolist()
    )
    shuffled = [energylens.watch(watched.net(), watched.loader(shuffle=True), samples=9).images for _ in range(2)]
    assert torch.equal(shuffled[0].images, shuffled[1].images)


def test_images_may_be_a_reference_or_data():
    model = watched.net()
    chosen = data.load("digits:test", samples=20, shuffle_seed=1)
    rows = []
    for source in (chosen, "digits:test"):
        watch = energylens.watch(model, source, eps=EPS, samples=512)
        watch()
        rows.append((len(watch.images), watch.table["data"] if "data" in watch.table else watch.table.attrs["data"]))
    assert rows == [(20, "digits"), (500, "digits")]


def test_the_attack_is_a_name_an_object_or_a_function_at_the_eps_of_all():
    def still(model, x, y):
        return x

    model = watched.net()
    for attack in ("pgd:steps=3", PGD(eps=EPS, steps=3), "apgd-ce:steps=3", "pgd:norm=l2"):
        watch = energylens.watch(model, watched.loader(), attack=attack, eps=EPS, samples=8)
        watch()
        assert watch.attack.eps == EPS
    assert watch.table.attrs["norm"] == "l2"
    watch = energylens.watch(model, watched.loader(), attack=still, eps=EPS)
    watch()
    row = watch.table.iloc[0]
    assert row["delta_energy"] == pytest.approx(0, abs=1e-6)
    assert row["kl_conditional"] == pytest.approx(0, abs=1e-6)
    assert row["pgd_accuracy"] == row["clean_accuracy"]


def test_saved_tables_are_read_by_pandas_with_what_they_were_measured_with(tmp_path):
    watch = energylens.watch(watched.net(), watched.loader(), eps=EPS)
    watch()
    watch.save(tmp_path / "new" / "run.parquet")
    read = pd.read_parquet(tmp_path / "new" / "run.parquet")
    pd.testing.assert_frame_equal(read, watch.table)
    assert read.attrs == {
        "attack": "pgd-eps0.1-steps10",
        "eps": 0.1,
        "norm": "linf",
        "data": "the loader",
        "images": "all 64 of 64 watched images",
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.parquet"]


def test_an_alarm_is_warned_of_once_and_kept(monkeypatch):
    model = watched.net()
    watch = energylens.watch(model, watched.loader(), eps=EPS, samples=8)
    made = alarms.Alarm(1, "robust overfitting", -1.0, "robust overfitting since step 0: ...", 0)
    monkeypatch.setattr(alarms, "RULES", (lambda table: made if len(table) > 1 else None,))
    assert watch() == []
    with pytest.warns(Note, match="robust overfitting since step 0"):
        assert watch() == [made]
    assert watch() == []
    assert watch.alarms == [made]


def test_the_function_is_there_after_its_modules_were_imported():
    import energylens.telemetry
    import energylens.telemetry.adapters

    assert callable(energylens.watch)
