"""State dicts without what was wrapped around the network: prefixes, counters, an attacker, a normalisation."""

from collections import Counter
from collections.abc import Set

import torch
from torch import Tensor

from energylens.models.normalize import Normalize

State = dict[str, Tensor]
COUNTERS = ("n_averaged", "num_updates", "decay")
"""scalars of averaging wrappers"""
PAIRS = {
    "mean": ("std", "sigma"),
    "mu": ("sigma", "std"),
    "means": ("sds", "stds"),
    "new_mean": ("new_std",),
    "pixel_mean": ("pixel_std",),
    "input_mean": ("input_std",),
    "image_mean": ("image_std",),
}
"""name of a mean -> names of its standard deviation, in the field's classes; `_` around them and case are ignored"""
CONSTANTS = {*PAIRS, *(name for names in PAIRS.values() for name in names), "var", "scale"}
COUNTER = "num_batches_tracked"
"""BatchNorm's buffer that no prediction needs and that files from before torch 0.4.1 lack"""
CHANNELS = 4
"""at most, of a normalisation"""
MOST = 8
"""wrappers around a network"""


def _cleaned(state: State) -> State:
    """Without the counters of averaging wrappers."""
    return {key: value for key, value in state.items() if key not in COUNTERS}


def modules(state: State) -> tuple[str, Counter[str]]:
    """The prefix that all keys share, and behind it the first words with the number of their keys."""
    common = ""
    for _ in range(MOST):
        first = Counter(key[len(common) :].partition(".")[0] for key in state)
        if len(first) != 1 or not all("." in key[len(common) :] for key in state):
            break
        common += f"{next(iter(first))}."
    return common, first


def part_of(state: State, part: str) -> State:
    """The keys that begin with a part's name, without it, and what beside the part may belong to a normalisation."""
    inside = {key[len(part) + 1 :]: value for key, value in state.items() if key.startswith(f"{part}.")}
    parent = part.rpartition(".")[0]
    begin = f"{parent}." if parent else ""
    beside = {key[len(begin) :]: value for key, value in state.items() if key.startswith(begin)}
    sizes = Counter(key.partition(".")[0] for key in beside)
    constants = {
        key: value
        for key, value in beside.items()
        if sizes[key.partition(".")[0]] <= 2 and _place(key)[1] in CONSTANTS  # of a module that is nothing else
    }
    return constants | inside if inside else {}


def fitting(state: State, wanted: Set[str]) -> list[str]:
    """Parts of a state dict that have all keys of a network, and no others."""
    common, sizes = modules(state)
    parts = [f"{common}{name}" for name, _ in sizes.most_common(MOST)] if len(sizes) > 1 else []
    needed = {key for key in wanted if not key.endswith(COUNTER)}
    return [part for part in parts if needed <= unwrapped(part_of(state, part), set(wanted))[0].keys() <= wanted]


def unwrapped(state: State, wanted: set[str]) -> tuple[State, Normalize | None]:
    """Keys as the network has them, and the normalisation that the file puts in front of it.

    Wrappers' prefixes (`module.`, `model.`, `1.`, ...) go where all keys share one and the network has none such.

    Args:
        state: a file's.
        wanted: the network's own keys.
    """
    state, front = _cleaned(state), None
    whole = state
    for _ in range(MOST):
        if wanted & state.keys():
            break
        first = {key.partition(".")[0] for key in state}
        if len(first) == 1 and all("." in key for key in state):
            state = {key.partition(".")[2]: value for key, value in state.items()}
            continue
        state = _without_attacker(state)
        if front is not None:
            break
        front, state = normalisation(state)
        if front is None:
            break
    if not wanted & state.keys():
        return whole, None  # another network's; its keys as they are in the file
    if front is None and state.keys() - wanted:
        front, rest = normalisation({key: value for key, value in state.items() if key not in wanted})
        state = {key: value for key, value in state.items() if key in wanted} | rest
    return state, front


def _without_attacker(state: State) -> State:
    """Without the second copy of network and normalisation in MadryLab's `robustness`, if it is one."""
    copies = {key: _twin(key) for key in state if key.startswith("attacker.")}
    if not all(twin in state and _same(state[key], state[twin]) for key, twin in copies.items()):
        return state
    return {key: value for key, value in state.items() if key not in copies}


def _twin(key: str) -> str:
    key = key.removeprefix("attacker.")
    return f"normalizer.{key.removeprefix('normalize.')}" if key.startswith("normalize.") else key


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def normalisation(state: State) -> tuple[Normalize | None, State]:
    """A mean and a standard deviation of the channels, and everything else; equal ones side by side count once."""
    places = {_place(key): key for key in state}
    found: dict[tuple[str, str], Normalize] = {}
    for (before, word), mean_key in places.items():
        std_keys = [places[before, name] for name in PAIRS.get(word, ()) if (before, name) in places]
        if std_keys and (front := _front(state[mean_key], state[std_keys[0]])):
            found[mean_key, std_keys[0]] = front
        if len(found) == MOST:  # of many thousands, which a file may hold, the rest stay unexpected keys
            break
    if not found:
        return None, state
    (first, _), front = next(iter(found.items()))
    equal = [keys for keys, other in found.items() if keys[0].count(".") == first.count(".") and _equal(other, front)]
    gone = {key for keys in equal for key in keys}
    return front, {key: value for key, value in state.items() if key not in gone}


def _equal(one: Normalize, other: Normalize) -> bool:
    return one is other or (_same(one.mean, other.mean) and _same(one.std, other.std))


def _place(key: str) -> tuple[str, str]:
    before, _, last = key.rpartition(".")
    return before, last.strip("_").lower()


def _front(mean: Tensor, std: Tensor) -> Normalize | None:
    constants = [_constants(value) for value in (mean, std)]
    if constants[0] is None or constants[1] is None or constants[0].numel() != constants[1].numel():
        return None
    return Normalize(constants[0], constants[1])


def _constants(value: Tensor) -> Tensor | None:
    """One number a channel, of a tensor that may repeat it at every pixel."""
    if value.is_complex() or not value.numel():
        return None
    if value.dim() >= 3:
        first = value[..., :1, :1]
        if first.numel() > CHANNELS:  # told before anything is compared
            return None
        for pixels in (-1, -2):  # what repeats without being stored; a file may say that it does so 10^12 times
            value = value.narrow(pixels, 0, 1) if value.stride(pixels) == 0 else value
        if unstored(value) or (not torch.equal(value, first.expand_as(value)) and not value.isnan().any()):
            return None
        value = first
    return value.flatten() if value.numel() <= CHANNELS else None


def unstored(value: Tensor) -> int:
    """How many more numbers a tensor claims than the file holds of it: views may repeat, even without end."""
    return max(0, value.numel() - value.untyped_storage().nbytes() // value.element_size())
