"""Callbacks of trainers; each library is imported where its callback is made."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from energylens.errors import UserError

if TYPE_CHECKING:
    from energylens.telemetry import Watch


def lightning(watch: "Watch") -> Any:
    """A `lightning.Callback`: the start as the step where training begins, then each epoch; on the main process."""
    base: Any = _library("lightning.pytorch", "pytorch_lightning").Callback

    class WatchCallback(base):
        """Measures with a Watch."""

        def on_train_start(self, trainer, pl_module) -> None:
            _measure(trainer.is_global_zero, trainer.current_epoch)

        def on_train_epoch_end(self, trainer, pl_module) -> None:
            _measure(trainer.is_global_zero, trainer.current_epoch + 1)

    def _measure(main: bool, epoch: int) -> None:
        if main and epoch > watch.last:
            watch(epoch)

    return WatchCallback()


def huggingface(watch: "Watch") -> Any:
    """A `transformers.TrainerCallback`: the start as the step where training begins, then each epoch."""
    base: Any = _library("transformers").TrainerCallback

    class WatchCallback(base):
        """Measures with a Watch."""

        def on_train_begin(self, args, state, control, **others) -> None:
            began = state.epoch or 0
            self.ended = int(began)  # counted: `state.epoch` is a guess where the length of an epoch is not known
            if began == self.ended:  # else it goes on within an epoch
                self._measure(state)

        def on_epoch_end(self, args, state, control, **others) -> None:
            self.ended += 1
            self._measure(state)

        def _measure(self, state) -> None:
            if state.is_world_process_zero and self.ended > watch.last:
                watch(self.ended)

    return WatchCallback()


def _library(*names: str) -> ModuleType:
    """The first of some modules that is installed, or that one which the program has imported already.

    Raises:
        UserError: none is.
    """
    for name in sorted(names, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise
    package = names[0].partition(".")[0]
    raise UserError(f"{package} is not installed; pip install {package}")
