"""The masking check-up: which networks it warns of, and with what numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from energylens import command, data, models
from energylens import models_command as commands
from energylens.attacks import Square
from energylens.data import Data
from energylens.errors import UserError
from energylens.models import masking


def pictures(dark: float, bright: float, count: int = 8) -> Data:
    """Flat 16x16 pictures, one half of them dark (class 0), the other bright (class 1)."""
    labels = torch.arange(count) % 2
    images = torch.where(labels == 1, bright, dark)[:, None, None, None].expand(count, 1, 16, 16)
    return Data("pictures", "test", images.contiguous().float(), labels, np.arange(count))


class Brightness(nn.Module):
    """Bright where the mean of prepare(x) is above a threshold: logits -+ gain (mean - threshold)."""

    def __init__(self, prepare=lambda x: x, threshold=0.5, gain=1.0, finish=lambda logits: logits):
        super().__init__()
        self.prepare, self.threshold, self.finish = prepare, threshold, finish
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x):
        above = self.gain * (self.prepare(x).flatten(1).mean(1) - self.threshold)
        return self.finish(torch.stack([-above, above], 1))


def found(net, images=None, **settings) -> dict[str, masking.Finding]:
    images = pictures(0.2, 0.8) if images is None else images
    return {finding.name: finding for finding in masking.check_up(net, images, **settings)}


def warned(findings: dict[str, masking.Finding]) -> set[str]:
    return {name for name, finding in findings.items() if not finding.passed}


def test_a_linear_network_passes_with_the_numbers_of_its_geometry():
    """Its pictures are 0.3 from the boundary: eps 8/255 breaks none of them, 0.35 and 0.5 break all."""
    findings = found(Brightness())
    assert list(findings) == [
        "output kind", "class count", "randomised outputs", "input range",
        "zero gradients", "black-box attack", "large eps",
    ]  # fmt: skip
    assert not warned(findings)
    assert str(findings["zero gradients"]) == "pass  zero gradients      0 of 8 right images"
    trail = "8 right images, 8 after PGD-20, 8 after APGD-CE, 8 after CW; Square breaks 0 of those"
    assert findings["black-box attack"].text == trail
    assert findings["large eps"].text == "0 of 8 right images stand PGD-50 at eps 0.5"
    wide = found(Brightness(), eps=0.35)
    assert wide["black-box attack"].text.startswith("8 right images, 0 after PGD-20, 0 after APGD-CE")


def test_a_quantiser_has_no_gradient_and_loses_to_square_alone():
    """Steps of 1/4: a third of a random start's pixels cross a step, a half is needed; Square moves all of them."""
    quantiser = Brightness(lambda x: (4 * x).round() / 4, threshold=0.375)
    findings = found(quantiser, pictures(0.34, 0.41), eps=0.1)
    assert warned(findings) == {"zero gradients", "black-box attack", "large eps"}
    assert findings["zero gradients"].text == "8 of 8 right images"
    assert findings["black-box attack"].text.endswith("8 after CW; Square breaks 8 of those")


def test_logits_so_large_that_cross_entropy_is_flat():
    """A gap of 6,000 nats: p is exactly 1. The margin is not flat, so that Square has nothing left to break."""
    findings = found(Brightness(gain=1e4), eps=0.35)
    assert warned(findings) == {"zero gradients", "large eps"}
    assert findings["large eps"].text == "8 of 8 right images stand PGD-50 at eps 0.5"
    assert "8 after PGD-20, 8 after APGD-CE, 0 after CW" in findings["black-box attack"].text


@pytest.mark.parametrize(("broken", "passed"), [(1, True), (2, False)])
def test_square_may_break_one_image_more_by_luck(monkeypatch, broken, passed):
    def search(self, model, x, y, keys, target, observe):
        x_adv = x.clone()
        x_adv[:broken] = 1 - x[:broken]  # dark is bright and bright is dark
        return x_adv

    monkeypatch.setattr(Square, "_search", search)
    finding = found(Brightness())["black-box attack"]
    assert finding.passed == passed
    assert f"Square breaks {broken} of those" in finding.text


