"""What a run tells of itself, by a clock that the test turns."""

import io

import pytest
from rich.console import Console

from energylens import progress
from energylens.attacks import PGD
from energylens.plan import Plan, Subject, Task

NET, OTHER = Subject("net", "nets.py:net", "1"), Subject("other", "nets.py:other", "2")
FIRST, SECOND, THIRD = Task(NET, None, 0, 100), Task(NET, PGD(), 0, 100), Task(OTHER, PGD(), 0, 200)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def plans() -> list[Plan]:
    return [Plan(NET, tasks=[FIRST, SECOND]), Plan(OTHER, tasks=[THIRD])]


def test_lines_now_and_then_with_rates_and_time_left(plans, clock, capsys):
    lines = progress.Lines(plans, every=30)
    lines.begin(FIRST)
    clock[0] = 10
    lines.advance(FIRST, 100)
    lines.end(FIRST)
    assert capsys.readouterr().err == ""
    lines.begin(SECOND)
    clock[0] = 60  # 1 s an image under PGD: 50 s for the rest here, 200 s for the other network
    lines.advance(SECOND, 50)
    told = capsys.readouterr().err
    assert told == "1 of 3 shards, 150 of 400 rows, 2.5 rows/s, 4.2 min left; net under pgd, images 0 to 100\n"
    clock[0] = 80
    lines.advance(SECOND, 20)
    assert capsys.readouterr().err == ""


def test_two_workers_need_half_the_time(plans, clock):
    count = progress.Count(plans)
    count.workers = 2
    count.elsewhere(FIRST, 100)
    count.begin(SECOND)
    clock[0] = 100
    count.advance(SECOND, 80)  # 1.25 s an image, and 220 are left: 275 s for one worker
    assert "2.3 min left" in count.line()


def test_what_another_probe_measured_is_counted_and_not_timed(plans, clock, capsys):
    lines = progress.Lines(plans, every=0)
    lines.elsewhere(THIRD, 200)
    lines.begin(SECOND)
    clock[0] = 10
    lines.advance(SECOND, 100)
    assert "300 of 400 rows" in capsys.readouterr().err
    lines.waits(FIRST)
    lines.waits(FIRST)
    assert capsys.readouterr().err == "waiting for another probe, which is at net under natural, images 0 to 100\n"


def test_a_batch_begun_anew_takes_its_images_back(plans, clock):
    count = progress.Count(plans)
    count.begin(SECOND)
    clock[0] = 1
    count.advance(SECOND, 50)
    count.advance(SECOND, -50)
    assert "0 of 400 rows" in count.line()


def test_nested_bars_on_a_terminal_of_eighty_columns(plans, clock):
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    bars = progress.Bars(plans, console)
    bars.begin(SECOND)
    clock[0] = 10
    bars.advance(SECOND, 50)  # 0.2 s an image: so 70 s for the other 350
    console.print(bars.bars.get_renderable())
    whole, one = (line.strip() for line in console.file.getvalue().splitlines())
    assert whole.endswith("70 s left, 5.0 rows/s, 50 of 400 rows, 0 of 3 shards")
    assert one.endswith("5.0 images/s, net under pgd, images 0 to 100")
    bars.end(SECOND)
    assert len(bars.bars.tasks) == 1
    assert bars.bars.tasks[0].completed == 50


def test_nothing_is_shown_where_nothing_is_to_be_done(capsys):
    with progress.shown([Plan(NET)]) as watch:
        assert type(watch) is progress.Watch
    assert capsys.readouterr().err == ""


def test_the_end_is_told(plans, clock, capsys):
    with progress.shown(plans) as watch:
        for task in (FIRST, SECOND, THIRD):
            watch.begin(task)
            clock[0] += 2
            watch.advance(task, task.images)
            watch.end(task)
    assert capsys.readouterr().err == "3 shards in 6.0 s\n"
