"""Networks known by name have the sizes and keys that they are known for."""

import importlib

import pytest
import torch
import torchvision
from torch import nn

from energylens import models
from energylens.errors import UserError
from energylens.models import architectures
from energylens.models.robustbench_import import zoo


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
    + [("small-resnet:depth=8:stages=3", 8), ("small-resnet:depth=14:stages=3", 14)]
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


def robustbenchs(module: str):
    with zoo():
        return importlib.import_module(f"robustbench.model_zoo.architectures.{module}")


@pytest.mark.parametrize(
    ("arch", "theirs"),
    [
        ("resnet18", lambda: robustbenchs("resnet").ResNet18()),
        ("resnet34:classes=100", lambda: resnet("ResNet", "BasicBlock", (3, 4, 6, 3), num_classes=100)),
        ("preact-resnet18:bn=false:shortcut=input", lambda: robustbenchs("resnet").PreActResNet18()),
        ("preact-resnet18", lambda: resnet("PreActResNet", "PreActBlock", (2, 2, 2, 2), 10, True, True)),
        ("wrn-28-2", lambda: robustbenchs("wide_resnet").WideResNet(28, 10, 2)),
        ("wrn:depth=16:width=4:classes=100", lambda: robustbenchs("wide_resnet").WideResNet(16, 100, 4)),
        ("wrn-10-2", lambda: robustbenchs("wide_resnet").WideResNet(10, 10, 2, sub_block1=True)),
    ],
)
def test_state_dicts_of_robustbenchs_classes_give_their_logits(arch, theirs, tmp_path):
    torch.manual_seed(0)
    net = theirs().eval()
    for buffer in net.buffers():  # running statistics that matter
        buffer.copy_(torch.rand_like(buffer.float()) + 0.5)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(models.load(f"{tmp_path}/w.pt@{arch}")(x), net(x), rtol=1e-5, atol=1e-5)


def resnet(kind: str, block: str, *settings, **named):
    module = robustbenchs("resnet")
    return getattr(module, kind)(getattr(module, block), *settings, **named)


@pytest.mark.parametrize(("arch", "millions"), [("wrn-28-10", 36.5), ("wrn-34-10", 46.2), ("preact-resnet18", 11.2)])
def test_the_fields_networks_have_their_published_sizes(arch, millions):
    with torch.device("meta"):
        net = architectures.build(arch)
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6, 1) == millions


def test_resnet18_takes_tiny_imagenets_images():
    """The paper's variant: the same network, its mean over 8 x 8 places."""
    net = architectures.build("resnet18:classes=200").eval()
    assert net(torch.rand(1, 3, 64, 64)).shape == (1, 200)


@pytest.mark.parametrize("arch", ["timm/resnet18", "torchvision/resnet18"])
def test_other_libraries_networks_come_from_their_factories(arch):
    torch.manual_seed(0)
    ours = architectures.build(f"{arch}:classes=7:normalize=imagenet").eval()
    with zoo():  # which keeps timm's deprecations to itself
        timm = importlib.import_module("timm")
    torch.manual_seed(0)
    library = {"timm": timm.create_model, "torchvision": torchvision.models.get_model}[arch.split("/")[0]]
    theirs = library("resnet18", num_classes=7).eval()
    x = torch.rand(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        wanted = theirs((x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        torch.testing.assert_close(ours(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wrn-27-10", "depth must be 6n + 4: 10, 16, 22"),
        ("resnet18:classes=0", "resnet18:classes=0: classes must be a whole number, at least 1"),
        ("timm/resnet18:channels=0", "channels must be a whole number, at least 1"),
        ("small-resnet:width=0", "width must be a whole number, at least 1"),
        ("small-resnet:depth=4002", "depth must be at most 999"),
        ("small-resnet:depth=6:stages=3", "depth must be 6n + 2: 8, 14, 20"),
        ("small-resnet:stages=5", "stages must be 1 to 4"),
        ("timm/", "write timm/NAME, such as timm/resnet18"),
        ("timm/zzzz", "unknown timm network 'zzzz'; list them: python -c 'import timm; print(timm.list_models())'"),
        ("timm/resnet18:drop_path=a.b", "drop_path=a.b is not taken; weights come from FILE@timm/resnet18"),
        ("wrn-28-0", "width must be at least 1"),
        ("resnet19", "did you mean 'resnet18'"),
        ("resnet18:clases=3", "did you mean 'classes'"),
        ("preact-resnet18:shortcut=out", "unknown shortcut of preact-resnet18 'out'"),
        ("timm/resnt18", "unknown timm network 'resnt18'; did you mean 'resnet18'"),
        ("torchvision/resnet1", "unknown torchvision network 'resnet1'"),
        ("keras/resnet50", "unknown library of networks 'keras'; available: timm, torchvision"),
        ("torchvision/resnet18:depth=3", "cannot build torchvision/resnet18:depth=3"),
        ("torchvision/resnet18:pretrained=true:classes=10", "pretrained weights have their own classes"),
    ],
)
def test_mistakes_in_an_architecture_are_named(text, message):
    with pytest.raises(UserError) as error:
        architectures.build(text)
    assert message in str(error.value)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_pretrained_weights_are_not_downloaded_offline(library, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    with pytest.raises(UserError, match=r"would download weights, and \$ENERGYLENS_OFFLINE is set"):
        architectures.build(f"{library}/resnet18:pretrained=true")
