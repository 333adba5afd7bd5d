"""Floor marks are kept as they look, found again in other light, and say by how much a camera was turned."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bay_observation.errors import CalibrationError, ConfigError
from bays.camera_model import CameraModel
from bays.loading import witnesses_file
from fusion.pose_check import PoseCheck, PoseVerdict
from fusion.witness_check import check_witnesses, with_witnesses
from fusion.witnesses import PATCH_PX, KeptMark, keep_marks, likeness, read_witnesses, write_witnesses
from lab.evaluation.pose_check import turned

pytestmark = pytest.mark.slow(0.5)

NAMES = ("C_4", "D_4")


@pytest.fixture
def bay(make_bay):
    """Cameras C_4 and D_4 only, and marks that both see."""
    marks = {f"M{n}": {"x": x, "y": y} for n, (x, y) in enumerate([(26, 16), (32, 21), (38, 17), (42, 22), (29, 24)])}
    whole = make_bay(witnesses=marks)
    return whole.model_copy(update={"cameras": tuple(whole.camera(name) for name in NAMES)})


def picture(bay, camera, hidden=(), light=(1.0, 0.0), seed=0, twins=()):
    """A frame in which each mark is a spot of noise of its own, with another like it at (down, right) of `twins`."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(120, 4, (1080, 1920)), 2) + rng.normal(0, 1, (1080, 1920))
    model = CameraModel.of(camera)
    for number, (name, mark) in enumerate(bay.witnesses.items()):
        u, v = (round(value) for value in model.project((mark.x, mark.y, mark.z))[0])
        spot = gaussian_filter(np.random.default_rng([7, number]).normal(0, 120, (61, 61)), 2.5)
        if name not in hidden and 31 <= u < 1889 and 31 <= v < 1049:
            for down, right in [(0, 0), *twins[number : number + 1]]:
                image[v + down - 30 : v + down + 31, u + right - 30 : u + right + 31] += spot
    return np.clip(image * light[0] + light[1], 0, 255).astype(np.float32)


@pytest.fixture
def kept(bay):
    return {name: keep_marks(bay, bay.camera(name), [picture(bay, bay.camera(name))])[0] for name in NAMES}


def judged(bay, kept, frames):
    return {check.camera: check for check in check_witnesses(bay, kept, frames)}


def best(mark, image):
    """The pixel most like the mark, and whether anything is much like it."""
    found = likeness(mark, image, 100)
    peaks = found.peaks(0.6, 1)
    return None if not len(peaks) else peaks[0]


def test_a_mark_is_found_where_it_moved_to_in_other_light(bay, kept):
    mark = kept["C_4"][0]
    later = np.roll(picture(bay, bay.camera("C_4"), light=(0.6, 40.0), seed=5), (-17, 33), axis=(0, 1))
    assert best(mark, later) == pytest.approx((mark.pixel[0] + 33, mark.pixel[1] - 17), abs=0.4)


def test_a_mark_that_is_hidden_is_not_found(bay, kept):
    mark = kept["C_4"][0]
    assert best(mark, picture(bay, bay.camera("C_4"), hidden=[mark.name])) is None
    assert best(mark, np.zeros((1080, 1920), np.float32)) is None


def test_where_nothing_shows_there_is_no_mark(bay):
    camera = bay.camera("C_4")
    kept, refused = keep_marks(bay, camera, [np.full((1080, 1920), 90, np.float32)])
    assert kept == []
    assert "nothing shows there" in " ".join(refused.values())


def with_a_cart(image, mark, seed):
    """What stands on the mark hides it."""
    u, v = (round(value) for value in mark.pixel)
    cart = gaussian_filter(np.random.default_rng(seed).normal(0, 120, (73, 73)), 2.5)
    image[v - 36 : v + 37, u - 36 : u + 37] = 120 + cart
    return image


def test_what_stood_on_a_mark_in_a_few_frames_is_not_kept(bay, kept):
    camera, mark = bay.camera("C_4"), kept["C_4"][0]
    frames = [picture(bay, camera, seed=seed, light=(1 - seed / 10, 0)) for seed in range(5)]
    with_a_cart(frames[0], mark, 20)
    with_a_cart(frames[4], mark, 21)
    again = next(one for one in keep_marks(bay, camera, frames)[0] if one.name == mark.name)
    assert best(again, picture(bay, camera, seed=5)) == pytest.approx(mark.pixel, abs=0.4)


