"""Post-activation ResNets for small images (He et al. 2016, arXiv:1512.03385)."""

from torch import Tensor, nn
from torch.nn import functional as F

from energylens.errors import UserError


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a 1x1 shortcut where shapes change; keys as in RobustBench."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """Post-activation ResNet for small images (He et al. 2016, arXiv:1512.03385)."""

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        channels: int,
        classes: int,
        kernel: int,
        stride: int,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = len(widths)
        inputs = widths[0]
        for stage, (count, outputs) in enumerate(zip(blocks, widths, strict=True)):
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            shapes = [inputs] + [outputs] * (count - 1)
            layer = [BasicBlock(into, outputs, stride) for into, stride in zip(shapes, strides, strict=True)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
            inputs = outputs
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] in [0, 1] -> logits [B, classes]."""
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.linear(x.mean((2, 3)))


class Subsample(nn.Module):
    """The shortcut without weights (He et al. 2016, option A): every other pixel, twice the channels, new ones zero."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 2C, H / 2, W / 2], the C channels in the middle as in akamaster's networks."""
        side = x.shape[1] // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))


def cifar_resnet(depth: int, channels: int = 3, classes: int = 10) -> nn.Module:
    """The CIFAR ResNet of depth 6n + 2 (He et al. 2016, section 4.2), with akamaster's key names."""
    blocks = depth // 6
    net = ResNet((blocks, blocks, blocks), (16, 32, 64), channels, classes, kernel=3, stride=1)
    for widening in ("layer2.0", "layer3.0"):
        net.set_submodule(f"{widening}.shortcut", Subsample())
    return net


def resnet18(channels: int = 3, classes: int = 10) -> nn.Module:
    """The CIFAR ResNet-18 of the paper and of RobustBench, 11 million parameters."""
    return ResNet((2, 2, 2, 2), (64, 128, 256, 512), channels, classes, kernel=3, stride=1)


def resnet34(channels: int = 3, classes: int = 10) -> nn.Module:
    """The CIFAR ResNet-34, 21 million parameters."""
    return ResNet((3, 4, 6, 3), (64, 128, 256, 512), channels, classes, kernel=3, stride=1)


def small_resnet(depth: int = 6, width: int = 16, channels: int = 1, classes: int = 10, stages: int = 2) -> nn.Module:
    """A 5x5 stem of stride 2, stages of widths w, 2w, ..., of n blocks each: depth 2 n STAGES + 2.

    20,000 parameters at depth 6, width 16 and two stages.

    Raises:
        UserError: the depth is not one of these, or there are more than four stages.
    """
    if stages > 4:
        raise UserError(f"small-resnet:stages={stages}: stages must be 1 to 4")
    blocks, rest = divmod(depth - 2, 2 * stages)
    if blocks < 1 or rest:
        some = ", ".join(str(2 * stages * n + 2) for n in (1, 2, 3))
        raise UserError(f"small-resnet:depth={depth}: depth must be {2 * stages}n + 2: {some}, ...")
    widths = tuple(width * 2**stage for stage in range(stages))
    return ResNet((blocks,) * stages, widths, channels, classes, kernel=5, stride=2)
