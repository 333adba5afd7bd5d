"""A class in another spelling is found; a class that is another one is left alone."""

import pytest

from inference.class_names import near_misses
from inference.types import CLASSES, STAGES


@pytest.mark.parametrize(
    ("name", "known"),
    [("Panel", "panel"), ("HP-block", "HP_block"), ("hp block", "HP_block"), ("pannel", "panel"), ("pipes", "pipe")],
)
def test_another_spelling_is_found(name: str, known: str) -> None:
    assert near_misses([name], CLASSES) == {name: known}


def test_the_known_names_and_other_things_are_left_alone() -> None:
    assert near_misses(CLASSES, CLASSES) == {}
    assert near_misses(["person", "truck", "forklift", "train", "car"], CLASSES) == {}


def test_a_similar_name_counts_only_while_the_known_one_is_missing() -> None:
    assert near_misses(["flatjig", "flatjig2"], CLASSES) == {}
    assert near_misses(["flatjig2"], CLASSES) == {"flatjig2": "flatjig"}
    assert near_misses(["panel", "Panel"], CLASSES) == {"Panel": "panel"}


def test_stages_are_checked_the_same_way() -> None:
    assert near_misses(["Sub-assembly", "launch"], STAGES) == {"Sub-assembly": "sub_assembly"}
