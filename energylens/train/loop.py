"""The training loop: attack, two forward passes, a sum of terms, a step. It knows nothing of files and tables."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens.attacks.precision import Half
from energylens.data import Data, scaled
from energylens.data.augment import augment
from energylens.errors import UserError
from energylens.models import architectures
from energylens.train import objectives
from energylens.train.awp import perturbed
from energylens.train.objectives import Objective
from energylens.train.processes import Alone, Both, autocast
from energylens.train.settings import Settings
from energylens.train.state import State

ATTACKED = "attacked"
"""share of the images; of a batch, until the epoch's end"""


class NotFinite(UserError):
    """The loss, or a weight, became NaN or infinite."""


@dataclass(frozen=True)
class Work:
    """What an epoch is made of, beside the state."""

    objective: Objective
    """the state's, or in the burn-in the same without its weights"""
    data: Data
    processes: Alone
    both: nn.Module
    """the outer forward pass, `Both` or a wrapper of it"""
    natural: Tensor | None = None
    """[N] bool, N the images of the split: those that are not attacked"""


def train(name: str, arch: str, data: Data, settings: Settings | None = None) -> nn.Module:
    """A network trained on the selected images, in this process, nothing written.

    Args:
        name: a row of OBJECTIVES.
        arch: an architecture with its settings, `small-resnet:depth=6`.
        data: training images.
        settings: the recipe; the paper's if None.

    Returns:
        The network after the last epoch (the average of its weights, with `ema`), in eval mode.

    Raises:
        UserError: unknown objective or architecture.
        NotFinite: the loss or a weight became NaN.
    """
    settings = settings or Settings()
    objective = chosen(name, settings)
    state = begin(arch, objective, data, settings)
    for _ in epochs(state, data):
        pass
    return state.result.eval()


def chosen(name: str, settings: Settings) -> Objective:
    """A row of OBJECTIVES with the changes that a recipe makes to it.

    Raises:
        UserError: unknown row, or it has not what is to be changed.
    """
    objective = objectives.objective(name, settings.beta, settings.der)
    given = {"steps": settings.sgld_steps, "buffer": settings.buffer, "rho": settings.rho}
    changed: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if changed and objective.negatives is None:
        raise UserError(f"{name} draws no negatives: leave out --sgld-steps, --buffer and --rho, or train jeat")
    if objective.negatives is None:
        return objective
    negatives = replace(objective.negatives, **changed)
    if negatives.buffer < settings.batch:
        holds = f"the replay buffer holds {negatives.buffer} images, fewer than a batch of {settings.batch}"
        raise UserError(f"{holds}; take a larger --buffer")
    return replace(objective, negatives=negatives)


