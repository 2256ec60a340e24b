"""How many images a device takes at once."""

import torch

USUAL = {"cpu": 128, "cuda": 512}
"""images at once, where nobody says how many; halved until they fit"""
NO_MEMORY = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
"""what torch says of it where it does not raise OutOfMemoryError"""


def usual(device: str) -> int:
    """Images at once, where nobody says how many."""
    return USUAL.get(device.split(":")[0], 128)


def no_memory(error: BaseException) -> bool:
    """Whether it says that a device's memory is full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)
