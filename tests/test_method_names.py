"""Names of generation methods, taken apart, and of classes."""

import math

import pytest

from energylens import class_names
from energylens.method_names import parts, setting


@pytest.mark.parametrize(
    ("name", "sampler", "start", "settings"),
    [
        ("eq7-pca", "eq7", "pca", {}),
        ("eq7-steps200-step_size0.05-pca-retained0.95-sigma0.01", "eq7-steps200-step_size0.05", "pca",
         {"retained": 0.95, "sigma": 0.01}),
        ("sgld-informative-pca-sigma1e-05-seed2", "sgld", "informative-pca", {"sigma": 1e-5, "seed": 2}),
        ("sgld-local-pca", "sgld", "local-pca", {}),
        ("eq7-pca-sigma4_255", "eq7", "pca", {"sigma": 4 / 255}),
        ("jem-losscrossentropy-random-seed3", "jem-losscrossentropy", "random", {"seed": 3}),
    ],
)  # fmt: skip
def test_a_methods_name_is_taken_apart(name, sampler, start, settings):
    made_parts = parts(name)
    assert (made_parts.sampler, made_parts.start) == (sampler, start)
    assert made_parts.settings == pytest.approx(settings)
    assert made_parts.sigma == settings.get("sigma", 0.005)
    assert made_parts.retained == settings.get("retained", 0.99)


@pytest.mark.parametrize("name", ["mine", "pca", "eq7", "eq7-pcas", "eq7-pca-sigma"])
def test_other_names_have_no_parts(name):
    assert parts(name) is None


@pytest.mark.parametrize(
    ("method", "momentum", "step_size", "rest"),
    [
        ("eq7-pca", 0.8, 0.025, "eq7-pca"),
        ("eq7-stepsize0.05-steps200-momentum0-pca-sigma0.01", 0, 0.05, "eq7-steps200-pca-sigma0.01"),
        ("sgld-momentum0.5-stepsize1e-05-random", 0.5, 1e-5, "sgld-random"),
        ("sgld-random", 0.0, 0.5, "sgld-random"),
        ("eq7-stepsize8_255-random", 0.8, 8 / 255, "eq7-random"),
        ("eq7-step_size0.05-pca", 0.8, 0.05, "eq7-pca"),
        ("none-pca", math.nan, math.nan, "none-pca"),
        ("mine", math.nan, math.nan, "mine"),
    ],
)
def test_a_methods_name_tells_its_momentum_and_step_size(method, momentum, step_size, rest):
    found = setting(method)
    assert (found.momentum, found.step_size) == pytest.approx((momentum, step_size), nan_ok=True)
    assert found.rest == rest


def test_classes_have_names_where_a_set_has_some():
    assert [class_names.name("cifar10", label) for label in (0, 1, 7, 9)] == [
        "airplane",
        "automobile",
        "horse",
        "truck",
    ]
    assert class_names.name("digits", 7) == "7"
    assert class_names.name("cifar10", 10) == "class 10"
    assert class_names.name("svhn", 3) == "class 3"
