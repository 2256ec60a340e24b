"""Other libraries' networks, through their own factories: `timm/resnet18`, `torchvision/resnet50`.

Their weights are random unless `pretrained=true` has the library download its own. They expect normalised
images: say it, `timm/resnet18:normalize=imagenet`.
"""

import warnings
from typing import Any

from torch import nn

from energylens import paths
from energylens.errors import UserError, first_line, unknown


def _timm(name: str, settings: dict[str, Any]) -> nn.Module:
    import timm

    if not timm.is_model(name.partition(".")[0]):
        raise _unknown("timm", name, timm.list_models(), "timm.list_models()")
    return timm.create_model(name, **settings)


def _torchvision(name: str, settings: dict[str, Any]) -> nn.Module:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise _unknown("torchvision", name, known, "torchvision.models.list_models()")
    weights = "DEFAULT" if settings.pop("pretrained", False) else None
    if weights and "num_classes" in settings:
        raise UserError(f"torchvision/{name}: pretrained weights have their own classes; leave out classes=")
    return torchvision.models.get_model(name, weights=weights, **settings)


def _unknown(library: str, name: str, known: list[str], listed: str) -> UserError:
    error = unknown(f"{library} network", name, known)
    if "available: ..." in str(error):  # nothing near
        return UserError(
            f"unknown {library} network '{name}'; list them: python -c 'import {library}; print({listed})'"
        )
    return error


THEIRS = {"classes": "num_classes", "channels": "in_chans"}
TEXTS = ("global_pool", "act_layer", "norm_layer", "attn_layer", "stem_type", "activation")
"""settings that may be text; text anywhere else could name a file or an address to read weights or code from"""
ELSEWHERE = ("checkpoint_path", "cache_dir", "pretrained_cfg", "pretrained_cfg_overlay", "weights", "weights_backbone")
"""settings that have a factory read something, numbers included (an open file's)"""
LIBRARIES = {"timm": _timm, "torchvision": _torchvision}


def build(library: str, name: str, settings: dict[str, Any]) -> nn.Module:
    """A network of another library.

    Args:
        library: a key of LIBRARIES.
        name: as the library calls it.
        settings: `classes`, `channels` (timm), `pretrained`, and whatever the library's factory takes.

    Raises:
        UserError: no such library, network or setting, or weights that cannot be downloaded.
    """
    if library not in LIBRARIES:
        raise unknown("library of networks", library, LIBRARIES)
    text = ":".join([f"{library}/{name}", *(f"{key}={value}" for key, value in settings.items())])
    if not name:
        raise UserError(f"write {library}/NAME, such as {library}/resnet18")
    for key, value in settings.items():
        if key in ELSEWHERE or (isinstance(value, str) and key not in TEXTS):
            raise UserError(
                f"{library}/{name}: {key}={value} is not taken; "
                f"weights come from FILE@{library}/{name}, settings are numbers"
            )
    theirs = {THEIRS.get(key, key): value for key, value in settings.items()}
    if settings.get("pretrained") and paths.offline():
        raise UserError(f"{text} would download weights, and {paths.OFFLINE} is set; leave out pretrained=true")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' own deprecations
            return LIBRARIES[library](name, theirs)
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{library} is not installed; type: pip install {library}") from error
    except OSError as error:  # no connection
        raise UserError(f"the weights of {text} could not be downloaded ({first_line(error)})") from error
    except Exception as error:  # the factory's own refusals
        raise UserError(f"cannot build {text} ({first_line(error)})") from error
