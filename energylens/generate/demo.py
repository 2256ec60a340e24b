"""Settings of the demo's chains: the digits are smaller than CIFAR's images, and their chains shorter."""

import dataclasses

from energylens.generate.sampler import SAMPLERS

EQ7 = dataclasses.replace(SAMPLERS["eq7"], step_size=0.05, steps=200)
"""eq. 7 on the digits"""
SGLD = dataclasses.replace(SAMPLERS["sgld"], step_size=0.25, steps=200)
"""plain SGLD, as many steps, and as far a step as momentum's in the long run: 0.05 / (1 - 0.8)"""
SAME_STEP = dataclasses.replace(EQ7, momentum=0.0)
"""eq. 7 without momentum"""
SAME_REACH = dataclasses.replace(EQ7, momentum=0.0, step_size=0.25)
"""the same with the step of `SGLD`"""
