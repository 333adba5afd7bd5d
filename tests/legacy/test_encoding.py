"""What is written for the old consumers is what the mapping reads."""

import json
from datetime import timedelta

import numpy as np
import pytest

from bays import batch_id
from inference.types import CameraObservation, DetectedObject, Observation
from legacy.decoding import Decoder
from legacy.encoding import Encoder, slot_text
from legacy.records import Problems

from .conftest import SLOT, key, merged


def observation(cameras=("C_4", "D_7"), slot=SLOT, size=(1920, 1080)):
    box = [100, 200, 300, 350]
    ring = [[100, 200], [300, 200], [300, 350]]
    found = (
        DetectedObject("block", 0.9, box, ring, "sub_assembly", 0.75),
        DetectedObject("grinder", 0.5, [10, 20, 40, 60]),
    )
    seen = tuple(CameraObservation(name, slot + timedelta(seconds=12), size, found) for name in cameras)
    return Observation(batch_id("yard", slot), "yard", seen, {"C_6": "timed out"})


LAYOUTS = [
    {},
    {"redis": {"key": "state", "field": "{batch_id}:{camera}", "expires_s": None}, "frame": {"camera": None}},
    {"redis": {"key": "state", "field": "{batch_id}", "expires_s": None}, "frame": {"frames": "result.images"}},
    {"object": {"polygon": "mask.outline", "stage_confidence": "stage.p", "stage": "stage.name"}},
    {"units": {"box": "xywh", "confidence": "percent", "time": "epoch_ms"}},
    {"units": {"box": "cxcywh", "pixels": "fraction", "time": "%Y/%m/%d %H:%M:%S"}},
    {"bays": {"yard": {"name": "old-yard", "cameras": {"north 4": "C_4"}, "frame_size": [960, 540]}}},
    {"names": {"classes": {"블록": "block", "그라인더": "grinder"}, "stages": {"소조립": "sub_assembly"}}},
    {"batch_id": {"form": "{time}@{bay}", "time": "%y%m%d%H%M%S", "time_zone": "America/New_York"}},
    {"time_zone": "America/New_York", "frame": {"published_at": "done_at"}},
    {"redis": {"key": "state:{camera}", "field": "{batch_id}", "expires_s": None}},
    {"units": {"time": "%Y-%m-%d %H:%M:%S%z"}},
]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("changes", LAYOUTS)
def test_it_is_read_back(make_mapping, bay, changes):
    mapping, problems = make_mapping(**changes), Problems()
    written = Encoder(mapping, bay).publication(observation())
    decoder = Decoder(mapping, {"yard": bay}, problems)
    batches = [batch for key, fields in written.hashes.items() for batch in decoder.hash(key, fields)]
    assert [one.what for one in problems] == []
    read = batches[0]
    for other in batches[1:]:
        read = read.joined(other)
    assert (read.bay_id, read.slot) == ("yard", SLOT)
    assert [frame.camera for frame in read.frames] == ["C_4", "D_7"]
    for frame in read.frames:
        assert frame.captured_at == SLOT + timedelta(seconds=12)
        block, grinder = frame.objects
        assert (block.class_name, block.stage, grinder.class_name) == ("block", "sub_assembly", "grinder")
        assert block.box == pytest.approx((100, 200, 300, 350), abs=0.05)
        assert (block.confidence, grinder.confidence) == pytest.approx((0.9, 0.5), abs=1e-3)
        if mapping.object.polygon is not None:
            assert np.allclose(block.polygon, [(100, 200), (300, 200), (300, 350)], atol=0.05)


def test_the_message_is_that_of_the_specification(make_mapping, bay):
    written = Encoder(make_mapping(), bay).publication(observation())
    assert json.loads(written.message) == {"batch_id": "yard_20250702-100000", "status": "completed", "count": 2}
    assert written.channel == "cctv_image_state_updates"
    assert (written.slot, slot_text(SLOT)) == ("20250702-010000", "20250702-010000")


def test_fields_that_only_consumers_know_are_filled(make_mapping, bay):
    constants = {"image.path": "/old/{bay}/{camera}/{time}.jpg"}
    changes = merged({"message": {"constants": {"source": "airflow"}}}, {"frame": {"constants": constants}})
    written = Encoder(make_mapping(**changes), bay).publication(observation())
    assert json.loads(written.hashes[key()]["C_4"])["image"] == {"path": "/old/yard/C_4/20250702-100000.jpg"}
    assert json.loads(written.message)["source"] == "airflow"


def test_a_batch_without_a_frame_is_a_message_all_the_same(make_mapping, bay):
    written = Encoder(make_mapping(), bay).publication(observation(cameras=()))
    assert (written.hashes, json.loads(written.message)["count"]) == ({}, 0)
