"""Colours of the pictures, the same in all of them."""

from collections.abc import Iterable

# Assembly stages in the order of work; others follow in alphabetical order.
STAGES_IN_ORDER = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")
# Told apart by people who confuse red and green (after Okabe and Ito, "Color Universal Design").
_PALETTE = ("#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#0072B2", "#D55E00", "#F0E442", "#999933")

NO_STAGE = "#C4C8CC"
INK = "#22282E"
SOFT_INK = "#7C858D"
FAILURE = "#C62828"
MOVE = "#1A237E"


def stage_colours(stages: Iterable[str | None]) -> dict[str, str]:
    """`#rrggbb` by stage: the known ones always, and those given besides."""
    others = sorted({stage for stage in stages if stage is not None} - set(STAGES_IN_ORDER))
    names = (*STAGES_IN_ORDER, *others)
    return {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(names)}


def short_id(track_id: str) -> str:
    """`#12` of `3bay_north-000012`."""
    number = track_id.rpartition("-")[2].lstrip("0")
    return f"#{number or '0'}"


def spoken(name: str) -> str:
    """`grand assembly` of `grand_assembly`."""
    return name.replace("_", " ")
