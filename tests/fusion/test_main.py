"""The commands: what they print, what they write, how they end."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bays import batch_id, load_bay
from bays.__main__ import main as bays_main
from bays.camera_model import CameraModel
from bays.kept import kept_by_another_pose
from capture_async.types import CaptureBatch, CapturedImage
from fusion.__main__ import main
from fusion.witnesses import PATCH_PX, KeptMark, write_witnesses

SLOT = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def knocked_pose(make_bay, demo_bay):
    """A bay `yard` whose file has camera C_4 three degrees off, and D_2 without pose and intrinsics."""
    cameras = [json.loads(camera.model_dump_json()) for camera in demo_bay.cameras]
    cameras[1]["pose"]["pan"] += 3
    cameras[6] |= {"pose": None, "intrinsics": None, "fusion": False}
    return make_bay(cameras=cameras)


@pytest.mark.slow(1)
def test_calibrate_writes_the_file(points, knocked_pose, demo_bay, capsys):
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(points)]) == 0
    text = capsys.readouterr().out
    assert "yard.yaml: written" in text
    assert "reprojection 0.0" in text
    assert "P7" in text
    calibrated, true = load_bay("yard").camera("C_4"), demo_bay.camera("C_4")
    assert calibrated.pose.pan == pytest.approx(true.pose.pan, abs=0.05)
    assert calibrated.pose.x == pytest.approx(true.pose.x, abs=0.05)
    others = [camera for camera in load_bay("yard").cameras if camera.name != "C_4"]
    assert others == [camera for camera in knocked_pose.cameras if camera.name != "C_4"]


@pytest.mark.slow(1)
def test_a_dry_run_prints_the_change_and_writes_nothing(points, knocked_pose, bays_folder, capsys):
    before = (bays_folder / "yard.yaml").read_bytes()
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(points), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert any('"pan": 184.5' in line for line in text.splitlines() if line.startswith("-"))
    assert "not written (--dry-run)" in text
    assert (bays_folder / "yard.yaml").read_bytes() == before


@pytest.fixture
def wrong_points(points, tmp_path):
    """Six of the points, two of them clicked 75 pixels off."""
    rows = points.read_text().splitlines()[:7]
    for row, (du, dv) in ((2, (75, 10)), (5, (-20, 70))):
        name, u, v, *place = rows[row].split(",")
        rows[row] = ",".join([name, str(float(u) + du), str(float(v) + dv), *place])
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.slow(2)
def test_what_cannot_be_told_is_not_written_without_force(wrong_points, knocked_pose, bays_folder, capsys):
    before = (bays_folder / "yard.yaml").read_bytes()
    command = ["calibrate", "yard", "--camera", "C_4", "--points", str(wrong_points)]
    assert main(command) == 3
    assert (bays_folder / "yard.yaml").read_bytes() == before
    said = capsys.readouterr().err
    assert any(words in said for words in ("it cannot be told", "points agree", "two poses"))


@pytest.mark.slow(2)
def test_points_of_another_camera_are_not_written_without_force(points, knocked_pose, bays_folder, capsys):
    before = (bays_folder / "yard.yaml").read_bytes()
    command = ["calibrate", "yard", "--camera", "D_4", "--points", str(points)]
    assert main(command) == 3
    assert "are these the points of C_4?" in capsys.readouterr().err
    assert (bays_folder / "yard.yaml").read_bytes() == before
    assert main([*command, "--force"]) == 0


@pytest.mark.slow(2)
def test_limits_can_be_passed_over_by_force(points, knocked_pose, bays_folder, capsys):
    few = points.with_name("few.csv")
    few.write_text("\n".join(points.read_text().splitlines()[:5]) + "\n")
    before = (bays_folder / "yard.yaml").read_bytes()
    command = ["calibrate", "yard", "--camera", "C_4", "--points", str(few)]
    assert main(command) == 3
    told = capsys.readouterr()
    assert "DOUBT: 4 points agree: too few to be sure of it" in told.out
    assert "write it all the same with --force" in told.err
    assert (bays_folder / "yard.yaml").read_bytes() == before
    assert main([*command, "--force"]) == 0
    assert (bays_folder / "yard.yaml").read_bytes() != before


def _frame(path, size):
    import cv2

    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    return str(path)


@pytest.mark.slow(3)
def test_the_size_comes_from_the_frame(points, knocked_pose, demo_bay, tmp_path, capsys):
    """The points as they show in an image of 1280 x 720."""
    rows = [row.split(",") for row in points.read_text().splitlines()]
    small = points.with_name("small.csv")
    scaled = [[row[0], str(float(row[1]) * 2 / 3), str(float(row[2]) * 2 / 3), *row[3:]] for row in rows[1:]]
    small.write_text("\n".join(",".join(row) for row in [rows[0], *scaled]) + "\n")
    command = ["calibrate", "yard", "--points", str(small), "--frame", _frame(tmp_path / "frame.png", (1280, 720))]
    assert main([*command, "--camera", "C_4"]) == 0
    camera, true = load_bay("yard").camera("C_4"), demo_bay.camera("C_4")
    assert (camera.intrinsics.width, camera.intrinsics.height) == (1280, 720)
    assert camera.pose.pan == pytest.approx(true.pose.pan, abs=0.05)
    assert camera.intrinsics.focal_px == pytest.approx(true.intrinsics.focal_px * 2 / 3, rel=0.02)
    assert main([*command, "--camera", "D_2", "--focal", "900", "--force"]) == 0  # without any intrinsics
    assert load_bay("yard").camera("D_2").intrinsics.width == 1280
    capsys.readouterr()
    assert main([*command, "--camera", "C_4", "--size", "1920x1080"]) == 2
    assert "the frame of C_4 is 1280 x 720" in capsys.readouterr().err
    square = ["--frame", _frame(tmp_path / "square.png", (640, 640))]
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(small), *square]) == 1
    assert (
        "the frame is 640 x 640, the file's intrinsics are of 1280 x 720: give a picture of this camera"
        in capsys.readouterr().err
    )


@pytest.mark.slow(1)
def test_the_frame_comes_from_a_folder_of_all_cameras(points, knocked_pose, tmp_path, capsys):
    folder = tmp_path / "frames"
    folder.mkdir()
    command = ["calibrate", "yard", "--points", str(points), "--camera", "C_4", "--frames", str(folder), "--dry-run"]
    assert main(command) == 2
    assert "frames: holds no file yard_CAMERA_TIME.jpg of a camera of yard" in capsys.readouterr().err
    _frame(folder / "yard_C_4_20250702001000.jpg", (2560, 1440))
    assert main(command) == 3
    told = capsys.readouterr()
    assert "agree if the points are of an image 1920 wide, and the file's is 2560" in " ".join(
        (told.out + told.err).split()
    )


@pytest.mark.slow(2)
def test_a_camera_without_intrinsics_needs_only_its_images_size(points, knocked_pose, demo_bay):
    command = ["calibrate", "yard", "--camera", "D_2", "--points", str(points), "--size", "1920x1080", "--force"]
    assert main(command) == 0
    found, true = load_bay("yard").camera("D_2"), demo_bay.camera("C_4")  # whose points they are
    assert found.intrinsics.focal_px == pytest.approx(true.intrinsics.focal_px, rel=0.03)
    assert found.pose.pan == pytest.approx(true.pose.pan, abs=0.6)  # its distortion stays unknown


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["calibrate", "nowhere", "--camera", "C_4"], 2, "there is no bay nowhere"),
        (["calibrate", "yard", "--camera", "X_1"], 2, "bay yard has no camera X_1; it has: C_2, C_4"),
        (["calibrate", "yard", "--camera", "D_2"], 2, "the size of D_2's image is not known"),
        (["calibrate", "yard", "--camera", "D_2", "--focal", "1400"], 2, "the size of D_2's image is not known"),
        (
            ["calibrate", "yard", "--camera", "C_4", "--click"],
            1,
            "no capture of yard has a frame of C_4: take one with bay-observation camera probe yard --save",
        ),
        (["calibrate", "yard", "--camera", "C_4", "--click", "--frame", __file__], 2, "test_main.py: the frame is no"),
        (["check-poses", "yard"], 3, "no observation of bay yard: run its batches first"),
        (["check-poses", "yard", "--batches", "0"], 2, "--batches must be at least 1"),
        (["check-poses", "yard", "--tolerance", "nan"], 2, "--tolerance between 0 and 90"),
    ],
)
def test_what_cannot_be_done_is_told(points, knocked_pose, store, capsys, arguments, status, reason):
    extra = ["--points", str(points)] if arguments[0] == "calibrate" else []
    assert main([*arguments, *extra]) == status
    assert reason in capsys.readouterr().err


def test_an_unreadable_bay_is_told(points, bays_folder, capsys):
    (bays_folder / "yard.yaml").write_text("cameras: [", encoding="utf-8")
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(points)]) == 2
    assert "yard.yaml:1" in capsys.readouterr().err


@pytest.mark.slow(1)
def test_clicking_shows_the_newest_frame_that_there_is(points, knocked_pose, store, tmp_path, monkeypatch, capsys):
    frame = Path(_frame(tmp_path / "frame.png", (1920, 1080))).read_bytes()
    for slot, names in ((SLOT, ("C_2", "C_4")), (SLOT + timedelta(minutes=10), ("C_2",))):
        batch = batch_id("yard", slot)
        images = tuple(CapturedImage(name, "yard", slot, frame + name.encode()) for name in names)
        store.save("capture", "yard", batch, CaptureBatch(batch, "yard", images, ()))
    shown = {}

    def click_done(page):
        shown.update(frame=page.frame, points=len(page.points))
        page.done.set()

    monkeypatch.setattr(
        "fusion.clicking.ClickingPage.__enter__", lambda page: (page._thread.start(), click_done(page), page)[2]
    )
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(points), "--click", "--dry-run"]) == 0
    assert shown == {"frame": frame + b"C_4", "points": 10}
    assert "open http://127.0.0.1:" in capsys.readouterr().out


@pytest.mark.slow(1)
def test_ctrl_c_while_clicking_ends_plainly(points, knocked_pose, bays_folder, tmp_path, monkeypatch, capsys):
    def interrupted(page):
        page._thread.start()
        monkeypatch.setattr(page.done, "wait", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        return page

    monkeypatch.setattr("fusion.clicking.ClickingPage.__enter__", interrupted)
    before = (bays_folder / "yard.yaml").read_bytes()
    frame = ["--frame", _frame(tmp_path / "frame.png", (1920, 1080))]
    for path, kept in ((points, f"10 points in {points}"), (tmp_path / "new.csv", "no point was saved")):
        assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(path), "--click", *frame]) == 130
        assert capsys.readouterr().err == f"\nended without calibrating; {kept}\n"
    assert (bays_folder / "yard.yaml").read_bytes() == before


@pytest.fixture
def points_of_all(geometry, demo_bay, tmp_path):
    """points_of_all({"C_4": 9}): marks of the floor in a survey, and in one file as each camera shows so many."""

    def make(counts):
        marks = [(f"M{x}-{y}", x, y) for x in range(2, 150, 6) for y in range(2, 40, 5)]
        survey = tmp_path / "survey.csv"
        survey.write_text("name,x,y\n" + "".join(f"{name},{x},{y}\n" for name, x, y in marks))
        rows = []
        for name, count in counts.items():
            pixels = geometry.project(demo_bay.camera(name), np.array([(x, y, 0.0) for _, x, y in marks]))
            shown = [
                f"{name},{mark},{u},{v}\n"
                for (mark, _, _), (u, v) in zip(marks, pixels, strict=True)
                if 20 <= u <= 1900 and 20 <= v <= 1060
            ]
            rows += shown[:: max(1, len(shown) // count)]
        path = tmp_path / "all.csv"
        path.write_text("camera,name,u,v\n" + "".join(rows))
        return ["calibrate", "yard", "--points", str(path), "--survey", str(survey)]

    return make


@pytest.mark.slow(4)
def test_one_file_calibrates_several_cameras(points_of_all, knocked_pose, demo_bay, capsys):
    assert main(points_of_all({"C_2": 12, "C_4": 12})) == 0
    said = capsys.readouterr()
    assert [said.out.count(f"│ {name}") for name in ("C_2", "C_4")] == [1, 1]
    assert "yard.yaml: written" in said.out
    assert "3.0" in said.out  # degrees that C_4 was off
    bay = load_bay("yard")
    for name in ("C_2", "C_4"):
        assert bay.camera(name).pose.pan == pytest.approx(demo_bay.camera(name).pose.pan, abs=0.05)
    others = [camera for camera in bay.cameras if camera.name not in ("C_2", "C_4")]
    assert others == [camera for camera in knocked_pose.cameras if camera.name not in ("C_2", "C_4")]


@pytest.mark.slow(4)
def test_a_camera_that_cannot_be_told_keeps_no_other_from_being_written(points_of_all, knocked_pose, capsys):
    before = knocked_pose.camera("C_2")
    command = points_of_all({"C_4": 12, "C_2": 4})
    rows = Path(command[3]).read_text().splitlines()
    few = [row for row in rows if row.startswith("C_2")][:4]
    Path(command[3]).write_text("\n".join([row for row in rows if not row.startswith("C_2")] + few) + "\n")
    status = main(command)
    said = capsys.readouterr()
    assert status in (1, 3)
    assert "yard.yaml: not written for C_2: see each with --camera NAME" in said.err
    assert load_bay("yard").camera("C_2") == before
    assert load_bay("yard").camera("C_4") != knocked_pose.camera("C_4")


@pytest.mark.slow(3)
def test_a_wrong_row_of_one_camera_keeps_no_other_from_being_written(points_of_all, knocked_pose, capsys):
    command = points_of_all({"C_4": 12, "C_2": 12})
    path = Path(command[3])
    path.write_text(path.read_text() + "C_2,M999,1,2\n")
    status = main(command)
    said = capsys.readouterr()
    assert status == 1
    assert "C_2: not written: " in said.out
    assert "C_2: point 'M999' has no x and y, and is no mark" in said.out
    assert load_bay("yard").camera("C_2") == knocked_pose.camera("C_2")
    assert load_bay("yard").camera("C_4") != knocked_pose.camera("C_4")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--camera", "D_4"], "has no points of D_4; it has those of C_2, C_4"),
        (["--click"], "--click is for one camera"),
        (["--focal", "1400"], "--focal is of one camera"),
    ],
)
def test_options_of_one_camera_are_refused_of_several(points_of_all, knocked_pose, capsys, change, words):
    assert main([*points_of_all({"C_2": 5, "C_4": 5}), *change]) == 2
    assert words in capsys.readouterr().err


def test_points_of_nobody_are_refused(points, knocked_pose, capsys):
    assert main(["calibrate", "yard", "--points", str(points)]) == 2
    assert "does not say whose points they are: give --camera, or a column camera" in capsys.readouterr().err


@pytest.mark.slow(5)
def test_check_poses_finds_the_knocked_camera(make_yard, make_bay, store, capsys):
    make_bay("demo_bay", enabled=False)
    bay = load_bay("demo_bay")
    turned = bay.camera("C_6").pose.model_copy(update={"tilt": bay.camera("C_6").pose.tilt + 1.0})
    cameras = tuple(c.model_copy(update={"pose": turned}) if c.name == "C_6" else c for c in bay.cameras)
    observation = replace(make_yard(seed=2010), bay=bay.model_copy(update={"cameras": cameras})).observe()
    store.save("observation", "demo_bay", observation.batch_id, observation)
    assert main(["check-poses", "demo_bay", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [camera["camera"] for camera in told["cameras"] if camera["verdict"] == "out of pose"] == ["C_6"]
    assert told["batches"] == [observation.batch_id]
    assert main(["check-poses", "demo_bay"]) == 1
    assert "C_6: out of pose: turned by 1." in capsys.readouterr().out
    assert main(["check-poses", "demo_bay", "--tolerance", "5"]) == 0


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    ("options", "row", "status", "said"),
    [
        ([], "C_99,M2-2,1,2", 2, "all.csv:11: C_99: bay yard has no camera C_99 (did you mean C_9?); it has: C_2"),
        ([], "C_4,M999,1,2", 2, "all.csv:11: C_4: point 'M999' has no x and y, and is no mark: Name one of M2-2"),
        ([], "C_4,M2-2,,2", 1, "all.csv:11: C_4: point M2-2: u is empty: write the pixel at which it shows"),
        (["--camera", "C_4"], "C_44,M2-2,1,2", 2, "all.csv:11: C_44: bay yard has no camera C_44 (did you mean C_4?)"),
        (["--camera", "C_4"], "C_4,M2-2,1,2\nC_4,M2-2,3,4", 1, "all.csv:12: C_4: point M2-2 is given twice: leave one"),
    ],
)
def test_a_wrong_point_is_told_by_file_line_and_camera(points_of_all, knocked_pose, capsys, options, row, status, said):
    command = points_of_all({"C_4": 9})
    path = Path(command[3])
    path.write_text("\n".join([*path.read_text().splitlines()[:10], row]) + "\n")
    assert main([*command, *options]) == status
    assert said in capsys.readouterr().err


@pytest.mark.slow(2)
def test_a_point_outside_of_the_image_is_left_out_and_named(points_of_all, knocked_pose, capsys):
    """It costs its camera nothing where enough are left, and is never dropped without a word."""
    command = points_of_all({"C_4": 12})
    path = Path(command[3])
    path.write_text("\n".join([*path.read_text().splitlines()[:13], "C_4,M2-2,1930,2"]) + "\n")
    assert main(command) == 0
    said = capsys.readouterr().out
    assert (
        "LEFT OUT: " + f"{path}:14: C_4: point M2-2: pixel (1930, 2) lies outside of the image of 1920 x 1080" in said
    )


@pytest.mark.slow(4)
def test_the_change_comes_first_and_what_is_to_be_read_last(points_of_all, knocked_pose, capsys):
    command = points_of_all({"C_2": 12, "C_4": 12})
    path = Path(command[3])
    path.write_text(path.read_text() + "C_2,M146-37,-5,2\n")
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    change = max(number for number, line in enumerate(lines) if line.startswith("@@"))
    table = next(number for number, line in enumerate(lines) if "│ C_4" in line)
    assert change < table
    assert lines[-2].startswith("C_2: LEFT OUT: ")
    assert lines[-1].endswith("yard.yaml: written")


@pytest.mark.slow(2)
@pytest.mark.parametrize("wrong", [False, True])
def test_left_out_points_are_to_be_clicked_again_only_where_there_are_some(points_of_all, knocked_pose, capsys, wrong):
    command = points_of_all({"C_4": 12, "C_2": 12})
    path = Path(command[3])
    header, *rows = path.read_text().splitlines()
    few = [row for row in rows if row.startswith("C_2")][::3][:4]
    others = [row for row in rows if row.startswith("C_4")]
    path.write_text("\n".join([header, *others, *few, *(["C_2,M146-37,-5,2"] if wrong else [])]) + "\n")
    assert main(command) == 3
    told = capsys.readouterr().err
    assert "not written for C_2: see each with --camera NAME;" in told
    assert ("click what is LEFT OUT again" in told) == wrong


@pytest.mark.slow(1)
def test_of_too_few_points_the_file_and_the_camera_are_told(points_of_all, knocked_pose, capsys):
    command = points_of_all({"C_4": 9})
    path = Path(command[3])
    path.write_text("\n".join(path.read_text().splitlines()[:4]) + "\n")
    assert main(command) == 1
    assert f"{path}: C_4: 3 points where at least 4 are needed: click more" in capsys.readouterr().err


@pytest.fixture
def neighbours(points_of_all):
    """neighbours({"C_4": 12}, ...): as `points_of_all`, each mark named as its neighbour 6 m along."""

    def make(counts, *cameras):
        command = points_of_all(counts)
        path = Path(command[3])
        rows = []
        for row in path.read_text().splitlines():
            name, mark, *pixel = row.split(",")
            if name in cameras:
                x, _, y = mark[1:].partition("-")
                mark = f"M{int(x) + 6}-{y}"
            rows.append(",".join([name, mark, *pixel]))
        path.write_text("\n".join(rows) + "\n")
        return command

    return make


@pytest.mark.slow(4)
def test_marks_named_one_too_far_are_not_written_without_force(neighbours, knocked_pose, bays_folder, capsys):
    before = (bays_folder / "yard.yaml").read_bytes()
    command = [*neighbours({"C_4": 12}, "C_4"), "--camera", "C_4"]
    assert main(command) == 3
    said = capsys.readouterr()
    assert (
        "DOUBT: it hangs 6.0 m and 3° from where the bay's file has it, and 0.0 m and 3° where each point" in said.out
    )
    assert "were the marks taken for others? M14-2 is M8-2, " in said.out
    assert "correct the camera or the names of the marks" in said.err
    assert (bays_folder / "yard.yaml").read_bytes() == before
    assert main([*command, "--force"]) == 0
    assert (bays_folder / "yard.yaml").read_bytes() != before


@pytest.mark.slow(4)
def test_of_several_cameras_the_one_with_other_names_is_not_written(neighbours, knocked_pose, capsys):
    before = knocked_pose.camera("C_2")
    assert main(neighbours({"C_4": 12, "C_2": 12}, "C_2")) == 3
    said = capsys.readouterr()
    assert "C_2: DOUBT: it hangs 6.0 m and 0° from where the bay's file has it" in said.out
    assert "not written for C_2: see each with --camera NAME; correct the camera or the names of the marks" in said.err
    assert load_bay("yard").camera("C_2") == before
    assert load_bay("yard").camera("C_4") != knocked_pose.camera("C_4")


@pytest.mark.slow(4)
@pytest.mark.parametrize("alone", [True, False])
def test_a_camera_far_from_its_placeholder_is_written_and_told(points_of_all, make_bay, demo_bay, capsys, alone):
    cameras = [json.loads(camera.model_dump_json()) for camera in demo_bay.cameras]
    cameras[1]["pose"] |= {"x": 75, "y": 20, "z": 10, "pan": 0, "tilt": 89}
    make_bay(cameras=cameras)
    counts = {"C_4": 12} if alone else {"C_4": 12, "C_2": 12}
    assert main(points_of_all(counts)) == 0
    said = capsys.readouterr().out
    assert "DOUBT: it hangs 4" in said
    assert ("against the bay's file: moved 4" in said) == alone
    assert ("│ far off" in said) != alone
    assert load_bay("yard").camera("C_4").pose.x == pytest.approx(demo_bay.camera("C_4").pose.x, abs=0.05)


@pytest.mark.slow(3)
def test_marks_that_were_kept_by_the_old_pose_are_to_be_kept_again(points_of_all, make_bay, demo_bay, capsys):
    """Of C_4, which hung three degrees off, and not of C_2, which is where it was."""
    cameras = [json.loads(camera.model_dump_json()) for camera in demo_bay.cameras]
    cameras[1]["pose"]["pan"] += 3
    bay = make_bay(cameras=cameras)
    patch = np.zeros((PATCH_PX, PATCH_PX), np.uint8)
    kept = []
    for name in ("C_2", "C_4"):
        model = CameraModel.of(bay.camera(name))
        pixels = {mark: model.project((at.x, at.y, at.z))[0] for mark, at in bay.witnesses.items()}
        kept += [KeptMark(name, mark, tuple(uv), patch) for mark, uv in pixels.items() if model.inside(uv)]
    write_witnesses("yard", kept)
    assert kept_by_another_pose(bay) == []
    assert main([*points_of_all({"C_2": 12, "C_4": 12}), "--dry-run"]) == 0
    assert "keep it again" not in capsys.readouterr().out
    assert main(points_of_all({"C_2": 12, "C_4": 12})) == 0
    said = "C_4 was kept by an earlier pose: keep it again: bay-observation camera keep-witnesses yard --camera C_4"
    assert f"how the marks look to {said}" in capsys.readouterr().out
    assert bays_main(["check", "yard"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "how they look to C_4 was kept by another pose than the file's" in told


@pytest.mark.slow(2)
def test_as_many_wrong_points_as_may_be_are_told_by_number(points_of_all, knocked_pose, capsys):
    command = points_of_all({"C_4": 12})
    path = Path(command[3])
    header, *rows = path.read_text().splitlines()
    for row in (1, 4):
        *named, u, v = rows[row].split(",")
        rows[row] = ",".join([*named, str(960 - (float(u) - 960) / 2), v])
    path.write_text("\n".join([header, *rows[:8]]) + "\n")
    main([*command, "--force"])
    assert "2 of 8 points contradict the rest, as many as may be wrong" in capsys.readouterr().out
