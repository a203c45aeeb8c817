"""The progress of bulk prediction: lines, and on a terminal a bar below them."""

import io
import time

import pytest
from rich.console import Console

from hitofude.outputs.display import bulk
from hitofude.outputs.display.bulk import LiveBulkDisplay, Pace, choose_bulk_display


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """Ten seconds old: four shards of 100 bytes, a fifth that was finished before."""
    pace = Pace(5, 1, 400)
    now = time.monotonic() + 10
    monkeypatch.setattr(bulk.time, "monotonic", lambda: now)
    return pace


def test_the_time_left_is_estimated_from_the_first_finished_shard(pace: Pace) -> None:
    pace.add_images("a", 50)
    assert str(pace) == "1 of 5 shards, 5 images/s"
    pace.finish("a", 100, 100)
    assert pace.share() == pytest.approx(1 / 4)
    assert str(pace) == "2 of 5 shards, 10 images/s, about 0:30 left"


def test_images_of_unfinished_shards_count(pace: Pace) -> None:
    pace.finish("a", 100, 100)
    pace.add_images("b", 100)
    assert pace.share() == pytest.approx(2 / 4)
    pace.finish("b", 100, 100)
    assert pace.share() == pytest.approx(2 / 4)


def test_a_shard_that_is_refused_is_not_waited_for(pace: Pace) -> None:
    pace.finish("a", 100, 100)
    pace.add_images("b", 30)
    pace.finish("b", 100, 0)
    assert pace.share() == pytest.approx(1 / 3)


def test_at_the_end_nothing_is_left(pace: Pace) -> None:
    for shard in "abcd":
        pace.finish(shard, 100, 100)
    assert (pace.share(), str(pace)) == (1, "5 of 5 shards, 40 images/s")


def test_a_terminal_shows_the_lines_above_a_bar(pace: Pace) -> None:
    stream = io.StringIO()
    with LiveBulkDisplay(pace, Console(file=stream, force_terminal=True, width=100)) as display:
        display.begin(4, "2 workers of 1 thread on this machine")
        display.images_predicted("shards/[a].csv", 40)
        display.shard_finished("shards/[a].csv", 100, 100, 2.5)
        display.shard_refused("shards/b.csv", 100, "shards/b.csv: 2 values are wrong; fix them:\n  line 2\n  line 3")
        display.warned("shards/c.csv failed on a worker, and is tried elsewhere")
    text = stream.getvalue()
    assert "4 shards to predict, by 2 workers of 1 thread on this machine; 1 more are finished" in text
    assert "[a].csv: 100 images in 2.5 s; 2 of 5 shards" in text
    assert "left out: shards/b.csv: 2 values are wrong\n" in text.replace("\r", "")
    assert "warning: shards/c.csv failed" in text


def test_quiet_prints_nothing(pace: Pace, capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (True, False):
        with choose_bulk_display(pace, quiet=quiet) as display:
            display.warned("quiet" if quiet else "loud")
    assert capsys.readouterr().out == "warning: loud\n"
