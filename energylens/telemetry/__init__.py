"""Energy telemetry for a training loop of one's own; `energylens.watch` makes a Watch."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from energylens import alarms
from energylens.alarms import Alarm
from energylens.atomic import whole
from energylens.attacks import Attack
from energylens.data import Data
from energylens.errors import Note, UserError
from energylens.telemetry import images, measure

COLUMNS = (
    "step",
    "delta_energy",
    "delta_joint_energy",
    "kl_conditional",
    "kl_marginal",
    "entropy",
    "clean_accuracy",
    "pgd_accuracy",
    "fgsm_accuracy",
)


class Watch:
    """A network's energies while it trains, on a fixed set of images."""

    def __init__(self, net: nn.Module, watched: Data, every: int, attack: Attack, batch: int):
        self.images = watched
        self.attack = attack
        self.every = every
        self.alarms: list[Alarm] = []
        """what it warned of, one of a kind"""
        self._net, self._batch = net, batch
        self._calls = 0
        self._rows: list[dict[str, float]] = []

    def __call__(self, step: int | None = None) -> list[Alarm]:
        """Measure, if it is this call's turn. The network, its gradients and all random numbers stay as they are.

        Args:
            step: what the row is called; the number of calls before this one if None.

        Returns:
            The alarms that this call raised; each kind is raised once.

        Warns:
            Note: an alarm.

        Raises:
            UserError: the step is not behind the one before.
        """
        step = self._calls if step is None else step
        if self._rows and step <= self.last:
            raise UserError(f"watch(step={step}) after step {self.last}; steps grow, or leave them out")
        self._calls += 1
        if (self._calls - 1) % self.every:
            return []
        self._rows.append({"step": step, **measure.means(self._net, self.images, self.attack, self._batch)})
        raised = self._raised()
        self.alarms += raised
        for alarm in raised:
            warnings.warn(Note(alarm.text), stacklevel=2)
        return raised

    step = __call__

    @property
    def last(self) -> int:
        """The step that was measured last; -1 before the first."""
        return int(self._rows[-1]["step"]) if self._rows else -1

    @property
    def table(self) -> pd.DataFrame:
        """One row a measurement: `step`, and means over the images, energies in nats.

        `delta_energy` is E(x) - E(x*), `delta_joint_energy` E(x, y) - E(x*, y): natural minus adversarial, below zero
        where the attack raised the energy. What they were measured with stands in `table.attrs`.
        """
        table = pd.DataFrame(self._rows, columns=list(COLUMNS)).astype({"step": "int64"})
        table.attrs = {
            "attack": self.attack.name,
            "eps": self.attack.eps,
            "norm": self.attack.norm,
            "data": self.images.name,
            "images": self.images.selection,
        }
        return table

    def save(self, path: str | Path) -> None:
        """Write the table as parquet, whole or not at all; `pandas.read_parquet` reads it, `attrs` included.

        Raises:
            UserError: it cannot be written there.
        """
        with whole(Path(path), "watch.save(PATH)") as hidden:
            self.table.to_parquet(hidden, index=False)

    def lightning(self) -> Any:
        """A Lightning callback that measures before the first epoch and behind each one; step k is after k epochs.

        Raises:
            UserError: Lightning is not installed.
        """
        from energylens.telemetry import adapters

        return adapters.lightning(self)

    def huggingface(self) -> Any:
        """A callback of Hugging Face's Trainer that measures before the first epoch and behind each one.

        Raises:
            UserError: transformers is not installed.
        """
        from energylens.telemetry import adapters

        return adapters.huggingface(self)

    def _raised(self) -> list[Alarm]:
        kinds = {alarm.kind for alarm in self.alarms}
        found = [rule(self.table) for rule in alarms.RULES]
        return [alarm for alarm in found if alarm and alarm.kind not in kinds]


def start(
    model: Any,
    loader: Any,
    every: int,
    eps: float | None,
    attack: Any,
    samples: int,
    logits: measure.Logits | None,
    batch: int,
    data_dir: Path | None,
) -> Watch:
    """What `energylens.watch` does."""
    for name, value in {"every": every, "samples": samples, "batch": batch}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"energylens.watch: {name}={value!r}; give a whole number, at least 1")
    if not isinstance(model, nn.Module):
        raise UserError(f"energylens.watch: model is {type(model).__name__}; give the torch.nn.Module that is trained")
    if logits is not None and not callable(logits):
        raise UserError(f"energylens.watch: logits is {type(logits).__name__}; give a function (model, x) -> [B, K]")
    chosen = measure.attack_of(attack, eps)
    net = model if logits is None else measure.Called(model, logits)
    watched = images.take(loader, samples, data_dir)
    measure.check_net(net, type(model).__name__, watched)
    return Watch(net, watched, every, chosen, batch)
