"""Shift reports, as an answer and for a spreadsheet."""

import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

NIGHT = {"start": "2025-07-01T22:00:00Z", "end": "2025-07-02T04:00:00Z"}


def test_a_report_counts_what_happened(ask: Callable[..., Any]) -> None:
    report = ask("bays/yard/report", **NIGHT)

    assert report["counts"]["moved"] == 1
    assert report["counts"]["exited"] == 1
    events = ask("bays/yard/events", **NIGHT)["events"]
    assert sum(report["counts"].values()) == len(events) > 0
    hours = {one["area"]: one["hours"] for one in report["dwell"]}
    # Block 1 stands in A25 from 23:00 to the newest slot, 0:10; block 2 in A26 for its first four slots.
    assert hours["A25"] == pytest.approx(7 / 6, abs=0.01)
    assert hours["A26"] == pytest.approx(4 / 6, abs=0.01)
    assert report["missing"][-1]["outcome"] in ("not run", "skipped")


def test_csv_has_the_events_in_the_bays_own_time(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    answer = api.get("/api/v1/bays/yard/report.csv", headers=token("boss"), params=NIGHT)

    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    (moved,) = [row for row in rows if row["kind"] == "moved"]
    assert (moved["time"], moved["from_area"], moved["to_area"]) == ("2025-07-02 08:40", "A26", "A13")
    assert "yard_20250702-0700.csv" in answer.headers["content-disposition"]


def test_xlsx_has_its_sheets(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    content = api.get("/api/v1/bays/yard/report.xlsx", headers=token("boss"), params=NIGHT).content

    book = zipfile.ZipFile(io.BytesIO(content))
    names = book.read("xl/workbook.xml").decode()
    assert all(f'name="{name}"' in names for name in ("events", "areas", "missing slots"))
    assert "A13" in book.read("xl/sharedStrings.xml").decode()


def test_what_begins_like_a_formula_is_text() -> None:
    from dashboard.api.routes.reports import _csv
    from dashboard.workbook import workbook

    evil = '=HYPERLINK("http://evil","x")'

    assert _csv([[evil, "-5", 3, "A25"]]) == '"\'=HYPERLINK(""http://evil"",""x"")",\'-5,3,A25\r\n'
    sheet = zipfile.ZipFile(io.BytesIO(workbook({"one": [[evil]]}))).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet


def test_a_report_of_a_year_is_refused(api: Any, token: Callable[[str], dict[str, str]]) -> None:
    year = {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}

    assert api.get("/api/v1/bays/yard/report.csv", headers=token("boss"), params=year).status_code == 422
