import json
import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bays import load_bay
from legacy.decoding import Decoder
from legacy.mapping import load_mapping
from legacy.records import Problems

from .conftest import SHIPPED, SLOT, block, detection, floor, floor_key, frame, key

INSIDE = {"type": "hash"}


def test_a_frame_is_read_in_our_names_units_and_zone(decode):
    (batch,), problems = decode(key(), {"C_4": frame()})
    assert (batch.bay_id, batch.slot, problems) == ("yard", SLOT, [])
    (read,) = batch.frames
    assert (read.camera, read.captured_at) == ("C_4", SLOT + timedelta(seconds=12))
    (found,) = read.objects
    assert (found.class_name, found.confidence, found.box, found.stage) == (
        "block",
        0.9,
        (100, 200, 300, 350),
        "sub_assembly",
    )


def test_a_floor_is_read(decode):
    (batch,), problems = decode(floor_key(), floor(block(), block("B-2", 40)))
    assert problems == []
    assert [(one.block_id, one.x, one.y) for one in batch.blocks] == [("B-1", 20, 10), ("B-2", 40, 10)]
    assert batch.frames is None


@pytest.mark.parametrize(
    ("units", "changes"),
    [
        ({"length": "mm"}, {"x": 20_000, "y": 10_000, "length": 8000, "width": 5000, "height": 3000}),
        ({"length": "cm"}, {"x": 2000, "y": "1000", "length": 800, "width": 500, "height": 300}),
        (
            {"length": "ft"},
            {
                name: value / 0.3048
                for name, value in (("x", 20), ("y", 10), ("length", 8), ("width", 5), ("height", 3))
            },
        ),
        ({"confidence": "percent"}, {"confidence": 80}),
        ({"angle": "rad"}, {"yaw": 0.0}),
    ],
)
def test_units_become_ours(decode, units, changes):
    (batch,), problems = decode(floor_key(), floor(block(**changes)), units=units)
    assert problems == []
    (read,) = batch.blocks
    assert (read.x, read.y, read.length, read.width, read.height, read.confidence) == pytest.approx(
        (20, 10, 8, 5, 3, 0.8)
    )


@pytest.mark.parametrize(
    ("frame_of_reference", "x", "y", "yaw", "wanted"),
    [
        ({}, 20, 10, 30, (20, 10, 30)),
        ({"origin_m": [0, 40], "across": "-y"}, 20, 10, 30, (20, 30, -30)),
        ({"origin_m": [150, 40], "along": "-x", "across": "-y"}, 20, 10, 30, (130, 30, -150)),
        ({"along": "+y", "across": "+x"}, 10, 20, 30, (20, 10, 60)),
        ({"origin_m": [100, 0]}, -80, 10, 0, (20, 10, 0)),
        ({"clockwise": True}, 20, 10, 30, (20, 10, -30)),
    ],
)
def test_the_old_floor_s_frame_of_reference_becomes_ours(decode, frame_of_reference, x, y, yaw, wanted):
    changes = {"bays": {"yard": {"floor": frame_of_reference}}}
    (batch,), problems = decode(floor_key(), floor(block(x=x, y=y, yaw=yaw)), **changes)
    assert problems == []
    (read,) = batch.blocks
    turned = math.radians(read.yaw - wanted[2])
    assert (read.x, read.y, math.cos(turned)) == pytest.approx((wanted[0], wanted[1], 1))


@pytest.mark.parametrize(
    ("units", "box"),
    [
        ({"box": "xywh"}, [100, 200, 200, 150]),
        ({"box": "cxcywh"}, [200, 275, 200, 150]),
        ({"pixels": "fraction"}, [100 / 1920, 200 / 1080, 300 / 1920, 350 / 1080]),
    ],
)
def test_boxes_become_corners_in_pixels(decode, units, box):
    (batch,), problems = decode(key(), {"C_4": frame(detections=[detection(bbox=box)])}, units=units)
    assert problems == []
    assert batch.frames[0].objects[0].box == pytest.approx((100, 200, 300, 350))


