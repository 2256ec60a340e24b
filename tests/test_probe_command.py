"""What the probe says at its end, and of what was typed."""

import re

from energylens import command, probe


def typed(capsys, *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, output and errors."""
    code = command.run(probe.app, "python -m energylens.probe", [str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def test_a_run_of_which_something_fails_ends_with_its_summary_and_the_failure(tmp_path, toy, toy_net, npz, capsys):
    bad = toy_net("return logits if len(x) == 2 or not x.requires_grad else self.linear(x)", "bad.py")
    models = ("--models", f"bad={bad}:toy", "--models", toy.models[0])
    code, out, err = typed(capsys, "mine", *models, "--data", npz, "--attack", "fgsm", "--tables", tmp_path / "tables")
    assert code == 2
    assert out[-1] == f"table: {tmp_path}/tables/mine/points"
    rows = [re.split("  +", line)[:3] for line in out[-6:-1]]
    assert [row[:3] for row in rows] == [
        ["model", "attack", "images"],
        ["bad", "natural", "12"],
        ["bad", "fgsm", "0"],
        ["toy", "natural", "12"],
        ["toy", "fgsm", "12"],
    ]
    assert err.splitlines()[-1].startswith("error: 1 of 4 shards failed, the others are there; bad under fgsm, images")


def test_images_without_a_model(capsys):
    code, _, err = typed(capsys, "mine", "--data", "digits")
    told = "error: say what to measure on digits: --models REFERENCE; 'mine' is no shipped analysis\n"
    assert (code, err) == (2, told)


def test_a_table_that_is_checked_says_so(capsys):
    with command.progress(8, "checked") as advance:
        advance(8)
    assert capsys.readouterr().err.startswith("checked 8 of 8 rows in ")
