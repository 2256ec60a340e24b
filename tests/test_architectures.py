"""Networks known by name have the sizes and keys that they are known for."""

import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("depth", [6, 10, 14])
def test_depth_counts_convolutions_and_the_linear_layer(depth):
    net = architectures.build(f"small-resnet:depth={depth}")
    on_path = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(on_path) == depth
