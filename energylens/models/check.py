"""Is this a classifier whose energies mean something? And how accurate is it?"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from energylens import energy
from energylens.data import Data
from energylens.errors import Note, UserError, first_line

MEANINGLESS = {
    "probabilities": "E(x) would stay between -log(K - 1 + e) and -log(K) - 1/K whatever the image",
    "log-probabilities": "E(x) would be 0 for every image",
}


def output_kind(logits: Tensor) -> str:
    """`logits`, `probabilities`, `log-probabilities` or `nan`, judged on a batch [B, K]."""
    if logits.isnan().all():
        return "nan"
    finite = logits[logits.isfinite().all(1)].double()
    if not len(finite):
        return "nan"
    if (finite >= 0).all() and ((finite.sum(1) - 1).abs() < 1e-3).all():
        return "probabilities"
    if (finite <= 0).all() and (energy.marginal(finite).abs() < 1e-3).all():
        return "log-probabilities"
    return "logits"


def device_of(net: nn.Module) -> torch.device:
    """Where a network's parameters are; the CPU for one without any."""
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


@torch.no_grad()
def usable(net: nn.Module, name: str, data: Data) -> int:
    """The number of classes K, after one batch has shown that energies can be measured.

    A note tells of logits that look like a sigmoid's.

    Raises:
        UserError: the network cannot read these images, gives no [B, K] logits, or too few classes.
    """
    x, _, _ = data.batch(0, 16)
    try:
        logits = net(x.to(device_of(net)))
    except Exception as error:  # the network is the user's code
        shape = list(x.shape[1:])
        raise UserError(f"model '{name}' cannot read {data.name}'s {shape} images ({first_line(error)})") from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"model '{name}' returns {got} for {len(x)} images; wanted logits [B, K], K of 2 or more")
    kind = output_kind(logits)
    if kind == "nan":
        raise UserError(f"every logit of model '{name}' is NaN or infinite; check its weights and normalisation")
    if kind in MEANINGLESS:
        raise UserError(
            f"model '{name}' returns {kind}, so its energies mean nothing ({MEANINGLESS[kind]}); "
            "return the logits before the softmax"
        )
    _note_probabilities(logits, name)
    largest = int(data.labels.max())
    if largest >= logits.shape[1]:
        raise UserError(
            f"label {largest} in {data.name} is outside the {logits.shape[1]} classes of model '{name}'; "
            "take data and model of the same task"
        )
    return logits.shape[1]


def _note_probabilities(logits: Tensor, name: str) -> None:
    """Logits that all lie in [0, 1] are almost surely a sigmoid's; rows of a softmax are refused before."""
    low, high = float(logits.nan_to_num(0).min()), float(logits.nan_to_num(0).max())
    if low >= 0 and high <= 1:
        note = (
            f"every logit of model '{name}' lies in [{low:.3g}, {high:.3g}], like a sigmoid's; E(x) of probabilities "
        )
        warnings.warn(Note(f"{note}means nothing, so return what comes before the sigmoid"), stacklevel=3)


def attackable(net: nn.Module, name: str, data: Data) -> None:
    """Whether the network has gradients with respect to its input, and leaves its input alone.

    Raises:
        UserError: it has none, or it changes its input in place.
    """
    x = data.batch(0, 2)[0]
    before = x.clone()
    try:
        with torch.enable_grad():
            torch.autograd.grad(net(x.requires_grad_()).sum(), x)
    except Exception as error:
        raise UserError(f"model '{name}' gives no gradient at its input ({first_line(error)}); PGD needs it") from error
    if not torch.equal(before, x.detach()):
        raise UserError(f"model '{name}' changes its input in place; write x = x - mean, not x.sub_(mean)")


def layout(net: nn.Module, data: Data) -> torch.memory_format:
    """Channels-last where it pays and works: convolutions with BatchNorm that can read it.

    Measured on two CPU cores: 1.2 to 1.3 x faster on CIFAR ResNets, no gain on plain small ConvNets.
    A fixed rule and no stopwatch, so that the same command gives the same bits.
    """
    usual, fast = torch.contiguous_format, torch.channels_last
    if not any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        return usual
    probe = data.batch(0, 2)[0].to(device_of(net), memory_format=fast).requires_grad_()
    try:
        with torch.enable_grad():
            torch.autograd.grad(net(probe).sum(), probe)
    except RuntimeError:  # a `view` that wants contiguous features
        return usual
    return fast


@dataclass(frozen=True)
class Report:
    """What `models check` prints."""

    classes: int
    parameters: int
    correct: int
    images: int
    mean_energy: float

    @property
    def accuracy(self) -> float:
        """Clean accuracy in percent."""
        return 100 * self.correct / self.images


@torch.no_grad()
def report(net: nn.Module, name: str, data: Data, batch: int = 250, progress=lambda done: None) -> Report:
    """Clean accuracy and mean E(x) over the selected images, in float32.

    Raises:
        UserError: as `usable`.
    """
    classes = usable(net, name, data)
    correct, energies = 0, 0.0
    memory_format = layout(net, data)
    for start in range(0, len(data), batch):
        x, y, _ = data.batch(start, min(start + batch, len(data)), device_of(net))
        logits = net(x.to(memory_format=memory_format)).float().cpu()
        correct += int((energy.predict(logits) == y.cpu()).sum())
        energies += float(energy.marginal(logits.double()).sum())
        progress(len(y))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Report(classes, parameters, correct, len(data), energies / len(data))