def begin(arch: str, objective: Objective, data: Data, settings: Settings, device: torch.device | str = "cpu") -> State:
    """A network with fresh weights, which come from the seed, and all that belongs to it.

    Raises:
        UserError: unknown architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = architectures.build(arch).to(device)
        if settings.channels_last:
            net = net.to(memory_format=torch.channels_last)
        return State(net, objective, data, settings)


def epochs(
    state: State, data: Data, processes: Alone | None = None, natural: Tensor | None = None
) -> Iterator[dict[str, float]]:
    """Train on to the last epoch. Random numbers depend on (seed, epoch) alone, so a run can go on anywhere.

    Args:
        state: where to go on; changed in place.
        data: training images.
        processes: those that train together; this one alone if None.
        natural: [N] bool, N the images of the split: those that are not attacked, x* = x; None for none of them.

    Yields:
        After each epoch its mean loss, that of each term, accuracies on the batches as they were trained on
        (train mode; `train_robust` of the attacked images alone, absent where there are none), and the rate and
        momentum of its last step.

    Raises:
        NotFinite: the loss or a weight became NaN or infinite.
    """
    processes = processes or Alone()
    objective, settings = state.objective, state.settings
    both = processes.wrap(Both(state.net, objective))
    forked = [processes.device] if processes.device.type == "cuda" else []
    while state.epoch < settings.epochs:
        plain = state.epoch < burn_in(objective, settings)
        work = Work(objective.plain if plain else objective, data, processes, both, natural)
        with torch.random.fork_rng(devices=forked):
            key = np.random.SeedSequence((settings.seed, state.epoch, processes.rank))
            torch.manual_seed(int(key.generate_state(1)[0]))
            numbers = _epoch(state, work)
        state.epoch += 1
        yield numbers


def burn_in(objective: Objective, settings: Settings) -> int:
    """Epochs in which all weights are 1."""
    return round(objective.burn_in * settings.epochs) if settings.burn_in is None else settings.burn_in


def _epoch(state: State, work: Work) -> dict[str, float]:
    state.net.train()
    sums: dict[str, Tensor] = {}
    for step, rows in enumerate(state.batches(work.data)):
        rates = _rates(state)
        numbers = _step(state, work, rows)
        _check_finite(numbers, state, f"epoch {state.epoch + 1}, step {step + 1}")
        for name, value in numbers.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(rows)
    if broken := state.broken():
        raise NotFinite(f"{broken} became NaN or infinite in epoch {state.epoch + 1}, step {step + 1}")
    means = {name: float(work.processes.average(value)) / len(work.data) for name, value in sums.items()}
    return _of_attacked(means) | rates


def _rates(state: State) -> dict[str, float]:
    """Those of the next step; the schedule moves them behind it."""
    group = state.optimizer.param_groups[0]
    return {"lr": group["lr"], "momentum": group["betas"][0] if "betas" in group else group["momentum"]}


def _of_attacked(means: dict[str, float]) -> dict[str, float]:
    """Means over all images, but for robust accuracy: the share of right ones among those that are attacked."""
    share, right = means.pop(ATTACKED, 1.0), means.pop("train_robust", None)
    return means if right is None or share == 0 else means | {"train_robust": right / share}


def _step(state: State, work: Work, rows: Tensor) -> dict[str, Tensor]:
    """One update; returns the loss, its terms, and accuracies."""
    objective, settings, net = work.objective, state.settings, state.net
    x, y, index = batch(work.data, work.processes.share(rows), settings, state.epoch, work.processes.device)
    x_adv = attacked(net, objective, settings, state.epoch, x, y, index)
    if work.natural is not None:  # attacked all the same: batches keep their shape, others their points
        x_adv = torch.where(work.natural[index].to(x.device)[:, None, None, None], x, x_adv)
    mean = work.processes.mean(len(rows))
    last = torch.cat([x_adv, state.memory.sample(net, len(x))]) if state.memory else x_adv
    seen: dict[str, Tensor] = {}

    def parts(both: Callable) -> dict[str, Tensor]:
        with autocast(x.device, settings.precision):  # negatives in one pass with x*: see `Negatives`
            clean, adv = (logits.float() for logits in both(x, last))
        clean, adv, negative = clean[: len(x)], adv[: len(x)], adv[len(x) :] if state.memory else None
        seen.update({"train_clean": clean} if objective.clean else {})
        seen.update({"train_robust": adv} if objective.inner else {})
        if objective.negatives and negative is not None:
            objective.negatives.check(state.schedule.last_epoch + 1, adv, negative, mean)
        return objective.parts(clean, adv, y, mean, settings.normalize, negative)

    with _worst_weights(state, work, parts):
        made = parts(work.both)
        loss = torch.stack(list(made.values())).sum()
        state.optimizer.zero_grad()
        work.processes.backward(loss)
    work.processes.settle(net)
    state.update()
    numbers = {"loss": loss, **made}
    right = {name: (logits.argmax(1) == y).float() for name, logits in seen.items()}
    if work.natural is not None and "train_robust" in right:
        right[ATTACKED] = (~work.natural[index]).float().to(x.device)
        right["train_robust"] = right["train_robust"] * right[ATTACKED]
    shares = {name: mean(values) for name, values in right.items()}
    return {name: value.detach() for name, value in (numbers | shares).items()}


def batch(
    data: Data, rows: Tensor, settings: Settings, epoch: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Images [B, C, H, W] in [0, 1] as they are trained on, labels [B], places in the split [B]."""
    index = torch.from_numpy(data.index)[rows]
    pixels = data.pixels(index, device)
    x = scaled(augment(pixels, index, settings.seed, epoch) if settings.augment else pixels)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    return x.contiguous(memory_format=layout), data.labels[index].to(device), index


def attacked(
    net: nn.Module, objective: Objective, settings: Settings, epoch: int, x: Tensor, y: Tensor, index: Tensor
) -> Tensor:
    """The points of the training attack, found in eval mode; the images themselves for an objective without one.

    Start noise depends on (seed, epoch, place in the split).
    """
    if objective.inner is None:
        return x
    seed = settings.seed + 1000 * (epoch + 1)
    attack = objective.inner.attack(settings.eps, settings.attack_steps, settings.step_size, seed)
    return attack(Half(net) if settings.precision == "bf16" else net, x, y, index=index)


def _worst_weights(state: State, work: Work, parts: Callable):
    """AWP's ascent in the weights, where it is asked for and has begun."""
    settings = state.settings
    if not settings.awp or state.epoch < settings.awp_warmup:
        return nullcontext()
    alone, processes = Both(state.net, work.objective), work.processes
    average = processes.average if processes.size > 1 else None
    return perturbed(state.net, lambda: torch.stack(list(parts(alone).values())).sum(), settings.awp, average)


def _check_finite(numbers: dict[str, Tensor], state: State, where: str) -> None:
    if bool(numbers["loss"].isfinite()):
        return
    terms = [name for name, value in numbers.items() if name != "loss" and not value.isfinite()]
    raise NotFinite(f"the loss became {float(numbers['loss'])} in {where} ({', '.join(terms)})")
