"""The dashboard's measurement: what fails is shown and counted, and the rest is measured."""

import subprocess
from typing import Any

import httpx
import pytest
from rich.console import Console

from bay_observation.errors import SimulationError
from lab.bars import Bar
from lab.benchmarks import dashboard


@pytest.mark.parametrize(
    "error", [SimulationError("no browser"), httpx.ReadTimeout("slow"), subprocess.TimeoutExpired("node", 900.0)]
)
def test_a_part_that_fails_is_a_bar_that_does_not_hold(error: Exception) -> None:
    def fails() -> list[Bar]:
        raise error

    (bar,) = dashboard._measured_part("speed", fails, Console(quiet=True))
    assert (bar.name, bar.holds) == ("speed: not measured", False)


def test_a_fault_of_the_program_is_not_taken_for_a_figure() -> None:
    with pytest.raises(ZeroDivisionError):
        dashboard._measured_part("speed", lambda: [Bar("x", 1 / 0, "<=", 1)], Console(quiet=True))


def test_a_browser_that_saw_half_gives_the_other_half(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {"first": [400.0], "cold": [900.0], "steps": [], "empty": [], "undrawn": 0, "blocks": []}
    seen["failures"] = ["scrub: it took too long"]
    monkeypatch.setattr(dashboard, "_browse", lambda *_: seen)
    asking = dashboard._Asking(None, None, Console(quiet=True), "")  # type: ignore[arg-type]
    bars = {bar.name: bar for bar in asking._speed(None)}  # type: ignore[arg-type]
    assert bars["first floor after the click on Bays, median"].figure == 400
    assert not bars["speed: what failed"].holds
    assert not bars["scrub, median of a step"].holds
