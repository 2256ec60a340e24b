"""Random numbers keyed by the image or chain that they are for: they depend on neither its batch nor the device.

A stream is one use of them. Attacks that draw start noise take the number of the restart, 0 and up; every
other use has its own here, so that no two ever see the same numbers.
"""

import numpy as np

TARGETS = 1 << 31
"""which wrong class an attack wants"""
START = TARGETS + 1
"""where a chain starts"""
STEP = TARGETS + 2
"""the noise of a chain's steps"""
SIGNS = 3 << 30
"""the direction of a random ray"""


def rng(seed: int, stream: int, index: int) -> np.random.Generator:
    """The generator of one image or chain, at its beginning.

    Args:
        seed: of the attack or method, at least 0.
        stream: which use of random numbers, below 2^32.
        index: the image's place in its split, or the chain's number, below 2^32.
    """
    key = np.array([seed, (stream << 32) + int(index)], np.uint64)  # a plain list would pass through float64
    return np.random.Generator(np.random.Philox(key=key))
