"""What a slot of `make bench-pipeline` costs in CPU, by kind of service, and how fast this machine's cores could be."""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.table import Table

_KINDS = ("cameras", "observer", "processor", "triggerer")  # each bay has its own


def cpu_of(case: Mapping[str, Any], kind: str) -> dict[str, float]:
    """Mean seconds of CPU that a slot cost, by kind of service; what the services use while they idle is taken off.

    Args:
        case: one cluster's measurements.
        kind: of slots: `alone`, `two` or `together`.
    """
    found: dict[str, list[float]] = {}
    for slot in case[kind]:
        of_slot: dict[str, float] = {}
        for name, seconds in slot["cpu_s"].items():
            own = seconds - case["idle_cpu"][name] * slot["cpu_over_s"]
            of_slot[_kind(name)] = of_slot.get(_kind(name), 0.0) + own
        for name, seconds in of_slot.items():
            found.setdefault(name, []).append(seconds)
    return {name: max(0.0, statistics.mean(seconds)) for name, seconds in found.items()}


def least_s(case: Mapping[str, Any], kind: str, cores: int) -> float:
    """Seconds that a slot would take if no core ever waited: its CPU, and the services' idling meanwhile."""
    left = cores - sum(case["idle_cpu"].values())
    return sum(cpu_of(case, kind).values()) / left if left > 0 else float("inf")


def cpu_table(case: Mapping[str, Any]) -> Table:
    """Seconds of CPU by kind of service, of one bay's slot and of all bays' at once."""
    alone, together = cpu_of(case, "alone"), cpu_of(case, "together")
    table = Table("seconds of CPU", "one bay", "all at once", title="Of a slot, without idling", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in sorted(together, key=lambda name: -together[name]):
        table.add_row(name, f"{alone.get(name, 0.0):.2f}", f"{together[name]:.2f}")
    table.add_section()
    table.add_row("all services", f"{sum(alone.values()):.2f}", f"{sum(together.values()):.2f}")
    return table


def cores_line(case: Mapping[str, Any], cores: int) -> str:
    """How much of the ratio of all bays at once over one is the machine's cores."""
    alone, together = (statistics.median(slot["total_s"] for slot in case[kind]) for kind in ("alone", "together"))
    least = least_s(case, "together", cores)
    return (
        f"all at once: {together:.2f} s, {together / alone:.2f} x one bay. {cores} cores that never wait take"
        f" {least:.2f} s for their CPU, {least / alone:.2f} x; the rest is waiting for one another"
    )


def _kind(name: str) -> str:
    return next((kind for kind in _KINDS if name.startswith(f"{kind}-")), name)
