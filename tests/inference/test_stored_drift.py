"""Which slots of a store are compared, and what the command says."""

import json
from typing import Any

import pytest

from bay_observation.errors import NotObservedError
from inference.__main__ import main
from inference.stored_drift import DriftWatch, spread_runs
from tests.inference.test_drift import BEGIN, changed, week

pytestmark = pytest.mark.slow(0.6)


@pytest.fixture
def kept(store: Any) -> Any:
    """Four days of a slot an hour; in the last twelve slots one camera is darker."""
    slots = week(100, begin=BEGIN)
    for seen in slots[:-12] + changed(slots[-12:], "C_5", lightness=-12):
        store.save("observation", "demo_bay", seen.batch_id, seen)
    return store


def test_a_camera_that_drifted_is_named_and_fails_the_command(kept: Any, capsys: Any) -> None:
    assert main(["drift", "demo_bay"]) == 1
    assert "C_5: drifted: lightness" in capsys.readouterr().out
    assert main(["drift", "demo_bay", "--json", "--classes"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [camera["camera"] for camera in said["cameras"] if camera["drifted"]] == ["C_5"]
    assert said["compared"] == {"slots": 12, "reference": 64}
    assert said["reference"][0] == BEGIN.isoformat()


def test_an_earlier_time_is_healthy(kept: Any, capsys: Any) -> None:
    assert main(["drift", "demo_bay", "--at", "2025-07-04 23:00", "--classes"]) == 0
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


def test_a_watch_reads_the_reference_once_and_the_last_slots_every_ten_minutes(kept: Any, monkeypatch: Any) -> None:
    clock, read = [0.0], list[str]()
    fetch = kept.fetch
    monkeypatch.setattr(kept, "fetch", lambda stage, bay, batch: read.append(batch) or fetch(stage, bay, batch))
    watch = DriftWatch("demo_bay", lambda: clock[0])
    ratios = watch.ratios(kept)
    assert [camera for camera, ratio in ratios.items() if ratio > 1] == ["C_5"]
    assert len(read) == 64 + 12
    assert watch.ratios(kept) == ratios
    assert len(read) == 64 + 12
    clock[0] = 600.0
    assert watch.ratios(kept) == ratios
    assert len(read) == 64 + 12 + 12


def test_a_watch_of_a_bay_of_which_nothing_was_observed_says_so(store: Any) -> None:
    with pytest.raises(NotObservedError, match="was ever observed"):
        DriftWatch("demo_bay").ratios(store)
