"""Weights of published networks that scores need: a given file, one in a cache, or fetched once."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from energylens import downloads, paths
from energylens.errors import UserError, first_line


@dataclass(frozen=True)
class Published:
    """A file whose name ends in the first digits of its sha256, as torch.hub has it."""

    network: str
    url: str

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]

    @property
    def digits(self) -> str:
        """The beginning of its sha256."""
        return self.name.removesuffix(".pth").rpartition("-")[2]

    def find(self, given: Path | None) -> Path:
        """The given file; else that of `$ENERGYLENS_HOME/weights` or of torch.hub, or it is downloaded.

        Raises:
            UserError: the given file is not there.
            Unavailable: none was given, and it cannot be had.
        """
        if given is not None:
            if not given.is_file():
                raise UserError(f"no such file: {given}; download {self.url} and give where it lies")
            return given
        hub = Path(torch.hub.get_dir()) / "checkpoints" / self.name
        if hub.is_file():
            return hub
        what, place = f"{self.network}'s file of weights", f"weights/{self.name}"
        return downloads.fetch(paths.home() / place, [self.url], f"sha256:{self.digits}", what, place=place)

    def label(self, sha: str) -> str:
        """The network's name; with the first digits of the file's own sha256 where it is not the published file."""
        return self.network.lower() if sha.startswith(self.digits) else f"{self.network.lower()} ({sha[:8]})"


INCEPTION = Published(
    "Inception",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
ALEXNET = Published("AlexNet", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")


def sha(path: Path) -> str:
    """SHA-256 of a file."""
    import pooch

    return pooch.file_hash(str(path))


def state(path: Path, network: str) -> dict[str, Tensor]:
    """A state dict, read without letting the file run code.

    Raises:
        UserError: it is none.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds
        raise UserError(f"{path} cannot be read as weights of {network} ({first_line(error)}); is it whole?") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds no weights of {network}; give its state dict")
    return found