def test_a_mark_that_looks_otherwise_in_each_frame_is_not_kept(bay, kept):
    camera, (mark, *others) = bay.camera("C_4"), kept["C_4"]
    found, refused = keep_marks(bay, camera, [picture(bay, camera), with_a_cart(picture(bay, camera), mark, 20)])
    assert [one.name for one in found] == [one.name for one in others]
    assert refused == {mark.name: "it looks otherwise in each frame: does something stand or move there?"}


@pytest.mark.parametrize(("angle", "verdict"), [(0.0, PoseVerdict.OK), (1.5, PoseVerdict.OUT_OF_POSE)])
def test_marks_that_look_like_places_near_them_decide_together(bay, angle, verdict):
    """Each mark has a twin near it, so that none alone says where it is."""
    camera = bay.camera("C_4")
    moved = turned(camera, np.array([0.6, 0.8, 0.0]) * angle)

    def check(twins):
        kept = {"C_4": keep_marks(bay, camera, [picture(bay, camera, twins=twins)])[0]}
        return judged(bay, kept, {"C_4": [picture(bay, moved, seed=3, twins=twins)]})["C_4"]

    assert check([(0, 80), (80, 0), (-80, 10), (20, -80), (70, 70)]).verdict is verdict
    # Where all twins lie alike, another turn explains them as well.
    assert check([(0, 80)] * 5).verdict is PoseVerdict.UNDECIDED


@pytest.mark.parametrize("angle", [0.5, 1.5, 4.0])
def test_a_turned_camera_is_told_and_the_other_is_not(bay, kept, angle):
    moved = turned(bay.camera("C_4"), np.array([0.6, 0.8, 0.0]) * angle)
    frames = {"C_4": [picture(bay, moved, seed=3)], "D_4": [picture(bay, bay.camera("D_4"), seed=4)]}
    checks = judged(bay, kept, frames)
    assert checks["C_4"].verdict is PoseVerdict.OUT_OF_POSE
    assert checks["C_4"].angle_deg == pytest.approx(angle, abs=0.1)
    assert checks["C_4"].marks >= 3
    assert checks["D_4"].verdict is PoseVerdict.OK


def test_hidden_marks_have_no_say(bay, kept):
    hidden = [mark.name for mark in kept["C_4"][:1]]
    check = judged(bay, kept, {"C_4": [picture(bay, bay.camera("C_4"), hidden)]})["C_4"]
    assert (check.verdict, check.marks) == (PoseVerdict.OK, len(kept["C_4"]) - 1)


def test_older_frames_are_looked_at_where_the_newest_do_not_decide(bay, kept):
    camera, marks = bay.camera("C_4"), [mark.name for mark in kept["C_4"]]
    hiding = [picture(bay, camera, marks[1:], seed=seed) for seed in range(3)]
    assert judged(bay, kept, {"C_4": hiding})["C_4"].verdict is PoseVerdict.UNDECIDED
    assert judged(bay, kept, {"C_4": [picture(bay, camera, seed=3), *hiding]})["C_4"].verdict is PoseVerdict.OK


def test_the_newest_frames_decide_of_a_camera_that_was_just_knocked(bay, kept):
    camera = bay.camera("C_4")
    moved = turned(camera, np.array([1.0, 1.0, 0.0]))
    frames = [picture(bay, one, seed=seed) for seed, one in enumerate([camera] * 4 + [moved] * 3)]
    assert judged(bay, kept, {"C_4": frames})["C_4"].verdict is PoseVerdict.OUT_OF_POSE


def test_it_says_why_it_cannot_tell(bay, kept):
    hidden = [mark.name for mark in kept["C_4"][:-2]]
    checks = judged(bay, kept, {"C_4": [picture(bay, bay.camera("C_4"), hidden)]})
    assert checks["C_4"].verdict is PoseVerdict.UNDECIDED
    assert "too few to rule out chance or another turn" in checks["C_4"].reason
    assert checks["D_4"].reason == "no frame of it in these batches"
    assert "0 witnesses of it are kept" in judged(bay, {}, {})["D_4"].reason


