"""Excel's .xlsx, whose first sheet is read as a table by openpyxl."""

import csv
import io

from hitofude.errors import InputError, first_line, install_command
from hitofude.inputs.formats.archive import Place, check_growth, open_seekable, open_zip, reading
from hitofude.inputs.formats.csv_table import CsvFile


def sheet_as_csv(path: Place) -> tuple[CsvFile, tuple[str, ...]]:
    """Return the first sheet as a CSV file in memory, and the names of the others, which are left aside.

    Raise InputError if it is damaged, would grow like a zip bomb, or without openpyxl.
    """
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise InputError(
            f"{path}: Excel files need the package openpyxl: {install_command('excel')}. Or save it as CSV."
        ) from None
    with reading(str(path)), open_zip(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    check_growth(str(path), unpacked, path)
    try:
        with open_seekable(path) as stream:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            content = io.StringIO()
            writer = csv.writer(content, lineterminator="\n")
            for row in book.worksheets[0].iter_rows(values_only=True):
                if any(value is not None for value in row):
                    writer.writerow(["" if value is None else value for value in row])
            others = tuple(sheet.title for sheet in book.worksheets[1:])
            first = book.worksheets[0].title
            book.close()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # openpyxl raises anything for a damaged file
        raise InputError(f"{path}: the Excel file is damaged ({first_line(error)}). Save it as CSV.") from None
    text = content.getvalue().encode()
    return CsvFile(f"{path}, sheet '{first}'", lambda: io.BytesIO(text)), others
