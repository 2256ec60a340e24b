"""Images from classifiers: starts, samplers, and what they make. Importing it loads no torch.

from energylens.generate import EQ7, PCA, Generation, Method
"""

from dataclasses import replace

from energylens.generate.method import Method as Method
from energylens.generate.recipe import Generation as Generation
from energylens.generate.sampler import SAMPLERS as SAMPLERS
from energylens.generate.sampler import Sampler as Sampler
from energylens.generate.scored import Scored as Scored
from energylens.generate.starts import PCA as PCA
from energylens.generate.starts import STARTS as STARTS
from energylens.generate.starts import Gaussian as Gaussian
from energylens.generate.starts import InformativePCA as InformativePCA
from energylens.generate.starts import LocalPCA as LocalPCA
from energylens.generate.starts import Random as Random

EQ7 = SAMPLERS["eq7"]
"""the paper's sampler, eq. 7"""
SGLD = replace(SAMPLERS["sgld"], steps=500, step_size=0.125)
"""plain SGLD of as many steps, each as far as momentum's in the long run: 0.025 / (1 - 0.8)"""
