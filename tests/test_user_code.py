"""Attacks and networks that do what they should not: told in one line, and no other row suffers from it."""

from pathlib import Path

import pandas as pd
import pytest
from probing import recipe, run

from energylens import attacks, measure
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe

CHANGES = {
    "weights": "[p.data.mul_(0) for p in model.parameters()]",
    "an attribute": "model.forward = lambda x: x.flatten(1)[:, :3]",
    "a hook": "model.register_forward_hook(lambda module, inputs, output: 0 * output)",
    "a hook on gradients": "model.register_full_backward_hook(lambda module, got, wanted: (0 * got[0],))",
}


def attack(folder: Path, body: str, settings: str = "") -> attacks.Own:
    path = folder / "mine.py"
    path.write_text(f"import copy, sys\n\ndef mine(model, x, y):\n    {body}\n    return x\n")
    return attacks.parse(f"{path}:mine{settings}")


def failed(made: Recipe, tmp_path: Path, **place) -> tuple[str, pd.DataFrame]:
    """What a run says that fails, and the rows that it leaves."""
    tables = tmp_path / "tables"
    with pytest.raises(UserError) as error:
        measure.run(made, "test", Place(tables=tables, **place))
    found = pd.read_parquet(tables / "test" / "points")
    return str(error.value), found.sort_values(["model", "attack", "sample"])


@pytest.mark.parametrize("what", CHANGES)
def test_an_attack_that_changes_the_network_fails_and_spoils_nothing(toy, tmp_path, what):
    """Its shards come between those of PGD."""
    mine = attack(tmp_path, CHANGES[what], ":batch=4")
    both = Recipe(toy.models, toy.data, (mine, *toy.attacks), samples=8)
    told, found = failed(both, tmp_path, shard=4, batch=4)
    assert "2 of 6 shards failed, the others are there; toy under mine-batch4, images 0 to 4: " in told
    assert told.endswith("attack mine-batch4 changed the network; let it work on copy.deepcopy(model)")
    alone = run(Recipe(toy.models, toy.data, toy.attacks, samples=8), tmp_path / "alone", batch=4)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), alone.reset_index(drop=True), check_exact=True)


def test_an_attack_that_changes_a_copy_is_measured(toy, tmp_path):
    mine = attack(tmp_path, "[p.data.mul_(0) for p in copy.deepcopy(model).parameters()]")
    assert len(run(Recipe(toy.models, toy.data, (mine,)), tmp_path)) == 24


@pytest.mark.parametrize("stop", ["sys.exit(1)", "1 / 0", "model.linear.bias.data.add_(1); return 1 / 0"])
def test_an_attack_that_stops_costs_its_own_shards_alone(toy, tmp_path, stop):
    told, found = failed(Recipe(toy.models, toy.data, (attack(tmp_path, stop), *toy.attacks), samples=6), tmp_path)
    assert told.startswith(
        "1 of 3 shards failed, the others are there; toy under mine, images 0 to 6: failed at images"
    )
    pd.testing.assert_frame_equal(found, run(toy, tmp_path / "alone"))


def test_a_network_that_does_not_fit_on_the_device_costs_its_own_shards_alone(toy, toy_net, npz, tmp_path):
    """torch's error, where a network of tests cannot be so large."""
    large = toy_net(name="large.py")
    moves = "    def to(self, *where):\n        raise torch.OutOfMemoryError('CUDA out of memory. Tried')\n\ndef toy():"
    large.write_text(large.read_text().replace("def toy():", moves, 1))
    told, found = failed(toy.override(models=[f"large={large}:toy", *toy.models], data=str(npz)), tmp_path)
    assert "large under natural, images 0 to 6: model 'large' cannot be loaded on cpu (OutOfMemoryError: CUDA" in told
    assert set(found["model"]) == {"toy"}


@pytest.mark.parametrize("words", ["cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"])
def test_libraries_that_find_no_memory_halve_the_batch_too(toy_net, npz, tmp_path, words):
    body = f"if len(x) > 4 and x.requires_grad:\n            raise RuntimeError({words!r})\n        return logits"
    said: list[str] = []
    assert len(run(recipe(toy_net(body), npz), tmp_path, say=said.append)) == 12
    assert any(line.endswith("128 images at once are too many for cpu; taking 64") for line in said)
