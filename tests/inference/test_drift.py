"""What one camera shows and the others do not; from numbers that are drawn, so that the truth is known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bay_observation.errors import NotObservedError
from bays import batch_id
from inference.drift import LEAST_REFERENCE, MEASURES, WINDOW, Reference, readings, usual_confidences
from inference.frame_look import FrameLook
from inference.types import CameraObservation, DetectedObject, Observation

BEGIN = datetime(2025, 7, 1, tzinfo=UTC)
CAMERAS = [f"C_{number}" for number in range(12)]
PAINT = np.arange(12, dtype=np.float16)


def thing(confidence: float, stage_confidence: float = 0.9, paint: np.ndarray = PAINT) -> DetectedObject:
    box = np.array([0, 0, 9, 9], np.float32)
    return DetectedObject("block", confidence, box, None, "unit_assembly", stage_confidence, paint)


def week(slots: int = 100, seed: int = 0, begin: datetime = BEGIN, bay_id: str = "demo_bay") -> list[Observation]:
    """Slots whose light follows the time of day, in all cameras alike, with noise of each."""
    rng = np.random.default_rng(seed)
    seen = []
    for number in range(slots):
        slot = begin + number * timedelta(hours=1)
        day = 15 * np.sin(2 * np.pi * slot.hour / 24)
        cameras = []
        for place, name in enumerate(CAMERAS):
            look = FrameLook(50 + place + day + rng.normal(0, 0.5), 0.0, 1.0, 20.0, -1.2 + rng.normal(0, 0.02))
            objects = tuple(thing(float(np.clip(rng.normal(0.85, 0.02), 0, 1))) for _ in range(4))
            cameras.append(CameraObservation(name, slot, (960, 540), objects, look.to_array()))
        seen.append(Observation(batch_id(bay_id, slot), bay_id, tuple(cameras)))
    return seen


def changed(seen: list[Observation], camera: str, **look: float) -> list[Observation]:
    """The slots with some numbers added to one camera's look."""

    def of(one: CameraObservation) -> CameraObservation:
        if one.camera_name != camera:
            return one
        before = FrameLook.from_array(one.look)
        return replace(one, look=replace(before, **{k: getattr(before, k) + v for k, v in look.items()}).to_array())

    return [replace(slot, cameras=tuple(map(of, slot.cameras))) for slot in seen]


def named(found) -> list[str]:
    return [camera.camera_name for camera in found if camera.drifted]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(week())


@pytest.mark.slow(2)
def test_another_week_of_the_same_kind_is_healthy(reference: Reference) -> None:
    other = week(seed=1)
    for end in range(1, len(other) + 1):
        assert named(reference.compare(other[max(0, end - WINDOW) : end])) == []


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("measure", ["lightness", "red", "yellow", "contrast", "sharpness"])
def test_a_camera_that_looks_otherwise_is_named_with_what_changed(
    reference: Reference, measure: str, sign: int
) -> None:
    least = sign * MEASURES[measure]
    found = reference.compare(changed(week(24, seed=2)[12:], "C_7", **{measure: 1.3 * least}))
    assert named(found) == ["C_7"]
    assert found[0].measures[0].measure == measure
    assert found[0].measures[0].off == pytest.approx(1.3 * least, abs=0.2 * abs(least))
    assert measure in found[0].reason
    assert named(reference.compare(changed(week(24, seed=2)[12:], "C_7", **{measure: 0.7 * least}))) == []


