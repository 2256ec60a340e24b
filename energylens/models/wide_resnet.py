"""Wide ResNets for small images (Zagoruyko and Komodakis 2016, arXiv:1605.07146), with the key names of TRADES."""

from torch import Tensor, nn
from torch.nn import functional as F

from energylens.errors import UserError


class WideBlock(nn.Module):
    """BatchNorm and ReLU before each of two 3x3 convolutions; a 1x1 shortcut where widths change."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if inputs != outputs:
            self.convShortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out = F.relu(self.bn1(x))
        around = self.convShortcut(out) if hasattr(self, "convShortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(out)))) + around


class Stage(nn.Module):
    """Blocks of one width."""

    def __init__(self, count: int, inputs: int, outputs: int, stride: int):
        super().__init__()
        first = WideBlock(inputs, outputs, stride)
        self.layer = nn.Sequential(first, *(WideBlock(outputs, outputs, 1) for _ in range(count - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        return self.layer(x)


class WideResNet(nn.Module):
    """Three stages of widths 16 w, 32 w and 64 w."""

    def __init__(self, depth: int, width: int, channels: int, classes: int):
        super().__init__()
        count = (depth - 4) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.block1 = Stage(count, 16, 16 * width, 1)
        self.block2 = Stage(count, 16 * width, 32 * width, 2)
        self.block3 = Stage(count, 32 * width, 64 * width, 2)
        self.bn1 = nn.BatchNorm2d(64 * width)
        self.fc = nn.Linear(64 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] in [0, 1] -> logits [B, classes]."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def wide_resnet(depth: int = 28, width: int = 10, channels: int = 3, classes: int = 10) -> nn.Module:
    """WideResNet-DEPTH-WIDTH; 36 million parameters at 28-10, 46 million at 34-10.

    Raises:
        UserError: depth is not 6n + 4, or width is below 1.
    """
    if depth < 10 or depth % 6 != 4:
        raise UserError(f"wrn:depth={depth}: depth must be 6n + 4: 10, 16, 22, 28, 34, 40, ...")
    if width < 1:
        raise UserError(f"wrn:width={width}: width must be at least 1")
    return WideResNet(depth, width, channels, classes)
