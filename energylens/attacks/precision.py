"""Search in bfloat16, decide in float32."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from energylens.attacks.watch import unwatched


class Half(nn.Module):
    """A network whose convolutions and products run in bfloat16 (autocast); its logits are float32.

    Attacks that accept a point because it is adversarial ask `exact`, the network itself.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.exact = net

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in [0, 1] -> [B, K], good to about 1 %."""
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.exact(x).float()


def exact(model):
    """The float32 network behind a model that is searched in bfloat16, watched or not; any other model itself."""
    inner = unwatched(model)
    return inner.exact if isinstance(inner, Half) else model


@torch.no_grad()
def confirmed(model, points: Tensor, claimed: Tensor, reached: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """[B] which of the claimed points hold in float32; all, where the search is in float32 itself.

    Args:
        model: what was searched with.
        points: [B, C, H, W].
        claimed: [B] those that the search takes for adversarial.
        reached: (float32 logits [b, K] of the claimed ones, `claimed`) -> [b] whether they are.
    """
    decide = exact(model)
    if decide is model or not claimed.any():
        return claimed
    held = claimed.clone()
    held[claimed] = reached(decide(points[claimed]), claimed)
    return held
