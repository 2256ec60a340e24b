"""Features of any classifier: what its last linear layer reads, its logits, and these without that layer's bias."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from energylens.data import scaled
from energylens.errors import UserError

PENULTIMATE, LOGITS, UNBIASED = LAYERS = ("penultimate", "logits", "logits_unbiased")


@contextmanager
def outputs(net: nn.Module, kind: type[nn.Module]) -> Iterator[list[tuple[nn.Module, Tensor, Tensor]]]:
    """Inside, a forward pass leaves (module, its input, its output) of every module of this kind, as they run."""
    ran: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        ran.append((module, given[0], output))

    hooks = [module.register_forward_hook(note) for module in net.modules() if isinstance(module, kind)]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def read(net: nn.Module, pixels: Tensor) -> dict[str, Tensor]:
    """Layer -> [B, F] float32 features of images [B, C, H, W] uint8 (or float32 in [0, 1]).

    Raises:
        UserError: no nn.Linear runs, or the last one that does reads something else than [B, F].
    """
    with outputs(net, nn.Linear) as ran:
        logits = net(scaled(pixels))
    if not ran:
        raise UserError("it runs no nn.Linear, of which the features are the input")
    layer, features, _ = ran[-1]
    if features.dim() != 2:
        raise UserError(f"its last nn.Linear reads {list(features.shape)}, not one row of features an image")
    unbiased = F.linear(features, layer.get_parameter("weight"))
    return {PENULTIMATE: features.float(), LOGITS: logits.float(), UNBIASED: unbiased.float()}


def register(name: str, net: nn.Module) -> None:
    """Make a network one of torch-fidelity's feature extractors, for uint8 images of the size that it takes."""
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, _extractor(net))


def _extractor(net: nn.Module) -> type[FeatureExtractorBase]:
    class Features(FeatureExtractorBase):
        """The features of one network."""

        def __init__(self, name: str, features_list: list[str], **settings):
            super().__init__(name, features_list)
            self.net = net

        def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
            """[B, C, H, W] uint8 -> the wanted layers, in the order in which they were asked for."""
            found = read(self.net, pixels)
            return tuple(found[layer] for layer in self.features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return LAYERS

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return UNBIASED if metric == "isc" else PENULTIMATE  # as of torch-fidelity's Inception

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        @staticmethod
        def get_dummy_input_for_compile() -> Tensor:
            raise NotImplementedError

    return Features


def last_of_each_size(net: nn.Module, pixels: Tensor) -> list[Tensor]:
    """[B, C, H, W] the output of the last convolution that runs at each size H x W."""
    with outputs(net, nn.Conv2d) as ran, torch.no_grad():
        net(scaled(pixels))
    return list({output.shape[2:]: output for _, _, output in ran}.values())
