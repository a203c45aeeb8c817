"""Tables as programs write them: without header, with other headers, floats, Excel's dialects."""

from pathlib import Path

from benchmarks.variants.variant import Digits, Maker, Variant

NAMES = [f"pixel{number}" for number in range(784)]


def with_header(folder: Path, digits: Digits) -> Variant:
    """The plain table, to compare with."""
    rows = [f"{label},{','.join(map(str, row))}" for label, row in zip(digits.labels, digits.rows, strict=True)]
    path = folder / "train.csv"
    path.write_text("\n".join([",".join(["label", *NAMES]), *rows]) + "\n")
    return Variant(path, digits.images, digits.labels.tolist())


VARIANTS: dict[str, Maker] = {"with a header": with_header}
