"""Tables of the history: readable in a narrow terminal, and nothing of a name, an id or a time is cut."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from tracking.history.tables import Answer

NINE = datetime(2025, 7, 2, 0, 0, tzinfo=UTC)
SPARE = (("height_m",), ("status", "last_seen"))


def answer(**changes):
    row = {
        "track_id": "3bay_north-000012",
        "area": "A12_S",
        "stage": "block_assembly_welding",
        "since": NINE,
        "last_seen": NINE,
        "status": "unobserved",
        "height_m": 4.25,
        **changes,
    }
    return Answer("3bay_north: 1 block", ZoneInfo("Asia/Seoul"), tuple(row), [row], "nothing stands there", SPARE)


def lines(told, width):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(told.to_table(width))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_with_room_everything_is_in_one_line():
    (row,) = [line for line in lines(answer(), 160) if "000012" in line]
    assert row.split() == [
        "3bay_north-000012", "A12_S", "block_assembly_welding", "2025-07-02", "09:00", "2025-07-02", "09:00",
        "unobserved", "4.25",
    ]  # fmt: skip


def test_a_long_name_goes_on_behind_its_parts():
    told = lines(answer(), 98)
    first = next(number for number, line in enumerate(told) if "000012" in line)
    assert told[first].split()[:3] == ["3bay_north-000012", "A12_S", "block_assembly_"]
    assert told[first + 1].split() == ["welding"]
    assert "unobserved" in told[first]


def test_what_has_no_room_is_left_out_and_named():
    told = "\n".join(lines(answer(), 70))
    assert "3bay_north-000012" in told
    assert "unobserved" not in told
    assert "no room for last seen, status, height m:" in told
    assert "no room" not in "\n".join(lines(answer(), 160))


@pytest.mark.parametrize("width", range(55, 170, 5))
def test_no_line_is_wider_than_the_terminal_and_no_part_of_a_name_is_cut(width):
    told = lines(answer(), width)
    assert max(map(len, told)) <= width
    words = " ".join(told).replace("_ ", " ").split()
    for part in ("3bay_north-000012", "A12_S", "welding", "2025-07-02", "09:00"):
        assert part in words or any(word.endswith(part) for word in words)


def test_brackets_are_no_markup():
    assert "[a, b] is down" in "\n".join(lines(answer(stage="[a, b] is down"), 160))


def test_a_word_longer_than_any_line_is_cut():
    row = {"slot": NINE, "reason": "rtsp://" + "x" * 60}
    told = Answer("gaps", ZoneInfo("UTC"), tuple(row), [row])
    text = lines(told, 50)
    assert "".join(line.split()[-1] for line in text[3:]).endswith("x" * 60)
    assert max(map(len, text)) <= 50


def test_no_rows():
    told = "\n".join(lines(Answer("gaps", ZoneInfo("UTC"), ("slot", "reason"), [], "none is missing"), 80))
    assert "none is missing" in told