def test_noise_in_the_logits():
    noisy = Brightness(finish=lambda logits: logits + 0.01 * torch.randn_like(logits))
    finding = found(noisy)["randomised outputs"]
    assert not finding.passed
    assert 0.01 < float(finding.text.removeprefix("two passes differ by up to ")) < 0.1
    rounding = Brightness(finish=lambda logits: logits * (1 + 1e-6 * torch.randn(1)))
    assert found(rounding)["randomised outputs"].passed


@pytest.mark.parametrize(
    ("threshold", "best", "numbers"),
    [
        (127.5, "[0, 255]", "50.0 % on [0, 1], 100.0 % on [0, 255], 50.0 % on standardised"),
        (0.0, "standardised", "50.0 % on [0, 1], 50.0 % on [0, 255], 100.0 % on standardised"),
    ],
)
def test_a_network_whose_normalisation_was_left_out(threshold, best, numbers):
    finding = found(Brightness(threshold=threshold))["input range"]
    assert finding.text == f"accuracy {numbers}: put the normalisation inside the model"
    assert not finding.passed


def test_a_range_that_a_network_refuses_is_left_out():
    def refuse(x):
        if x.min() < 0 or x.max() > 1:
            raise ValueError("not an image")
        return x

    finding = found(Brightness(refuse))["input range"]
    assert finding.passed
    assert finding.text == "accuracy 100.0 % on [0, 1]"


def test_outputs_that_are_no_logits_and_classes_that_no_label_needs():
    findings = found(Brightness(finish=lambda logits: logits.softmax(1)))
    assert findings["output kind"].text == "probabilities"
    assert not findings["output kind"].passed
    padded = found(Brightness(finish=lambda logits: nn.functional.pad(logits, (0, 3), value=-9.0)))
    assert padded["class count"].text == "5 classes, the labels need 2"
    assert warned(padded) == {"class count"}


def test_a_network_that_is_never_right_cannot_be_attacked():
    findings = found(Brightness(gain=-1.0))
    assert findings["gradients"].text == "none of 8 images is classified right to attack it"
    assert "large eps" not in findings


def test_it_looks_at_the_first_64_and_leaves_no_trace():
    net = Brightness(finish=lambda logits: logits + 1e-9 * torch.randn_like(logits)).train()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    findings = found(net, pictures(0.2, 0.8, 70))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert net.training
    assert net.gain.requires_grad
    assert net.gain.grad is None
    assert findings["zero gradients"].text == "0 of 64 right images"


def test_an_eps_that_is_no_radius():
    with pytest.raises(UserError, match=r"eps must be a number, above 0"):
        masking.check_up(Brightness(), pictures(0.2, 0.8), eps=0.0)


@pytest.mark.parametrize("name", ["standard-6", "sat", "trades"])
def test_the_demo_networks_pass(name):
    """At the radius that they were trained for, where CE alone overrates `trades`."""
    findings = found(models.load(f"demo:{name}"), data.load("digits:test", samples=64), eps=0.2)
    assert not warned(findings), findings


def check(*arguments: str) -> int:
    return command.run(commands.app, "test", ["check", "demo:sat", "--data", "digits:test", *arguments])


def test_the_command_prints_one_line_a_check_behind_the_accuracy(capsys):
    assert check("--samples", "20", "--eps", "4/255") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == "masking         on the first 20 of these images, in Linf at eps 4/255"
    assert len(lines) == 12
    assert all(line.startswith("pass  ") for line in lines[5:])


def test_the_command_warns_and_still_ends_well(toy_net, npz, capsys):
    """A linear network whose logits are rounded has no gradient anywhere."""
    reference = f"{toy_net('return (100 * logits).round()')}:toy"
    assert command.run(commands.app, "test", ["check", reference, "--data", str(npz)]) == 0
    assert "warn  zero gradients" in capsys.readouterr().out


def test_the_command_leaves_it_out_on_demand_and_refuses_a_wrong_eps_at_once(capsys):
    assert check("--samples", "20", "--no-masking") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert "masking" not in out
    assert check("--eps", "0") == 2
    wrong = capsys.readouterr()
    assert wrong.err == "error: PGD(eps=0.0): eps must be a number, above 0\n"
    assert not wrong.out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet2b_adv", "cnn_a_mix"])
def test_real_networks_pass(real_zoo, real_data, name):
    images = data.load("cifar10:test", data_dir=real_data, samples=64)
    assert not warned(found(models.load(f"{real_zoo}/nets.py:{name}"), images))
