"""What the report is made of: the sheet of images, the charts."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from hitofude.inputs.image_set import ImageSet
from hitofude.outputs.html_report.charts import Series, line_chart
from hitofude.outputs.html_report.sheet import COLUMNS, ImageSheet


def test_a_sheet_holds_each_image_once_at_its_place(digits: ImageSet) -> None:
    sheet = ImageSheet(digits.image_shape)
    places = [str(sheet.place(image)) for image in [*digits.images[:40], digits.images[3]]]
    assert (places[0], places[-1], places[COLUMNS]) == ("--x:0;--y:0", "--x:3;--y:0", "--x:0;--y:1")
    found = np.asarray(Image.open(io.BytesIO(sheet.png())))
    assert found.shape == (2 * 28, COLUMNS * 28)
    assert np.array_equal(found[28:56, :28], digits.images[COLUMNS, 0])


def test_a_sheet_of_colour_images_keeps_their_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    sheet = ImageSheet((3, 5, 4))
    sheet.place(image)
    encoded = re.search(r"base64,([^)]+)\)", str(sheet.style()))
    assert encoded is not None
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))
    assert np.array_equal(found[:5, :4], image.transpose(1, 2, 0))


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_says_what_it_shows_and_labels_its_axes(logarithmic: bool) -> None:
    series = [Series("validation", [(1, 0.9), (2, 0.5), (3, 0.2)])]
    drawn = line_chart(series, "Loss <1>", "Falls & falls.", ("epoch", "nats"), logarithmic=logarithmic)
    assert "<title>Loss &lt;1&gt;</title><desc>Falls &amp; falls.</desc>" in drawn
    assert drawn.count("<polyline") == 1
    assert ">epoch</text>" in drawn
    assert len(re.findall('class="end"', drawn)) >= 2


def test_a_chart_of_one_epoch_is_a_point_not_an_error() -> None:
    assert "<polyline" in line_chart([Series("training", [(1, 0.5)])], "Loss", "", ("epoch", "nats"), logarithmic=True)
