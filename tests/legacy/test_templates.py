from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legacy.mapping import load_mapping
from legacy.templates import OldNames

from .conftest import SHIPPED


def names(**batch):
    mapping = load_mapping(SHIPPED)
    bays = {"3bay_north": mapping.bays["3bay_north"], "3bay": mapping.bays["3bay_north"]}
    name = mapping.batch_id.model_copy(update=batch)
    return OldNames(mapping.model_copy(update={"bays": bays, "batch_id": name}))


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)), st.sampled_from(["3bay_north", "3bay"]))
def test_a_batch_id_is_read_back(moment, bay_id):
    slot = moment.replace(tzinfo=UTC, microsecond=0)
    old = names()
    assert old.slot({"batch_id": old.batch_id(bay_id, slot)}) == (bay_id, slot)


def test_the_old_clock_is_not_ours():
    slot = datetime(2025, 7, 2, 16, 10, tzinfo=UTC)
    assert names().batch_id("3bay_north", slot) == "3bay_north_20250703-011000"
    assert names(time_zone="UTC").batch_id("3bay_north", slot) == "3bay_north_20250702-161000"


@pytest.mark.parametrize(
    "text", ["", "3bay_north", "4bay_20250702-161000", "3bay_north_20251302-161000", "3bay_north_x"]
)
def test_what_names_no_batch_is_none(text):
    assert names().slot({"batch_id": text}) is None


def test_keys_with_regular_expression_characters_are_texts():
    pattern = names().pattern("state.*:{bay}[{time}]:{camera}")
    match = pattern.fullmatch("state.*:3bay[20250702-161000]:C_4")
    assert match.groupdict() == {"bay": "3bay", "time": "20250702-161000", "camera": "C_4"}
    assert pattern.fullmatch("stateXX:3bay[20250702-161000]:C_4") is None


def test_a_template_is_filled():
    slot = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
    filled = names().fill("/old/{bay}/{camera}/{time}.jpg {batch_id}", "3bay", slot, "C_4")
    assert filled == "/old/3bay/C_4/20250702-161000.jpg 3bay_20250702-161000"
