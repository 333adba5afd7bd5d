"""A comparison as lines of text."""

from collections.abc import Iterator

from bays import BayConfig
from legacy.comparison import Comparison

_MOST = 200


def lines_of(comparison: Comparison, bay: BayConfig) -> Iterator[str]:
    """Figures, differences, verdict; times are the bay's own clock."""
    for one in comparison.figures:
        mark = "" if one.holds else "   does not hold"
        yield f"{one.name:28} {one.text():>12}   {one.wanted()}{mark}"
    for difference in comparison.differences[:_MOST]:
        since = (
            "the whole period"
            if difference.since is None
            else f"{difference.since.astimezone(bay.zone):%Y-%m-%d %H:%M}"
        )
        subject = f" {difference.subject}" if difference.subject else ""
        yield f"{since}, {difference.slots} slots: {difference.kind}{subject}: {difference.text}"
    if len(comparison.differences) > _MOST:
        yield f"and {len(comparison.differences) - _MOST} more: --json has them all"
    for reason in comparison.reasons:
        yield f"not ready: {reason}"
    if comparison.is_ready:
        yield f"{comparison.bay_id}: ready"
