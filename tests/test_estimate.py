"""`--dry-run`: the plan and its time, and nothing written."""

import dataclasses
import re

import pytest
from probing import files, run

from energylens import estimate
from energylens.attacks import PGD
from energylens.options import Place

PGD_NAME = "pgd-eps0.1-steps3"


@pytest.fixture
def foresee(tmp_path, capsys):
    def lines(recipe, **place) -> list[str]:
        capsys.readouterr()
        estimate.show(recipe, "test", Place(tables=tmp_path / "tables", **place))
        return capsys.readouterr().out.splitlines()

    return lines


def row(line: str) -> list[str]:
    return line.split(maxsplit=5)


def test_an_empty_folder_stays_empty(toy, tmp_path, foresee):
    lines = foresee(toy, shard=4)
    assert lines[0] == "images: toy.npz, first 6 of 12 test images"
    assert row(lines[2])[:5] == ["toy", "natural", "0", "6", "2"]
    assert row(lines[3])[:5] == ["toy", PGD_NAME, "0", "6", "2"]
    assert lines[2].endswith(" s, from 4 images")
    assert lines[-1].startswith("missing: 4 shards, 12 rows; about 0.")
    assert not (tmp_path / "tables").exists()


def test_what_is_there_tells_how_long_the_rest_takes(toy, tmp_path, foresee):
    run(toy, tmp_path)
    before = files(tmp_path)
    longer = dataclasses.replace(toy, samples=10, attacks=(*toy.attacks, PGD(eps=0.1, steps=5)))
    lines = foresee(longer)
    assert [row(line)[:5] for line in lines[2:5]] == [
        ["toy", "natural", "6", "4", "1"],
        ["toy", PGD_NAME, "6", "4", "1"],
        ["toy", "pgd-eps0.1-steps5", "0", "10", "1"],
    ]
    assert lines[2].endswith(" s")  # from the shards, without a timed batch
    assert lines[4].endswith("from 10 images")
    assert files(tmp_path) == before


def test_of_a_second_model_only_the_quickest_attack_is_timed(toy, foresee):
    second = f"second={toy.models[0].replace(':toy', ':other')}"
    lines = foresee(toy.override(models=[*toy.models, second]))
    timed = [line for line in lines[4:6] if line.endswith("from 6 images")]
    assert len(timed) == 1
    assert len([line for line in lines[4:6] if line.endswith("as on toy")]) == 1


def test_nothing_missing(toy, tmp_path, foresee):
    run(toy, tmp_path)
    assert foresee(toy)[-1] == "all 12 rows are there; nothing would be measured"


def test_moves_and_failures_are_foretold(toy, toy_net, tmp_path, foresee):
    run(toy, tmp_path)
    before = files(tmp_path)
    (tmp_path / "bad").mkdir()
    bad = toy_net("return logits if len(x) == 2 or not x.requires_grad else self.linear(x)", "bad/nets.py")
    lines = foresee(toy.override(models=[f"{bad}:toy"], data=toy.data))
    assert re.match(r"would be moved aside, into .*/_aside: model=toy/attack=natural/part-", lines[1])
    assert "differs in model_sha" in lines[1]
    assert f"would fail: toy under {PGD_NAME}, images 0 to 6: failed at images 0 to 6 (RuntimeError" in lines[3]
    assert files(tmp_path) == before


def test_one_of_each_is_said_so(toy, foresee):
    lines = foresee(dataclasses.replace(toy, samples=1, attacks=()))
    assert re.fullmatch(r"missing: 1 shard, 1 row; about \S+ s on cpu with (1 thread|\d+ threads)", lines[-1])


def test_the_time_of_a_cluster_is_told_as_what_it_is(toy, foresee):
    line = foresee(toy, engine="ray")[-1]
    assert re.match(r"missing: .* on one worker like cpu of this machine \(a cluster divides it\) with ", line)