def test_boxes_of_frames_of_another_size_are_scaled(decode):
    changes = {"bays": {"yard": {"frame_size": [960, 540]}}, "object": {"polygon": "mask"}}
    found = detection(bbox=[50, 100, 150, 175], mask=[[50, 100], [150, 100], [150, 175]])
    (batch,), problems = decode(key(), {"C_4": frame(detections=[found])}, **changes)
    assert problems == []
    read = batch.frames[0].objects[0]
    assert read.box == pytest.approx((100, 200, 300, 350))
    assert read.polygon[2] == pytest.approx((300, 350))


@pytest.mark.parametrize(
    ("time", "form"),
    [
        ("2025-07-02T10:00:12", "iso"),
        ("2025-07-02T01:00:12+00:00", "iso"),
        ("2025-07-02T10:00:12+09:00", "iso"),
        (1751418012, "epoch_s"),
        ("1751418012000", "epoch_ms"),
        ("02.07.2025 10:00:12", "%d.%m.%Y %H:%M:%S"),
    ],
)
def test_times_become_utc(decode, time, form):
    (batch,), problems = decode(key(), {"C_4": frame(captured_at=time)}, units={"time": form})
    assert problems == []
    assert batch.frames[0].captured_at == SLOT + timedelta(seconds=12)


def test_old_names_become_ours(decode):
    record = frame(camera="north-4", detections=[detection(class_name="블록", stage="소조립")])
    names = {"classes": {"블록": "block"}, "stages": {"소조립": "sub_assembly"}}
    (batch,), problems = decode(key(), {"x": record}, names=names, bays={"yard": {"cameras": {"north-4": "C_4"}}})
    assert problems == []
    assert batch.frames[0].camera == "C_4"
    assert (batch.frames[0].objects[0].class_name, batch.frames[0].objects[0].stage) == ("block", "sub_assembly")


