"""Sheets as an XLSX file."""

import io
from collections.abc import Mapping, Sequence

_WIDTH = 18


def workbook(sheets: Mapping[str, Sequence[Sequence[str | float | int]]]) -> bytes:
    """The sheets by name, each with its first row as its heading. Text stays text: nothing of it is a formula."""
    import xlsxwriter

    content = io.BytesIO()
    safe = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, safe) as book:
        heading = book.add_format({"bold": True, "bottom": 1})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row, heading if number == 0 else None)
            sheet.set_column(0, max(0, len(rows[0]) - 1), _WIDTH)
    return content.getvalue()
