"""Pre-activation ResNets for small images (He et al. 2016, arXiv:1603.05027)."""

from torch import Tensor, nn
from torch.nn import functional as F

from energylens.errors import unknown

SHORTCUTS = ("activated", "input")


class PreActBlock(nn.Module):
    """BatchNorm and ReLU before each of two 3x3 convolutions; keys as in RobustBench."""

    def __init__(self, inputs: int, outputs: int, stride: int, activated: bool):
        super().__init__()
        self.activated = activated
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out = F.relu(self.bn1(x))
        around = self.shortcut(out if self.activated else x) if len(self.shortcut) else x
        return self.conv2(F.relu(self.bn2(self.conv1(out)))) + around


class PreActResNet(nn.Module):
    """Four stages of widths 64 to 512; a BatchNorm before the linear layer where `bn` is set."""

    def __init__(self, blocks: tuple[int, ...], channels: int, classes: int, bn: bool, activated: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
        inputs = 64
        for stage, count in enumerate(blocks):
            outputs = 64 * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            shapes = [inputs] + [outputs] * (count - 1)
            layer = [
                PreActBlock(into, outputs, stride, activated) for into, stride in zip(shapes, strides, strict=True)
            ]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
            inputs = outputs
        self.bn = nn.BatchNorm2d(inputs) if bn else None
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] in [0, 1] -> logits [B, classes]."""
        x = self.conv1(x)
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        if self.bn is not None:
            x = F.relu(self.bn(x))
        return self.linear(x.mean((2, 3)))


def preact_resnet18(channels: int = 3, classes: int = 10, bn: bool = True, shortcut: str = "activated") -> nn.Module:
    """The PreActResNet-18 of Rice et al. 2020 and AWP, 11 million parameters.

    Args:
        channels: of the images.
        classes: logits.
        bn: BatchNorm and ReLU before the linear layer; RobustBench's plain class has none.
        shortcut: whether the 1x1 shortcuts take the `activated` input of their block, or the `input` itself.

    Raises:
        UserError: unknown shortcut.
    """
    if shortcut not in SHORTCUTS:
        raise unknown("shortcut of preact-resnet18", str(shortcut), SHORTCUTS)
    return PreActResNet((2, 2, 2, 2), channels, classes, bn, shortcut == "activated")