@pytest.mark.parametrize(
    "layout", ["a hash for every batch", "one hash, a field a batch", "one hash, a field a frame", "a list"]
)
def test_layouts_of_the_hash(decode, layout):
    whole = json.dumps({"images": [json.loads(frame()), json.loads(frame("D_7"))]})
    id_ = key().removeprefix("cctv_image_state:")
    flat = {"redis": {"key": "state", "expires_s": None}}
    name, fields, changes = {
        "a hash for every batch": (key(), {"C_4": frame(), "D_7": frame("D_7")}, {}),
        "one hash, a field a batch": (
            "state",
            {id_: whole},
            {"redis": {"key": "state", "field": "{batch_id}", "expires_s": None}, "frame": {"frames": "images"}},
        ),
        "one hash, a field a frame": (
            "state",
            {f"{id_}:C_4": frame(camera_name="?"), f"{id_}:D_7": frame()},
            {"redis": {**flat["redis"], "field": "{batch_id}:{camera}"}, "frame": {"camera": None}},
        ),
        "a list": (key(), {"all": whole}, {"redis": {"field": "all"}, "frame": {"frames": "images"}}),
    }[layout]
    batches, problems = decode(name, fields, **changes)
    assert problems == []
    joined = batches[0]
    for other in batches[1:]:
        joined = joined.joined(other)
    assert [one.camera for one in joined.frames] == ["C_4", "D_7"]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"C_4": b"\x80\x04\x95\xff"}, "not UTF-8"),
        ({"C_4": "not json"}, "no JSON"),
        ({"C_4": "[" * 100_000}, "no JSON"),
        ({"C_4": "x" * (17 * 2**20)}, "more than 16 MB"),
        ({"C_4": "7"}, "frame.camera: there is no camera_name"),
        ({"C_4": frame(camera="C_99")}, "camera C_99 is none of the bay's"),
        ({"C_4": frame(captured_at="yesterday")}, "no time that units.time"),
        ({"C_4": frame(captured_at=True)}, "bool where units.time"),
        ({"C_4": frame(captured_at="1970-01-02T00:00:00")}, "the year 1970"),
        (
            {"C_4": json.dumps({"camera_name": "C_4", "captured_at": "2025-07-02T10:00:00"})},
            "frame.objects: there is no",
        ),
        ({"C_4": frame(detections=7)}, "int where a list is wanted"),
        ({"C_4": frame(detections=[7])}, "object.box: there is no bbox"),
        ({"C_4": frame(detections=[detection(bbox=[1, 2, 3])])}, "four numbers"),
        ({"C_4": frame(detections=[detection(bbox=[1, 2, "x", 4])])}, "no number"),
        ({"C_4": frame(detections=[detection(bbox=[1, 2, True, 4])])}, "bool where a number"),
        (
            {"C_4": '{"camera_name":"C_4","captured_at":"2025-07-02","detections":[{"bbox":[1,2,NaN,4]}]}'},
            "not a finite",
        ),
        ({"C_4": frame(detections=[detection(bbox=[300, 200, 100, 350])])}, "no extent"),
        ({"C_4": frame(detections=[detection(bbox=[100, 200, 9000, 350])])}, "leaves the frame"),
        ({"C_4": frame(detections=[detection(bbox=[0.1, 0.2, 0.3, 0.4])])}, "a fraction?"),
        ({"C_4": frame(detections=[detection(confidence=90)])}, "is units.confidence right?"),
        ({"C_4": frame(detections=[detection(class_name="ship")])}, "'ship' is none of ours"),
        ({"C_4": frame(detections=[detection(stage="ready")])}, "'ready' is none of the bay's"),
        ({"C_4": frame(detections=[detection(stage=3)])}, "int where a text"),
    ],
)
def test_a_frame_that_does_not_fit_is_named_with_the_remedy(decode, fields, said):
    _, problems = decode(key(), fields)
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": 20_000}, "beside the floor"),
        ({"x": None}, "floor.block.x: there is no x"),
        ({"length": 0}, "more than 0"),
        ({"length": 8000}, "is units.length right?"),
        ({"height": 3000}, "is units.length right?"),
        ({"height": -1}, "0 to 60"),
        ({"block_id": True}, "bool where a text or a whole number"),
        ({"block_id": ""}, "floor.block.id: there is no"),
        ({"yaw": "north"}, "no number"),
        ({"class_name": "ship"}, "'ship' is none of ours"),
    ],
)
def test_a_block_that_does_not_fit_is_left_out_alone(decode, changes, said):
    (batch,), problems = decode(floor_key(), floor(block(**changes), block("B-2", 40)))
    assert [one.block_id for one in batch.blocks] == ["B-2"]
    assert len(problems) == 1
    assert said in problems[0]


def test_of_two_blocks_with_one_id_the_first_counts(decode):
    (batch,), problems = decode(floor_key(), floor(block(), block(x=60)))
    assert [one.x for one in batch.blocks] == [20]
    assert "the same; the first one counts" in problems[0]


def test_a_key_of_another_bay_or_time_is_named(decode):
    for name in ("cctv_image_state:9bay_20250702-100000", "cctv_image_state:yard_20251399-100000"):
        batches, problems = decode(name, {"C_4": frame()})
        assert batches == []
        assert "names no batch of a bay" in problems[0]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["camera_name", "bbox", "blocks", "x"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.slow(0.7)
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["C_4", "blocks", "", "\udc80"]), PLAIN | st.binary(max_size=20), max_size=3))
def test_whatever_a_hash_holds_is_read_or_named(fields):
    mapping = load_mapping(SHIPPED)
    problems = Problems()
    decoder = Decoder(mapping, {"3bay_north": load_bay("3bay_north")}, problems)
    found = list(decoder.document("here", "3bay_north_20250702-100000", fields))
    for name in ("cctv_image_state:3bay_north_20250702-100000", "bay_floor_state:3bay_north_20250702-100000"):
        found += decoder.hash(name, fields)
    assert {batch.slot for batch in found} <= {SLOT}
    blocks = [block for batch in found for block in batch.blocks or ()]
    assert all(math.isfinite(value) for one in blocks for value in (one.x, one.y, one.length, one.width, one.height))
    assert all(problem.what and problem.count >= 1 for problem in problems)
