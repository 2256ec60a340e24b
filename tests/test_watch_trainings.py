"""Real adversarial trainings on the digits, and what the alarms say of them; docs/watch.md has more of them."""

import warnings

import pytest
import torch
import watched

import energylens
from energylens import data
from energylens.attacks import FGSM, PGD
from energylens.errors import Note
from energylens.models import architectures
from energylens.telemetry import Watch

EPS, EPOCHS = 0.2, 24


def trained(kind: str) -> Watch:
    """The watch of adversarial training by the demo zoo's recipe, which ends with catastrophic overfitting."""
    torch.manual_seed(1)
    net = architectures.build("small-resnet:depth=6")
    x, y, _ = data.load("digits:train").batch(0, 1297)
    watch = energylens.watch(net, "digits:test", eps=EPS, samples=256)
    watch()
    optimizer = torch.optim.SGD(net.parameters(), 0.4, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, EPOCHS * 21, pct_start=0.25)
    for epoch in range(EPOCHS):
        attack = FGSM(eps=EPS) if kind == "fgsm" else PGD(eps=EPS, steps=5, seed=epoch)
        watched.epoch(net, x, y, optimizer, attack, schedule)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Note)
            if any(alarm.kind == "catastrophic overfitting" for alarm in watch()):
                break
    return watch


@pytest.mark.slow
def test_fgsm_training_overfits_catastrophically_and_the_alarm_says_so():
    watch = trained("fgsm")
    assert "catastrophic overfitting" in [alarm.kind for alarm in watch.alarms]
    assert watch.table["pgd_accuracy"].iloc[-1] < 0.1 < 0.4 < watch.table["fgsm_accuracy"].iloc[-1]


@pytest.mark.slow
def test_pgd_training_does_not_and_there_is_no_such_alarm():
    watch = trained("pgd")
    assert "catastrophic overfitting" not in [alarm.kind for alarm in watch.alarms]
    assert watch.table["pgd_accuracy"].iloc[-1] > 0.25
