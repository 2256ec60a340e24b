"""Networks known by name have the sizes and keys that they are known for."""

import pytest
import torch
from torch import nn

from energylens import models
from energylens.models import architectures


def test_resnet18_has_robustbenchs_keys_and_the_known_size():
    net = architectures.build("resnet18")
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_173_962
    assert {
        "conv1.weight",
        "layer4.1.bn2.running_var",
        "layer2.0.shortcut.0.weight",
        "linear.bias",
    } <= net.state_dict().keys()
    assert net(torch.rand(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize(
    ("arch", "depth"),
    [(f"small-resnet:depth={depth}", depth) for depth in (6, 10, 14)]
    + [(f"resnet{depth}", depth) for depth in (20, 32, 44, 56, 110)],
)
def test_depth_counts_convolutions_and_the_linear_layer(arch, depth):
    net = architectures.build(arch)
    on_path = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(on_path) == depth


@pytest.mark.parametrize(
    ("arch", "millions"),
    [("resnet20", "0.27"), ("resnet32", "0.46"), ("resnet44", "0.66"), ("resnet56", "0.85"), ("resnet110", "1.7")],
)
def test_cifar_resnets_have_the_published_sizes(arch, millions):
    """He et al. 2016, table 6."""
    net = architectures.build(arch)
    assert f"{sum(parameter.numel() for parameter in net.parameters()) / 1e6:.2g}" == millions


def test_cifar_resnets_take_channels_and_classes():
    net = architectures.build("resnet20:channels=1:classes=7").eval()
    assert net(torch.rand(2, 1, 16, 16)).shape == (2, 7)


def test_the_shortcut_without_weights_keeps_every_other_pixel_in_the_middle_channels():
    x = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    zero = torch.zeros(2, 2)
    kept = [torch.tensor([[1.0, 3.0], [9.0, 11.0]]), torch.tensor([[17.0, 19.0], [25.0, 27.0]])]
    assert torch.equal(architectures.Subsample()(x)[0], torch.stack([zero, *kept, zero]))


@pytest.mark.parametrize("depth", [20, 56])
def test_public_weights_give_the_logits_of_their_own_network(real_zoo, depth):
    normalize, theirs = models.load(f"{real_zoo}/nets.py:resnet{depth}_std").children()
    ours = models.load(f"{real_zoo}/resnet{depth}_std.th@resnet{depth}")
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = normalize(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
