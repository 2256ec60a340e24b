"""Observes a batch of chains and keeps rows of a table of chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens import record
from energylens.generate.levels import Levels, saturated
from energylens.record import Points

LOSSES = {
    "joint": lambda rows: rows["joint_energy"],
    "ce": lambda rows: rows["ce"],
    "marginal": lambda rows: rows["energy"],
    "reference": lambda rows: (rows["joint_energy"] - rows["reference"]) ** 2,
}
"""a sampler's loss -> its value, from the other columns"""


class Recorder:
    """Called with every state of a batch; keeps the start, every so many steps, and the end.

    Args:
        net: gives the logits that are recorded, float32.
        exact: whether the sampler's own logits are that network's; else it is asked again.
        y: [B] classes wanted.
        index: numbers of the chains.
        levels: of real images.
        loss: of the sampler.
        every: steps between two recorded states; 0 for the start and the end alone.
        frames: whether the images of all recorded states are kept; else those of the end.
    """

    def __init__(
        self,
        net: nn.Module,
        exact: bool,
        y: Tensor,
        index: list[int],
        levels: Levels,
        loss: str,
        every: int = 0,
        frames: bool = False,
    ):
        self.net, self.exact, self.y, self.index, self.levels = net, exact, y.cpu(), torch.tensor(index), levels
        self.loss, self.every, self.frames = LOSSES[loss], every, frames
        self.rows: list[dict[str, Any]] = []
        self.images: list[np.ndarray] = []
        self.start = torch.empty(0)
        self.last: tuple[int, Tensor, Tensor] | None = None
        """a state that is not kept yet"""

    def __call__(self, step: int, x: Tensor, logits: Tensor) -> None:
        """Keep this state, or hold it until there is a later one."""
        if step == 0:
            self.start = x.clone()
        self.last = None
        if step == 0 or (self.every and step % self.every == 0):
            self._keep(step, x, logits)
        else:
            self.last = (step, x.clone(), logits.clone())  # the sampler may go on in place

    def ended(self) -> tuple[dict[str, Any], np.ndarray]:
        """The columns of all recorded states, step by step, and the images.

        Returns:
            Columns;
            [B, C, H, W] uint8 ends of the chains, with frames [B, states, C, H, W]. A chain that became NaN is black.
        """
        if self.last is not None:
            self._keep(*self.last)
            self.last = None
        images = np.stack(self.images, 1) if self.frames else self.images[-1]
        return record.joined(self.rows), images

    def _keep(self, step: int, x: Tensor, logits: Tensor) -> None:
        if not self.exact:
            with torch.no_grad():
                logits = self.net(x)
        points = Points(logits.float(), logits.float(), self.y, x, x - self.start, self.index).cpu()
        rows = record.columns(points, None, keep_logits=True)
        rows["status"] = np.where(rows["status"] == "nan", "nan", "generated")
        rows["clean_correct"] = [None] * len(self.y)
        rows["step"] = np.full(len(self.y), step)
        rows["saturated"] = saturated(points.x).numpy()
        rows["reference"] = self.levels.energy[self.y].numpy()
        rows["reference_saturated"] = self.levels.saturated[self.y].numpy()
        rows["loss"] = self.loss(rows)
        self.rows.append(rows)
        pixels = (points.x.nan_to_num(0) * 255).round().to(torch.uint8).numpy()
        self.images = [*self.images, pixels] if self.frames else [pixels]
