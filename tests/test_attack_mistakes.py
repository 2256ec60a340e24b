"""Mistakes in attacks on the command line: one line that says what to type, and nothing written."""

from pathlib import Path

import pytest

from energylens import command, probe

SAT = ("mine", "--models", "demo:sat", "--data", "digits:test", "--samples", "2")
MISTAKES = [
    (["--precision", "bf17"], "unknown precision 'bf17'; did you mean 'bf16'? available: fp32, bf16"),
    (["--record", "path"], "unknown record 'path'"),
    (["--record", "steps", "--keep-images"], "--keep-images keeps where attacks end, not their steps"),
    (["--attack", "cw:eps=0.1"], "attack cw has no eps; CW keeps its distance small without a bound"),
    (["--attack", "apgd-t:target=3"], "attack apgd-t has no target; given-class attacks are pgd-t, cw-t and square-t"),
    (["--attack", "fab:norm=l1"], "unknown norm of FAB 'l1'"),
    (["--attack", "pgd:target=3"], "PGD(loss='ce') wants no class; take pgd-t:target=3"),
    (
        ["--attack", "pgd-t:target=99"],
        "needs a model of at least 100 classes, model 'sat' has 10; take a target from 0 to 9",
    ),
    (["--attack", "square-t:target=rnd"], "unknown target of Square 'rnd'; did you mean 'random'?"),
    (["--attack", "square:norm=l2"], "leaves eps at 8/255, which is next to nothing in L2"),
    (
        ["--attack", "apgd-ce", "--record", "forces"],
        "takes no steps up a loss, so it has no forces; take --record steps",
    ),
    (["--attack", "apgd-ce:semantics=loose"], "unknown semantics of APGD 'loose'"),
    (["--attack", "square:queries=0"], "Square(queries=0): queries must be a whole number, at least 1"),
    (["--attack", "he-pgd:gamma=-1"], "gamma is a number, at least 0, or 'search'"),
    (["--attack", "apgd:eps=0.1"], "unknown attack 'apgd'; did you mean 'apgd-ce'?"),
]


@pytest.mark.parametrize(("arguments", "text"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes_are_one_line(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.run(probe.app, "test", [*SAT, *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not list(Path().iterdir())
