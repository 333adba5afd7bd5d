"""What is said of a bay's file, with the line to change."""

from collections.abc import Sequence
from dataclasses import replace

from bays.checking import Finding
from bays.editing import read_text
from bays.loading import bay_file, line_of_key, read_strictly


def with_lines(bay_id: str, findings: Sequence[Finding]) -> list[Finding]:
    """The findings with the lines of the bay's file at which their keys stand."""
    if not findings:
        return []
    path = bay_file(bay_id)
    tree, _ = read_strictly(path, read_text(path))
    return [replace(one, line=line_of_key(tree, one.where)) for one in findings]


def located(bay_id: str, one: Finding) -> str:
    """A finding in one line, with file and line."""
    line = "" if one.line is None else f":{one.line}"
    return f"{one.level}: {bay_file(bay_id)}{line}: {one.where}: {one.text}"
