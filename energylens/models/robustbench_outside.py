"""The networks that RobustBench leaves to timm or torchvision, which would download and unpickle their weights.

Here they are built without weights, and filled from the file that lies with RobustBench's others. XCiT, DeiT and
AlexNet (no `gdrive_id`) are timm's; the standard ResNet-50 (an empty one) is torchvision's.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from torch import nn

from energylens.models import files

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}


def _timm_name(dataset: str, threat: str, name: str) -> str:
    return f"{name}_{dataset}_{threat}".lower().replace("-", "_")


def url(utils: ModuleType, dataset: str, threat: str, name: str, entry: dict) -> str:
    """Where timm or torchvision would download a network's weights."""
    if entry["gdrive_id"] is None:
        return utils.timm.get_pretrained_cfg(_timm_name(dataset, threat, name)).url
    from torchvision.models import ResNet50_Weights

    return ResNet50_Weights.IMAGENET1K_V1.url


def untrained(utils: ModuleType, dataset: str, threat: str, name: str, entry: dict) -> nn.Module:
    """The network with random weights, its normalisation in front if RobustBench puts one there."""
    if entry["gdrive_id"] is None:
        named = _timm_name(dataset, threat, name)
        return utils.timm.create_model(named, num_classes=CLASSES[dataset], pretrained=False)
    imagenet = importlib.import_module("robustbench.model_zoo.imagenet")
    return imagenet.normalize_model(imagenet.pt_models.resnet50(), imagenet.mu, imagenet.sigma)


def filled(net: nn.Module, path: Path, trust: bool) -> nn.Module:
    """The network with a file's weights, in eval mode.

    The published files hold the inner network alone; those of the whole, with its normalisation, fit too.

    Args:
        net: of `untrained`.
        path: the file.
        trust: let it run code while it is read.

    Raises:
        UserError: unreadable, code in it, or of another network.
    """
    state = files.weights(path, trust)
    inner = net.get_submodule("model") if isinstance(net, nn.Sequential) else net
    adapt = getattr(sys.modules[type(inner).__module__], "checkpoint_filter_fn", None)
    if adapt is not None:  # timm's translation of the authors' names into its own
        state = adapt(dict(state), inner)
    done = files.fill(inner, state, f"{path} does not fit {path.stem}")
    return net.eval() if done is inner else done
