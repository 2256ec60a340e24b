"""Rays: points on a line through the image, in directions that are known."""

import numpy as np
import pytest
import torch
from test_pgd import images, small_net

from energylens import measure, table, verify
from energylens.attacks import FGSM, PGD, Ray, parse, title
from energylens.attacks.ray import settings
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe

X = torch.full((4, 3, 2, 2), 0.5)
Y = torch.tensor([0, 1, 0, 1])


def walked(ray: Ray, model, x, y, index=None) -> list[torch.Tensor]:
    """The points of each part."""
    seen = []
    end = ray(model, x, y, index=index, observe=lambda k, point, logits: seen.append(point))
    assert torch.equal(end, seen[-1])
    return seen


@pytest.mark.parametrize("direction", ["fgsm", "pgd"])
def test_a_linear_models_rays_run_along_the_sign_of_its_weights(linear_two_classes, direction):
    """Its CE rises along -w for class 0 and +w for class 1; PGD ends in that corner."""
    weights, model = linear_two_classes
    u = (2 * Y - 1)[:, None] * weights.sign()
    for k, point in enumerate(walked(Ray(0.1, direction, times=2, steps=8), model, X, Y)):
        torch.testing.assert_close((point - X).flatten(1), k * 0.025 * u)


def test_at_eps_the_points_are_fgsms_and_pgds():
    net, x, y = small_net().eval(), images(), torch.arange(6) % 5
    torch.testing.assert_close(Ray(0.1, "fgsm")(net, x, y), FGSM(0.1)(net, x, y))
    for seed in (0, 1):
        torch.testing.assert_close(Ray(0.1, "pgd", seed=seed)(net, x, y), PGD(0.1, seed=seed)(net, x, y))
    middle = walked(Ray(0.1, "pgd", times=2, steps=4), net, x, y)[2]
    torch.testing.assert_close(middle, PGD(0.1)(net, x, y))


def test_random_directions_are_fair_signs_keyed_by_image_and_seed():
    net, x, y = small_net(), torch.full((400, 3, 8, 8), 0.5), torch.zeros(400, dtype=torch.long)
    moved = Ray(0.1)(net, x, y) - x
    torch.testing.assert_close(moved.abs(), torch.full_like(x, 0.1))
    assert abs(float(moved.sign().mean())) < 4 / np.sqrt(moved.numel())  # four standard deviations
    alone = Ray(0.1)(net, x[7:9], y[7:9], index=torch.tensor([7, 8])) - x[7:9]
    assert torch.equal(alone, moved[7:9])
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved, Ray(0.1, seed=1)(net, x, y) - x)


def test_points_are_clamped_and_a_ray_may_leave_the_ball_of_eps():
    x = torch.zeros(5, 3, 8, 8)
    ends = Ray(0.2, times=2)(small_net(), x, torch.zeros(5, dtype=torch.long))
    assert ends.unique().tolist() == [0.0, pytest.approx(0.4)]


def test_the_direction_is_found_once_however_many_parts():
    net, calls = small_net().eval(), []
    net.register_forward_hook(lambda *_: calls.append(1))
    walked(Ray(0.1, "pgd", times=2, steps=8), net, images(), torch.arange(6) % 5)
    assert len(calls) == 20 + 9


@pytest.mark.parametrize(
    ("text", "ray", "name", "read"),
    [
        ("ray", Ray(), "ray", ("random", 1.0)),
        ("ray:eps=0.2:direction=pgd", Ray(0.2, "pgd"), "ray-eps0.2-directionpgd", ("pgd", 1.0)),
        ("ray:times=2:steps=8", Ray(times=2, steps=8), "ray-times2-steps8", ("random", 2.0)),
        ("ray:direction=fgsm:times=1/255", Ray(8 / 255, "fgsm", 1 / 255), "ray-directionfgsm-times1_255", None),
    ],
)
def test_names_carry_direction_and_length(text, ray, name, read):
    assert parse(text) == ray
    assert ray.name == name
    assert settings(name) == (read or ("fgsm", pytest.approx(1 / 255)))


def test_titles():
    assert title("ray-eps0.2-times2-steps8") == "Ray-8"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ray:direction=pdg", "unknown direction of Ray 'pdg'; did you mean 'pgd'? available: random, fgsm, pgd"),
        ("ray:times=0", "Ray(times=0): times must be a number, above 0"),
        ("ray:eps=0.6:times=2", "Ray(eps=0.6, times=2) is longer than 1, the whole range of a pixel"),
        ("ray:norm=l2", "unknown setting of attack ray 'norm'"),
    ],
)
def test_mistakes_are_named(text, problem):
    with pytest.raises(UserError) as error:
        parse(text)
    assert problem in str(error.value)


@pytest.mark.parametrize("record", ["points", "steps"])
def test_a_table_of_rays_is_what_was_asked_for_and_passes_verify(tmp_path, record):
    rays = tuple(Ray(0.2, direction, times=2, steps=4) for direction in ("random", "fgsm", "pgd"))
    recipe = Recipe(("demo:sat",), "digits:test", rays, samples=6, record=record)
    measure.run(recipe, "test", Place(tables=tmp_path), say=str)
    made = table.open(tmp_path / "test" / record, samples=6)
    walked = made[made["attack"] != "natural"]
    assert (walked["eps"] == 0.2).all()
    assert walked["linf"].max() == pytest.approx(0.4)
    if record == "steps":
        far = walked[~walked["attack"].str.contains("pgd")]
        np.testing.assert_allclose(far["linf"], 0.1 * far["step"], atol=1e-6)
    assert list(verify.problems(tmp_path / "test" / record)) == []
