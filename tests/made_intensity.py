"""Chains of class 0 on straight lines, for the tests of intensity."""

from made_chains import chain

MOMENTUM, SAME, COMPENSATED = "eq7-pca", "eq7-momentum0-pca", "eq7-momentum0-stepsize0.125-pca"


def falling(start, slope):
    """Logits of two classes: E(x, 0) = start - slope * step, E(x, 1) = 0."""
    return lambda step: (slope * step - start, 0.0)


def one(model="SAT", method=MOMENTUM, sample=0, start=-5.0, slope=1.0, rate=0.0, **columns):
    """A chain of class 0 whose share of saturated pixels grows by `rate` a step."""
    return chain(model, method, sample, 0, falling(start, slope), saturated=lambda step: rate * step, **columns)


def many(model, count=20, method=MOMENTUM, shake=0.0, **settings):
    """Chains whose E(x, y) starts up to `shake` nats apart."""
    start = settings.pop("start", -5.0)
    return [one(model, method, i, start=start + shake * i / count, **settings) for i in range(count)]
