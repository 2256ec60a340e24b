"""What a checkpoint may name beside its weights, and what is made of it: stand-ins, of which none does anything."""

import math
import pickle
import re
from collections import OrderedDict
from typing import Any

import numpy as np


class Inert:
    """Stands for a thing that no weights are in: takes any arguments and any state, keeps none."""

    def __new__(cls, *_: Any) -> Any:  # noqa: D102
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class AsDict:
    """Stands for dictionaries of other libraries: an ordered one, the kind that torch's guarded reader fills."""

    def __new__(cls, *_: Any) -> Any:  # noqa: D102
        return OrderedDict()


class AsList:
    """Stands for `deque`: a list, the kind that it fills."""

    def __new__(cls, *_: Any) -> Any:  # noqa: D102
        return []


class NoBytes:
    """Stands for `bytes`, which pickles name for empty ones alone."""

    def __new__(cls) -> Any:  # noqa: D102
        return b""


class Dtype:
    """Stands for `numpy.dtype`: its name and byte order; of the rest, numpy would believe any flag and any size."""

    def __init__(self, name: str = "V", *_: Any):
        self.name, self.order = str(name), "|"

    def __setstate__(self, state: tuple) -> None:
        self.order = str(state[1])

    def read(self, content: Any, shape: tuple = (), order: str = "C") -> Any:
        """Numbers or text from bytes; objects, records and dates stay what was stored for them.

        Raises:
            UnpicklingError: not as many bytes as the shape needs.
        """
        if not re.fullmatch(r"[biufcSU]\d+", self.name):
            return content
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2 wrote text
        kind = np.dtype((self.order if self.order in ("<", ">") else "=") + self.name)
        if shape and not kind.itemsize:  # texts of no letters, of which no bytes could be any number
            return content
        if math.prod(shape) * kind.itemsize != len(content):
            raise pickle.UnpicklingError("an array and its bytes do not fit")
        numbers = np.ndarray(shape, kind, content or None, order="F" if order == "F" else "C")
        return numbers.astype(kind.newbyteorder("="))  # torch takes no other order


class Array:
    """Stands for `numpy.ndarray`: `value` is made from the stored bytes, once."""

    value: Any = None

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        self.value = dtype.read(content, shape, "F" if fortran else "C")


def scalar(dtype: Dtype, content: Any = b"") -> Any:
    """Stands for numpy's function of this name."""
    value = dtype.read(content)
    return value[()] if isinstance(value, np.ndarray) else value


NAMED = (
    # types, as in a configuration's type=int or behind a defaultdict
    *(f"builtins.{name}" for name in ("list", "dict", "tuple", "frozenset", "int", "float", "bool", "str")),
    *(f"builtins.{name}" for name in ("range", "slice", "Ellipsis")),
    *(f"datetime.{name}" for name in ("date", "time", "datetime", "timedelta", "timezone")),
    *(f"pathlib{where}.{pure}{system}Path" for where in ("", "._local")
      for pure in ("", "Pure") for system in ("Posix", "Windows")),
    *("argparse.Namespace", "types.SimpleNamespace", "uuid.UUID", "decimal.Decimal", "fractions.Fraction"),
    "torch.torch_version.TorchVersion",
)  # fmt: skip
"""settings, dates, paths and counts beside the weights"""
DICTIONARIES = (
    *("collections.defaultdict", "easydict.EasyDict", "yacs.config.CfgNode", "munch.Munch", "addict.addict.Dict"),
    *("ml_collections.config_dict.ConfigDict", "ml_collections.config_dict.config_dict.ConfigDict"),
    *(f"{library}.utilities.parsing.AttributeDict" for library in ("pytorch_lightning", "lightning.pytorch")),
    *(f"{library}.utilities.data.AttributeDict" for library in ("lightning_fabric", "lightning.fabric")),
)
HARMLESS: list[Any] = [
    *((Inert, name) for name in NAMED),
    *((AsDict, name) for name in DICTIONARIES),
    (AsList, "collections.deque"),
    (NoBytes, "builtins.bytes"),
    (Dtype, "numpy.dtype"),
    (Array, "numpy.ndarray"),
    *((Array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""(what is called instead, the name in the file); none of the named packages is imported, nothing named is called"""
