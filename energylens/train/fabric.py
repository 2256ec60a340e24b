"""Several processes that train one network, through Lightning Fabric (`pip install energylens[processes]`)."""

import logging
import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from energylens.errors import UserError
from energylens.train.processes import Alone

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""what torchrun tells each process"""
PATIENCE = timedelta(days=7)
"""how long processes wait for the first; one that died is seen at once all the same"""


def check() -> None:
    """Whether Lightning is installed; importing it takes seconds.

    Raises:
        UserError: it is not.
    """
    if find_spec("lightning") is None:
        raise UserError("--processes needs Lightning; type: pip install 'energylens[processes]'")


def _library() -> ModuleType:
    """Lightning Fabric, which says nothing by itself."""
    check()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import lightning.fabric
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return lightning.fabric


class Several(Alone):
    """This process and others, which torchrun or `children.train` has started."""

    def __init__(self, device: torch.device | str = "cpu"):
        """Meet the others.

        Args:
            device: `cuda` with a GPU for each process of a machine, or `cpu`.

        Raises:
            UserError: Lightning is not installed, or what torchrun says is not all there.
        """
        if missing := [name for name in NAMES if name not in os.environ]:
            raise UserError(f"WORLD_SIZE is set and {missing[0]} is not; start with torchrun, or: unset WORLD_SIZE")
        fabric, size = _library(), int(os.environ["WORLD_SIZE"])
        here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        self._fabric = fabric.Fabric(
            accelerator=torch.device(device).type,
            devices=here,
            num_nodes=size // here,
            strategy=fabric.strategies.DDPStrategy(timeout=PATIENCE),
            plugins=fabric.plugins.environments.TorchElasticEnvironment(),
        )
        self._fabric.launch()
        self.rank, self.size = self._fabric.global_rank, self._fabric.world_size
        super().__init__(self._fabric.device)

    def wrap(self, net: nn.Module) -> nn.Module:
        """What the outer forward pass goes through: DistributedDataParallel."""
        return self._fabric.setup_module(net, move_to_device=False)

    def backward(self, loss: Tensor) -> None:
        """Gradients, averaged over processes."""
        self._fabric.backward(loss)

    def average(self, value: Tensor) -> Tensor:
        """A value's mean over processes."""
        total = value.detach().clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total / self.size

    @torch.no_grad()
    def settle(self, net: nn.Module) -> None:
        """After a step: BatchNorm's running statistics, averaged over processes."""
        buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        if not buffers:
            return
        means = self.average(torch.cat([buffer.flatten() for buffer in buffers]))
        for buffer, mean in zip(buffers, means.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(mean.view(buffer.shape))

    def first(self, work: Callable[[], Any]) -> Any:
        """What the first process finds when it alone does this; the others wait for it.

        Raises:
            UserError: in all of them, where it is raised in the first.
        """
        found, error = _tried(work) if self.rank == 0 else (None, None)
        found, error = self._fabric.broadcast((found, error))
        if error is not None:
            raise error
        return found

    def together(self, work: Callable[[], Any]) -> Any:
        """What this process finds when each does this.

        Raises:
            UserError: in all of them, where it is raised in one.
        """
        found, error = _tried(work)
        errors: list[UserError | None] = [None] * self.size
        torch.distributed.all_gather_object(errors, error)
        for raised in errors:
            if raised is not None:
                raise raised
        return found


def leave() -> None:
    """End the meeting before this process ends: threads of gloo that are left then can abort it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _tried(work: Callable[[], Any]) -> tuple[Any, UserError | None]:
    try:
        return work(), None
    except UserError as error:
        return None, error
