"""Checkpoints for tests: whole ones, and ones that would run code."""

import io
import zipfile

import torch
from torch import nn

from energylens.models import architectures

ARCH = "small-resnet:width=4"
X = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def fresh(seed: int = 0, arch: str = ARCH) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return architectures.build(arch).eval()


def logits(net: nn.Module, x: torch.Tensor = X) -> torch.Tensor:
    with torch.no_grad():
        return net(x)


def prefixed(prefix: str, state: dict) -> dict:
    return {prefix + key: value for key, value in state.items()}


class Calls:
    """What pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class State:
    """What pickles as a call and a state that is put on its result."""

    def __init__(self, function, arguments, state):
        self.call = function, arguments, state

    def __reduce__(self):
        return self.call


def weights() -> dict:
    """The same ones at each call."""
    return dict(fresh().state_dict())


def beside_weights(payload) -> dict:
    return {"state_dict": weights(), "extra": payload}


def saved(content, **settings) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **settings)
    return file.getvalue()


def zipped(files: dict) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    """A zipped checkpoint whose pickle names other things."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as changed:
        for name in archive.namelist():
            text = archive.read(name)
            assert old in text or not name.endswith("data.pkl")
            changed.writestr(name, text.replace(old, new) if name.endswith("data.pkl") else text)
    return out.getvalue()