@pytest.mark.slow(0.6)
def test_few_slots_are_held_against_runs_of_as_few() -> None:
    """The light of one camera flickers: the median of few slots goes farther than that of many."""
    rng = np.random.default_rng(3)
    seen = [changed([slot], "C_0", lightness=rng.normal(0, 12))[0] for slot in week()]
    reference = Reference(seen)
    few, many = (
        next(measure.limit for measure in camera.measures if measure.measure == "lightness")
        for slots in (WINDOW // 2, WINDOW)
        for camera in reference.compare(seen[:slots])
        if camera.camera_name == "C_0"
    )
    assert few > 1.2 * many


def test_one_badly_seen_block_is_no_other_stage_classifier(reference: Reference) -> None:
    """Of the blocks before a camera all but one are seen well."""
    other = [
        replace(
            slot,
            cameras=tuple(replace(one, objects=(thing(0.85), thing(0.85, 0.3))) for one in slot.cameras[:1])
            + slot.cameras[1:],
        )
        for slot in week(WINDOW, seed=2)
    ]
    assert named(reference.compare(other)) == []
    less_sure = [
        replace(
            slot,
            cameras=tuple(replace(one, objects=(thing(0.85, 0.7),) * 2) for one in slot.cameras[:1]) + slot.cameras[1:],
        )
        for slot in week(WINDOW, seed=2)
    ]
    assert named(reference.compare(less_sure)) == ["C_0"]


def test_most_of_the_window_must_show_it(reference: Reference) -> None:
    slots = week(24, seed=3)[12:]
    few = slots[:-4] + changed(slots[-4:], "C_7", lightness=-20)
    most = slots[:-8] + changed(slots[-8:], "C_7", lightness=-20)
    assert named(reference.compare(few)) == []
    assert named(reference.compare(most)) == ["C_7"]


def test_what_all_cameras_show_is_no_drift_of_one(reference: Reference) -> None:
    slots = week(24, seed=4)[12:]
    for name in CAMERAS:
        slots = changed(slots, name, lightness=-20)
    assert named(reference.compare(slots)) == []


def test_models_that_became_less_sure(reference: Reference) -> None:
    slots = [
        replace(
            slot,
            cameras=tuple(
                replace(c, objects=tuple(thing(0.6) for _ in c.objects)) if c.camera_name == "C_3" else c
                for c in slot.cameras
            ),
        )
        for slot in week(24, seed=5)[12:]
    ]
    found = reference.compare(slots)
    assert named(found) == ["C_3"]
    assert found[0].measures[0].measure == "confidence"
    block = next(one for one in found[0].classes if one.class_name == "block")
    assert (block.count, block.usual_count, block.confidence) == pytest.approx((4, 4, 0.6))
    assert block.usual_confidence == pytest.approx(0.85, abs=0.01)


@pytest.mark.slow(0.5)
def test_other_things_in_a_frame_are_no_other_models() -> None:
    """A class that is hard to see comes in place of one that is not."""
    hard = replace(thing(0.5), class_name="pipe", stage=None, stage_confidence=None)

    def with_pipes(seen: list[Observation], camera: str, pipes: int) -> list[Observation]:
        objects = (*(thing(0.85) for _ in range(4 - pipes)), *(hard for _ in range(pipes)))
        return [
            replace(
                slot,
                cameras=tuple(replace(c, objects=objects) if c.camera_name == camera else c for c in slot.cameras),
            )
            for slot in seen
        ]

    usual = Reference(with_pipes(week(), "C_1", 2))
    assert named(usual.compare(with_pipes(week(12, seed=8), "C_3", 4))) == []


def test_second_boxes_and_half_hidden_objects_are_no_other_models(reference: Reference) -> None:
    """They are hardly seen, come and go as things are moved, and may be more than the others."""
    weak = tuple(thing(0.3) for _ in range(9))
    slots = [
        replace(
            slot,
            cameras=tuple(
                replace(c, objects=(*c.objects, *weak)) if c.camera_name == "C_3" else c for c in slot.cameras
            ),
        )
        for slot in week(24, seed=7)[12:]
    ]
    assert [m.measure for one in reference.compare(slots) for m in one.measures if m.ratio > 1] == []


def test_the_paint_of_a_class_is_compared(reference: Reference) -> None:
    redder = PAINT + np.array([0, 3, 4] * 4, np.float16)
    slots = [
        replace(
            slot,
            cameras=tuple(replace(c, objects=(thing(0.85, paint=redder),)) for c in slot.cameras),
        )
        for slot in week(12, seed=6)
    ]
    block = next(one for one in reference.compare(slots)[0].classes if one.class_name == "block")
    assert block.paint == pytest.approx(5.0, abs=0.01)  # root of 3 squared and 4 squared


def test_artifacts_of_earlier_versions_have_no_look() -> None:
    [seen] = week(1)
    values = readings(replace(seen.cameras[0], look=None), usual_confidences([seen]))
    assert np.isnan(values[:5]).all()
    assert np.isfinite(values[5:]).all()
    old = [replace(slot, cameras=tuple(replace(c, look=None) for c in slot.cameras)) for slot in week(60)]
    assert named(Reference(old).compare(old[-WINDOW:])) == []


def test_a_camera_that_gave_no_frames_is_not_judged(reference: Reference) -> None:
    slots = [replace(slot, cameras=slot.cameras[1:]) for slot in week(12, seed=7)]
    found = {camera.camera_name: camera for camera in reference.compare(slots)}
    assert found["C_0"].measures == ()
    assert not found["C_0"].drifted


def test_too_little_to_say_is_said() -> None:
    with pytest.raises(NotObservedError, match=f"at least {LEAST_REFERENCE} are needed"):
        Reference(week(LEAST_REFERENCE - 1))
    with pytest.raises(NotObservedError, match="no slot of that time"):
        Reference(week(LEAST_REFERENCE)).compare([])


def standing(seen: list[Observation], camera: str, thing: str, share: float, paint: np.ndarray) -> list[Observation]:
    """The slots with one more thing in a camera's frames: as an object, and in the colours of its look."""
    outline = np.array([[0, 0], [960 * share, 0], [960 * share, 540], [0, 540]], np.float32)
    known = {} if thing == "crane" else {"stage": "grand_assembly", "stage_confidence": 0.9, "descriptor": paint}
    one = DetectedObject(thing, 0.85, np.array([0, 0, 960 * share, 540], np.float32), outline, **known)
    slots = [
        replace(
            slot,
            cameras=tuple(
                replace(c, objects=(*c.objects, one)) if c.camera_name == camera else c for c in slot.cameras
            ),
        )
        for slot in seen
    ]
    # What it covers is no longer 0 red and 1 yellow, as the frames of `week` are.
    return changed(slots, camera, red=share * float(paint[1]), yellow=share * (float(paint[2]) - 1))


def test_a_block_with_primer_before_a_camera_is_no_change_of_the_camera(reference: Reference) -> None:
    primer = np.array([35, 30, 22] * 4, np.float16)
    slots = standing(week(24, seed=9)[12:], "C_4", "block", 0.4, primer)
    assert named(reference.compare(slots)) == []
    found = reference.compare(changed(slots, "C_4", red=3.0))  # 5 of all that is not the block
    assert named(found) == ["C_4"]
    assert found[0].measures[0].measure == "red"
    assert found[0].measures[0].off == pytest.approx(5, abs=0.3)


@pytest.mark.slow(0.6)
def test_a_crane_that_parks_elsewhere_is_no_change_of_the_camera() -> None:
    """Two slots of three it stood before one camera, in the week that follows before another."""
    paint = np.array([60, 2, 25] * 4, np.float16)

    def crane_before(seen: list[Observation], camera: str) -> list[Observation]:
        return [
            standing([slot], camera, "crane", 0.4, paint)[0] if number % 3 else slot for number, slot in enumerate(seen)
        ]

    usual = Reference(crane_before(week(), "C_1"))
    slots = crane_before(week(12, seed=10), "C_8")
    assert named(usual.compare(slots)) == []
    assert named(usual.compare(changed(slots, "C_8", yellow=-6.0))) == ["C_8"]
    assert named(usual.compare(changed(slots, "C_1", yellow=-6.0))) == ["C_1"]
    assert all(one.ratio < 0.5 for one in usual.compare(slots))


def test_a_camera_full_of_blocks_is_judged_by_the_rest_of_its_measures(reference: Reference) -> None:
    slots = standing(week(24, seed=11)[12:], "C_4", "block", 0.9, PAINT)
    found = next(one for one in reference.compare(slots) if one.camera_name == "C_4")
    assert {one.measure for one in found.measures} == {
        "lightness",
        "contrast",
        "sharpness",
        "confidence",
        "stage_confidence",
    }
