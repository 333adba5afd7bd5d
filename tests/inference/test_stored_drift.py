"""Which slots of a store are compared, and what the command says."""

import json
from datetime import timedelta
from typing import Any

import pytest

from inference.__main__ import main
from inference.stored_drift import spread_runs
from tests.inference.test_drift import BEGIN, changed, week


@pytest.fixture
def kept(store: Any) -> Any:
    """Nine days of a slot an hour; in the last twelve slots one camera is darker."""
    slots = week(9 * 24, begin=BEGIN)
    for seen in slots[:-12] + changed(slots[-12:], "C_5", lightness=-12):
        store.save("observation", "demo_bay", seen.batch_id, seen)
    return store


def test_a_camera_that_drifted_is_named_and_fails_the_command(kept: Any, capsys: Any) -> None:
    assert main(["drift", "demo_bay"]) == 1
    assert "C_5: drifted: lightness" in capsys.readouterr().out
    assert main(["drift", "demo_bay", "--json", "--classes"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [camera["camera"] for camera in said["cameras"] if camera["drifted"]] == ["C_5"]
    assert said["compared"] == {"slots": 12, "reference": 168}
    assert said["reference"][0] == (BEGIN + timedelta(hours=12)).isoformat()


def test_an_earlier_time_is_healthy(kept: Any, capsys: Any) -> None:
    assert main(["drift", "demo_bay", "--at", "2025-07-09 12:00", "--classes"]) == 0
    assert "By class" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["--at", "2025-07-01 12:00"], 3, "the reference has 0 observed slots"),
        (["--at", "2026-07-01 12:00"], 3, "in the three days before"),
        (["--from", "2025-07-01"], 2, "--from and --to are both needed"),
        (["--slots", "0"], 2, "at least one"),
    ],
)
def test_what_cannot_be_said(kept: Any, capsys: Any, arguments: list[str], status: int, why: str) -> None:
    assert main(["drift", "demo_bay", *arguments]) == status
    assert why in capsys.readouterr().err


def test_nothing_was_ever_observed(store: Any, capsys: Any) -> None:
    assert main(["drift", "demo_bay"]) == 3
    assert "was ever observed" in capsys.readouterr().err


def test_a_long_reference_is_read_in_runs_spread_over_it() -> None:
    batches = [f"{number:04d}" for number in range(1008)]
    chosen = spread_runs(batches, 12)
    assert len(chosen) == 28 * 12
    assert chosen[:12] == batches[:12]
    assert chosen[-12:] == batches[972:984]
    assert spread_runs(batches[:100], 12) == batches[:100]
