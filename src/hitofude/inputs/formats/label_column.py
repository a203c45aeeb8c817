"""Choose the label among the first and the last column of a table whose names do not tell, by their content."""

from collections import Counter

from hitofude.errors import InputError
from hitofude.inputs.formats.columns import Rows, is_number


def choose_label(rows: Rows, first: int, last: int, location: str) -> int:
    """The label among two columns, by their content. Raise InputError, with the remedy, if both may be it."""
    label = label_by_content(rows, first, last)
    if label is None:
        raise InputError(
            f"{location}: one of the columns must be the label, and both the first and the last may be it. "
            f"Name it by its number, from 0: --label {first} or --label {last}."
        )
    return label


def label_by_content(rows: Rows, first: int, last: int) -> int | None:
    """Choose the label among two columns, by the fields of rows from all over the file; None if both may be it.

    A label is text; or a whole number with few distinct values, which are close together and spread over the rows, and
    not always the same.
    """
    columns = {position: [row[position].strip() for row in rows] for position in (first, last)}
    if not rows:
        return None
    texts = [position for position, fields in columns.items() if not all(map(is_number, fields))]
    if texts:
        return texts[0] if len(texts) == 1 else None
    values = {position: [float(field.replace(",", ".")) for field in fields] for position, fields in columns.items()}
    for rule in (_varies, _is_whole, _is_narrow, _is_spread):
        fit = [position for position in (first, last) if rule(values[position])]
        if len(fit) == 1:
            return fit[0]
    counts = {position: len(set(values[position])) for position in (first, last)}
    fewest, most = sorted((first, last), key=counts.__getitem__)
    return fewest if 2 * counts[fewest] <= counts[most] else None


def _varies(values: list[float]) -> bool:
    return len(set(values)) > 1


def _is_whole(values: list[float]) -> bool:
    return all(value.is_integer() for value in values)


def _is_narrow(values: list[float]) -> bool:
    return len(set(values)) <= 100  # a pixel that is seldom black takes most values from 0 to 255


def _is_spread(values: list[float]) -> bool:
    """Whether the values are close together, and none is that of nearly all rows."""
    count, commonest = len(set(values)), Counter(values).most_common(1)[0][1]
    return count >= (max(values) - min(values) + 1) / 2 and commonest <= 0.8 * len(values)
