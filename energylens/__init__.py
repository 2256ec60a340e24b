"""Read adversarially robust image classifiers as energy-based models.

With logits f(x): joint energy E(x, y) = -f(x)[y], marginal energy E(x) = -logsumexp_k f(x)[k].
Importing this package is cheap; torch is imported by the modules that compute with it.
"""

__version__ = "0.1.0"
