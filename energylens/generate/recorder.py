"""Observes a batch of chains and keeps rows of a table of chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens import record
from energylens.generate.levels import Levels, saturated
from energylens.generate.losses import LOSSES
from energylens.record import Points


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
        self.kept = -1
        """the step of the last state that is kept"""
        self.state = (0, torch.empty(0), torch.empty(0))
        """the last one that was seen: step, images, logits"""

    def __call__(self, step: int, x: Tensor, logits: Tensor) -> None:
        """See a state, in tensors that nobody changes, and keep it if its turn is now."""
        if step == 0:
            self.start = x
        self.state = (step, x, logits)
        if step == 0 or (self.every and step % self.every == 0):
            self._keep(step)

    def ended(self, steps: int) -> tuple[dict[str, Any], np.ndarray]:
        """The columns of all recorded states, step by step, and the images.

        Args:
            steps: of the sampler. Where all chains stood still before, their last state is that of the steps left.

        Returns:
            Columns;
            [B, C, H, W] uint8 ends of the chains, with frames [B, states, C, H, W]. A chain that became NaN is black.
        """
        left = range(self.every, steps, self.every) if self.every else ()
        for step in (*(step for step in left if step > self.kept), steps):
            if step > self.kept:
                self._keep(step)
        images = np.stack(self.images, 1) if self.frames else self.images[-1]
        return record.joined(self.rows), images

    def _keep(self, step: int) -> None:
        self.kept = step
        _, x, logits = self.state
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
        rows["reference_spread"] = self.levels.spread[self.y].numpy()
        rows["reference_saturated"] = self.levels.saturated[self.y].numpy()
        rows["loss"] = self.loss(points.logits.double(), self.y, self.levels.energy[self.y]).numpy()
        self.rows.append(rows)
        pixels = (points.x.nan_to_num(0) * 255).round().to(torch.uint8).numpy()
        self.images = [*self.images, pixels] if self.frames else [pixels]
