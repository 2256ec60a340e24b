"""Feature spaces: torch-fidelity's Inception, or any classifier, each with its name and its number."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.utils import create_feature_extractor

from energylens import models
from energylens.data import Data
from energylens.downloads import Unavailable
from energylens.errors import UserError, first_line
from energylens.models import check, identity
from energylens.quality import INCEPTION, distinct, features, weights
from energylens.references import public

ALTERNATIVE = "--features demo:standard-14, or any standard network: --features nets.py:resnet20_std"


@dataclass(frozen=True)
class Space:
    """Where images become features."""

    name: str
    """`inception`, or the network's reference without folders"""
    sha: str
    """of the file of weights, or of the network"""
    extractor: str
    """its name in torch-fidelity's registry"""
    layer: str
    """of FID, KID, precision and recall"""
    net: nn.Module | None = None
    """None for Inception, whose classes are others"""
    file: Path | None = None
    """of Inception's weights"""

    @property
    def layers(self) -> list[str]:
        """All that scores need."""
        return [self.layer, features.UNBIASED, *([features.LOGITS] if self.net else [])]


def opened(reference: str, real: Data, *, model_dir: Path | None, trust: bool, weights: Path | None) -> Space:
    """A feature space, made known to torch-fidelity.

    Args:
        reference: `inception`, or a model reference.
        real: images that its network has to read.
        model_dir: the folder with RobustBench's checkpoints.
        trust: let checkpoint files run code.
        weights: the file of Inception's weights; looked for, or downloaded, if None.

    Raises:
        UserError: its weights cannot be had or read, or the network has no features for these images.
    """
    if reference == INCEPTION:
        return _inception(weights)
    net = models.load(reference, model_dir=model_dir, trust=trust)
    name, number = public(reference), identity.sha(net)
    check.usable(net, name, real)
    try:
        with torch.no_grad():
            features.read(net, real.batch(0, 2)[0])
    except UserError as error:
        raise UserError(f"'{name}' is no feature space: {error}; take {ALTERNATIVE}") from error
    extractor = f"energylens-{number[:32]}"
    features.register(extractor, net)
    return Space(name, number, extractor, features.PENULTIMATE, net)


def all_opened(references: Iterable[str], real: Data, **files: Any) -> dict[str, Space]:
    """Several feature spaces, before anything is computed in the first; `files` as of `opened`.

    Returns:
        Reference -> space, in order, each once.

    Raises:
        UserError: as `opened`, or two have the same name in tables.
    """
    return {reference: opened(reference, real, **files) for reference in distinct(references)}


def _inception(given: Path | None) -> Space:
    try:
        path = weights.INCEPTION.find(given)
    except Unavailable as error:
        raise Unavailable(f"{error}; or take features that are at hand: {ALTERNATIVE}") from error
    number = weights.sha(path)
    space = Space(weights.INCEPTION.label(number), number, "inception-v3-compat", "2048", None, path)
    if not number.startswith(weights.INCEPTION.digits):
        weights.state(path, "Inception")  # torch-fidelity would let it run code
        with torch.random.fork_rng(devices=[]):
            extractor(space, {"feature_extractor_weights_path": str(path), "cuda": False, "verbose": False})
    return space


def extractor(space: Space, settings: dict[str, Any]) -> FeatureExtractorBase:
    """torch-fidelity's feature extractor of a space, with its layers.

    Raises:
        UserError: the file holds no weights of its Inception.
    """
    try:
        return create_feature_extractor(space.extractor, space.layers, **settings)
    except Exception as error:
        if space.file is None:
            raise
        raise UserError(f"{space.file} holds no weights of torch-fidelity's Inception ({first_line(error)})") from error


def own_features(name: str) -> UserError:
    """What is told of images that would be scored in the features of the network that made them."""
    return UserError(f"'{name}' made these images, so its own features cannot judge them; take other --features")
