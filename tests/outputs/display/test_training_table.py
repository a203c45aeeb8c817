"""The table of the members in training, in HTML and in plain text."""

from xml.etree import ElementTree

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.plain import HEADER
from hitofude.outputs.display.training_table import COLUMNS, TrainingTable

LOG = EpochLog(0, 2, 0.51234, 0.8123, 0.4123, 0.9012, 0.00123, 3.0, 12345.6)


def half_done() -> TrainingTable:
    """The first of two members after two of its five epochs."""
    table = TrainingTable(members=2, images=1000)
    table.start_member(0, epochs=5, epochs_done=0)
    table.images_done = 500
    table.add_epoch(LOG)
    return table


def parse(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)  # noqa: S314, it is our own


def test_the_html_has_a_row_a_member_also_before_it_is_trained() -> None:
    header, *rows = parse(half_done().html()).iter("tr")
    assert tuple(cell.text for cell in header) == COLUMNS
    assert [["".join(cell.itertext()) for cell in row] for row in rows] == [
        ["1/2", "2/5", "40%", "0.5123", "0.8123", "0.4123", "0.9012", "0.00123", "12,346"],
        ["2/2", "-", "0%", "-", "-", "-", "-", "-", "-"],
    ]


def test_each_bar_has_a_name_and_a_share() -> None:
    bars = parse(half_done().html()).iter("progress")
    assert [(bar.get("aria-label"), bar.get("value"), bar.text) for bar in bars] == [
        ("all members", "0.500", "50%"),
        ("member 1", "0.400", "40%"),
        ("member 2", "0.000", "0%"),
    ]


def test_the_html_brings_no_colour_and_no_script() -> None:
    html = half_done().html()
    assert not [word for word in ("color", "background", "<script", "<style") if word in html]


def test_the_text_has_the_newest_epoch_of_each_member_under_the_header() -> None:
    status, header, *rows = half_done().text().splitlines()
    assert status.startswith("50 %, ")
    assert header == HEADER
    assert [row.split()[:3] for row in rows] == [["1/2", "2/5", "0.5123"]]


def test_the_status_follows_the_training() -> None:
    table = TrainingTable(members=1, images=1000)
    assert table.status() == "starting"
    table.images_done = 1000
    assert table.status() == "trained, predicting, 0:00"
    table.state = "trained"
    assert table.status() == "trained in 0:00"
    table.state = "stopped"
    assert "continues from the last whole epoch" in table.status()