def test_marks_decide_before_blocks_and_blocks_where_marks_do_not():
    def check(verdict, reason="", marks=0):
        return PoseCheck("C_4", verdict, reason, marks=marks)

    ok, out, unknown = PoseVerdict.OK, PoseVerdict.OUT_OF_POSE, PoseVerdict.UNDECIDED
    assert with_witnesses([check(out)], [check(ok)])[0].verdict is ok
    assert with_witnesses([check(out)], [check(unknown)])[0].verdict is out
    assert with_witnesses([], [check(unknown)])[0].verdict is unknown
    assert (
        with_witnesses([check(unknown, "no blocks")], [check(unknown, "no marks")])[0].reason == "no blocks; no marks"
    )


def test_marks_are_read_as_they_were_written(bay, kept):
    write_witnesses(bay.bay_id, [*kept["C_4"], *kept["D_4"]])
    patch = np.full((PATCH_PX, PATCH_PX), 7, np.uint8)
    write_witnesses(bay.bay_id, [KeptMark("D_4", "M1", (40.0, 50.0), patch)])  # those of C_4 stay
    read = read_witnesses(bay.bay_id)
    assert [mark.name for mark in read["C_4"]] == [mark.name for mark in kept["C_4"]]
    assert (read["C_4"][0].patch == kept["C_4"][0].patch).all()
    assert [(mark.name, mark.pixel) for mark in read["D_4"]] == [("M1", (40.0, 50.0))]


def test_a_file_that_is_missing_or_damaged_is_named(bay):
    path = witnesses_file(bay.bay_id)
    with pytest.raises(ConfigError, match="keep-witnesses yard"):
        read_witnesses(bay.bay_id)
    for content in (b"", b"PK\x03\x04 broken", b"\x80\x04."):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"witnesses\.npz: cannot be read"):
            read_witnesses(bay.bay_id)
    np.savez(path, cameras=["C_4"], names=["M1"], pixels=np.zeros((2, 2)), patches=np.zeros((1, 3, 3), np.uint8))
    with pytest.raises(ConfigError, match="do not belong together"):
        read_witnesses(bay.bay_id)


def test_a_frame_of_another_size_is_refused(bay):
    with pytest.raises(CalibrationError, match="the frame of C_4 is 640 x 360"):
        keep_marks(bay, bay.camera("C_4"), [np.zeros((360, 640), np.float32)])


def test_the_commands_keep_and_judge(bay, store, tmp_path, capsys, monkeypatch):
    """From frames in a folder to a verdict on a capture in the store, no block anywhere."""
    from datetime import UTC, datetime

    import cv2

    from bays import batch_id
    from capture_async.types import CaptureBatch, CapturedImage
    from fusion import __main__ as command

    monkeypatch.setattr(command, "load_bay", lambda _: bay)

    def jpeg(camera, seed):
        return cv2.imencode(".jpg", picture(bay, camera, seed=seed).astype(np.uint8))[1].tobytes()

    for name in NAMES:
        (tmp_path / f"yard_{name}_20250702010000.jpg").write_bytes(jpeg(bay.camera(name), 1))
    assert command.main(["check-poses", "yard"]) == 3  # nothing in the store yet
    assert command.main(["keep-witnesses", "yard", "--frames", str(tmp_path)]) == 0
    kept = witnesses_file(bay.bay_id).read_bytes()
    capsys.readouterr()
    dark = cv2.imencode(".jpg", np.zeros((1080, 1920, 3), np.uint8))[1].tobytes()
    (tmp_path / "yard_C_4_20250702020001.jpg").write_bytes(dark)
    both = ["--camera", "C_4", "--camera", "D_4"]
    assert command.main(["keep-witnesses", "yard", "--frames", str(tmp_path), *both]) == 1
    assert "not written: C_4: fewer than 3 witnesses show" in (said := capsys.readouterr().err)
    assert said.endswith("or keep those of the others: --camera D_4\n")
    assert witnesses_file(bay.bay_id).read_bytes() == kept
    slot = datetime(2025, 7, 2, 1, 10, tzinfo=UTC)
    moved = {"C_4": turned(bay.camera("C_4"), np.array([0.0, 1.5, 0.0])), "D_4": bay.camera("D_4")}
    images = tuple(CapturedImage(name, "yard", slot, jpeg(camera, 2)) for name, camera in moved.items())
    batch = batch_id("yard", slot)
    store.save("capture", "yard", batch, CaptureBatch(batch, "yard", images))
    capsys.readouterr()
    assert command.main(["check-poses", "yard", "--json"]) == 1
    verdicts = {c["camera"]: c["verdict"] for c in json.loads(capsys.readouterr().out)["cameras"]}
    assert verdicts == {"C_4": "out of pose", "D_4": "ok"}
