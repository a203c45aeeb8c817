"""The progress of a run: plain lines without control codes, or a live bar on a terminal."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from hitofude.language.translation import speaking
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display import Display, TerminalDisplay
from hitofude.outputs.display.lines import header, plain_row

LOG = EpochLog(0, 2, 0.51234, 0.8123, 0.4123, 0.9012, 0.00123, 3.0, 12345.6)


def train(display: Display) -> None:
    with display.training(members=3, images=1000):
        display.member_started(0, epochs=5, epochs_done=1)
        display.batch_finished(500)
        display.epoch_finished(LOG)


def test_plain_lines_have_the_figures_and_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    train(Display())
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\r" not in text
    assert "continuing after epoch 1" in text
    assert text.splitlines()[-1].split() == [
        "1/3", "2/5", "0.5123", "0.8123", "0.4123", "0.9012", "0.0012", "12,346", "0:00",
    ]  # fmt: skip


def test_the_columns_are_aligned_and_fit_a_terminal_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    train(Display())
    header, *_, row = capsys.readouterr().out.splitlines()
    assert len(header) == len(row) <= 80


def test_the_titles_stand_above_their_columns() -> None:
    assert header() == "member   epoch train loss train acc val. loss val. acc      lr images/s elapsed"


def test_wide_titles_are_aligned_and_fit_a_terminal_of_80_columns() -> None:
    with speaking("ja"):
        titles, row = header(80), plain_row(LOG, 3, 5, 10, 80)
    assert titles.split() == [
        "番号",
        "エポック",
        "学習損失",
        "学習正解率",
        "検証損失",
        "検証正解率",
        "学習率",
        "枚/秒",
        "経過",
    ]
    assert cell_len(titles) == cell_len(row) < 80


@pytest.mark.parametrize(
    ("width", "missing"), [(79, set()), (70, {"images/s"}), (40, {"images/s", "lr", "train loss"})]
)
def test_a_narrow_terminal_does_without_some_columns(width: int, missing: set[str]) -> None:
    row = plain_row(LOG, 3, 5, 10, width)
    assert len(header(width)) == len(row) <= width
    assert all(title not in header(width) for title in missing)
    assert "0.9012" in row  # the accuracy on the rows held out


def test_messages_are_folded_at_the_width_of_the_terminal() -> None:
    screen = io.StringIO()
    TerminalDisplay(Console(file=screen, force_terminal=True, width=40)).message(f"source   {'digits ' * 8}")
    assert [len(line) <= 40 for line in screen.getvalue().splitlines()] == [True, True]


def test_a_terminal_shows_the_same_rows_above_a_bar_with_speed_and_time_left() -> None:
    screen = io.StringIO()
    train(TerminalDisplay(Console(file=screen, force_terminal=True, width=120)))
    text = screen.getvalue()
    assert "0.5123" in text
    assert "50 %" in text
    assert "left" in text
    assert "member 1 of 3" in text


def test_a_finished_training_shows_no_bar() -> None:
    screen = io.StringIO()
    with TerminalDisplay(Console(file=screen, force_terminal=True)).training(members=3, images=0):
        pass
    assert screen.getvalue() == ""


def test_members_side_by_side_share_one_bar_and_each_has_its_own_epochs() -> None:
    screen = io.StringIO()
    display = TerminalDisplay(Console(file=screen, force_terminal=True, width=120))
    with display.training(members=3, images=1000):
        for member, epochs in ((0, 5), (2, 7)):
            display.member_started(member, epochs=epochs, epochs_done=0)
        display.warned("a state was damaged")
        display.epoch_finished(replace(LOG, member=2))
    assert "members 1, 3 of 3" in screen.getvalue()
    assert "3/3     2/7" in screen.getvalue()
    assert "warning: a state was damaged" in screen.getvalue()
