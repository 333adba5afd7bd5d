"""Only the values of one camera change in a bay's file; everything else stays to the byte."""

import difflib
from pathlib import Path

import pytest

from bay_observation.errors import ConfigError
from bays import FloorDoubt, Intrinsics, Pose, load_bay
from bays.editing import with_areas, with_calibration, write_calibration, write_calibrations
from bays.models import Area

SHIPPED = Path(__file__).parents[2] / "bays" / "demo_bay.yaml"
POSE = Pose(x=34.5, y=39.9, z=25.25, pan=181.25, tilt=47.125, roll=-0.5)
LENS = Intrinsics(focal_px=1451.5, distortion=(-0.11, 0.025, 1e-5, -2e-7, 0.0))

BLOCK_STYLE = """\
description: block style   # with a comment
enabled: false
network: {camera_subnet: 127.60.0.0/24, observer_ip: 127.60.0.1}
models: {yolo_detection: a.pt, sam_segmentation: b.pth, classification: c.pt}
factory_layout: {width: 150, height: 40}
cameras:
  - name: C_2
    # surveyed 2025-03
    pose:
      x: 1.0    # from the column
      y: 2.0
      z: 25.0

      pan: 180
      tilt: 45
    intrinsics:
      focal_px: 1450
      distortion:
        - -0.1
        - 0.0
        - 0.0
        - 0.0
        - 0.0
    host: 127.60.0.2
  - {name: C_4, host: 127.60.0.3}
  - name: C_6
    host: 127.60.0.4
    pose:
"""


@pytest.fixture
def block_bay(bays_folder):
    path = bays_folder / "yard.yaml"
    path.write_text(BLOCK_STYLE, encoding="utf-8")
    return path


def changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_the_shipped_file_changes_in_two_lines(bays_folder):
    before = SHIPPED.read_text(encoding="utf-8")
    (bays_folder / "demo_bay.yaml").write_text(before, encoding="utf-8")
    after = write_calibration("demo_bay", "C_4", POSE, LENS)
    assert changed(before, after) == [
        "-    pose: {x: 34.2, y: 40.0, z: 25.3, pan: 181.5, tilt: 47.5}",
        "-    intrinsics: {focal_px: 1450, distortion: [-0.115, 0.028, -0.0004, 0.0002, 0.0]}",
        "+    pose: {x: 34.5, y: 39.9, z: 25.25, pan: 181.25, tilt: 47.125, roll: -0.5}",
        "+    intrinsics: {focal_px: 1451.5, distortion: [-0.11, 0.025, 1.0e-05, -2.0e-07, 0.0]}",
    ]
    assert after == (bays_folder / "demo_bay.yaml").read_text(encoding="utf-8")


def test_block_style_keeps_comments_blank_lines_and_order(block_bay):
    text = with_calibration(BLOCK_STYLE, "yard", "C_2", POSE, LENS)
    assert "x: 34.5    # from the column" in text
    assert "# surveyed 2025-03" in text
    assert "z: 25.25\n\n      pan: 181.25" in text
    assert "      tilt: 47.125\n      roll: -0.5\n" in text
    assert text.splitlines()[-4:] == BLOCK_STYLE.splitlines()[-4:]


@pytest.mark.parametrize("name", ["C_2", "C_4", "C_6"])
def test_the_written_values_are_read_back(block_bay, name):
    write_calibration("yard", name, POSE, LENS)
    camera = load_bay("yard").camera(name)
    assert (camera.pose, camera.intrinsics) == (POSE, LENS)
    assert sorted(block_bay.parent.iterdir()) == [block_bay]  # no temporary file stays


def test_line_ends_and_mode_stay(block_bay):
    block_bay.write_bytes(BLOCK_STYLE.replace("\n", "\r\n").encode())
    block_bay.chmod(0o640)
    write_calibration("yard", "C_6", POSE, LENS)
    content = block_bay.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert block_bay.stat().st_mode & 0o777 == 0o640


def test_a_file_without_a_last_line_end_is_edited(block_bay):
    block_bay.write_text(BLOCK_STYLE.rstrip() + " {x: 1, y: 2, z: 3, pan: 4, tilt: 5}", encoding="utf-8")
    write_calibration("yard", "C_6", POSE, LENS)
    assert load_bay("yard").camera("C_6").intrinsics == LENS


def test_a_link_stays_a_link(block_bay, tmp_path):
    real = tmp_path / "real.yaml"
    block_bay.rename(real)
    block_bay.symlink_to(real)
    write_calibration("yard", "C_4", POSE, LENS)
    assert block_bay.is_symlink()
    assert load_bay("yard").camera("C_4").pose == POSE


def test_a_dry_run_writes_nothing(block_bay):
    text = write_calibration("yard", "C_2", POSE, LENS, dry_run=True)
    assert changed(BLOCK_STYLE, text)
    assert block_bay.read_text(encoding="utf-8") == BLOCK_STYLE


@pytest.mark.parametrize(
    "written", ["{fx: 1450, fy: 1400}", "{focal_px: 1450, fy: 1400}", "\n      fx: 1450\n      fy: 1400"]
)
def test_both_focal_lengths_keep_their_names(block_bay, written):
    text = BLOCK_STYLE.replace(
        "{name: C_4, host: 127.60.0.3}", f"name: C_4\n    host: 127.60.0.3\n    intrinsics: {written}"
    )
    block_bay.write_text(text, encoding="utf-8")
    assert load_bay("yard").camera("C_4").intrinsics.focal == (1450, 1400)
    lens = LENS.model_copy(update={"fy": 1402.5})
    after = write_calibration("yard", "C_4", POSE, lens)
    assert load_bay("yard").camera("C_4").intrinsics == lens
    assert ("fx: 1451.5" in after) == ("fx" in written)


def test_a_focal_length_that_is_given_twice_is_refused(block_bay):
    block_bay.write_text(BLOCK_STYLE.replace("focal_px: 1450", "focal_px: 1450\n      fx: 1450"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"intrinsics\.fx: Extra inputs"):
        load_bay("yard")


def test_an_unknown_camera_is_refused(block_bay):
    with pytest.raises(ConfigError, match="has no camera X_1"):
        write_calibration("yard", "X_1", POSE, LENS)


def test_unreadable_yaml_is_refused(block_bay):
    block_bay.write_text(BLOCK_STYLE + "  - {name: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"yard\.yaml:\d+"):
        write_calibration("yard", "C_2", POSE, LENS)


@pytest.fixture
def shared_lens(block_bay):
    """Two cameras, one lens: an anchor at C_2 and its alias at C_4."""
    shared = "&wide {focal_px: 1450}"
    lines = {"C_2": shared, "C_4": "*wide"}
    head = BLOCK_STYLE[: BLOCK_STYLE.index("  - name: C_2")]
    cameras = [
        f"  - name: {name}\n    host: 127.60.0.{row}\n    intrinsics: {lens}\n"
        for row, (name, lens) in enumerate(lines.items(), start=2)
    ]
    block_bay.write_text(head + "".join(cameras), encoding="utf-8")


@pytest.mark.usefixtures("shared_lens")
def test_a_value_that_others_use_through_an_anchor_is_refused():
    with pytest.raises(ConfigError, match="through a YAML anchor"):
        write_calibration("yard", "C_2", POSE, LENS)
    assert load_bay("yard").camera("C_4").intrinsics == Intrinsics(focal_px=1450)


@pytest.mark.usefixtures("shared_lens")
def test_an_alias_is_written_out():
    write_calibration("yard", "C_4", POSE, LENS)
    assert load_bay("yard").camera("C_4").intrinsics == LENS
    assert load_bay("yard").camera("C_2").intrinsics == Intrinsics(focal_px=1450)


@pytest.mark.usefixtures("shared_lens")
def test_cameras_that_share_an_anchor_are_written_together():
    other = LENS.model_copy(update={"focal_px": 1460.0})
    write_calibrations("yard", {"C_2": (POSE, LENS), "C_4": (POSE, other)})
    assert [load_bay("yard").camera(name).intrinsics for name in ("C_2", "C_4")] == [LENS, other]


def test_the_doubt_of_a_pose_goes_with_it(block_bay):
    doubt = FloorDoubt(x=0.02, y=0.015, sides=0.004, height=0.003)
    for name in ("C_2", "C_4", "C_6"):
        write_calibration("yard", name, POSE.model_copy(update={"doubt": doubt}), LENS)
        assert load_bay("yard").camera(name).pose.doubt == doubt
        write_calibration("yard", name, POSE, LENS)
        assert load_bay("yard").camera(name).pose == POSE


def test_a_read_only_folder_is_told(block_bay, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bay_observation.files.mkstemp", refuse)
    with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
        write_calibration("yard", "C_2", POSE, LENS)
    assert block_bay.read_text(encoding="utf-8") == BLOCK_STYLE


def test_a_block_list_no_deeper_than_its_key_is_replaced_by_one_line(bays_folder: Path) -> None:
    """As YAML libraries write it."""
    text = BLOCK_STYLE.replace("        - ", "      - ")
    changed = with_calibration(text, "yard", "C_2", POSE, LENS)
    (bays_folder / "yard.yaml").write_text(changed, encoding="utf-8")
    assert load_bay("yard").camera("C_2").intrinsics == LENS
    assert "distortion: [-0.11, 0.025, 1.0e-05, -2.0e-07, 0.0]" in changed


# -- areas ------------------------------------------------------------------------------------------

AREA = Area(x=(2, 10.5), y=(0, 20))


def areas_of(text: str) -> dict[str, Area]:
    from bays.loading import parse_bay

    return dict(parse_bay(SHIPPED, text, "demo_bay").layout.areas)


def test_areas_that_change_come_and_go_leave_the_others_to_the_byte(bays_folder):
    before = SHIPPED.read_text(encoding="utf-8")
    (bays_folder / "demo_bay.yaml").write_text(before, encoding="utf-8")
    areas = areas_of(before)
    areas["A25"] = AREA
    del areas["A12_S"]
    areas["A1C"] = areas["A1C"].model_copy(update={"kind": "aisle"})
    areas |= {"N": Area(x=(100, 101), y=(0, 2)), "신규 구역": Area(x=(110, 111), y=(1, 2.25), kind="turn_over")}
    after = with_areas(before, "demo_bay", areas)
    assert areas_of(after) == areas
    assert changed(before, after) == [
        "-    A25: {x: [2, 18], y: [0, 20]}",
        "+    A25: {x: [2, 10.5], y: [0, 20]}",
        "-    A12_S: {x: [29, 44], y: [0, 10]}   # nested: the smallest area that holds a block names it",
        "-    A1C: {x: [131, 147], y: [20, 40]}",
        "+    A1C: {x: [131, 147], y: [20, 40], kind: aisle}",
        "+    N: {x: [100, 101], y: [0, 2]}",
        '+    "신규 구역": {x: [110, 111], y: [1, 2.25], kind: turn_over}',
    ]


@pytest.mark.parametrize(
    "layout", ["{width: 150, height: 40}", "{width: 150, height: 40, areas: {A1: {x: [0, 9], y: [0, 9]}}}"]
)
def test_areas_of_a_file_in_flow_style_or_without_any(bays_folder, layout):
    text = BLOCK_STYLE.replace("{width: 150, height: 40}", layout)
    (bays_folder / "yard.yaml").write_text(text, encoding="utf-8")
    after = with_areas(text, "yard", {"A2": AREA, "no": Area(x=(20, 30), y=(0, 20))})
    assert areas_of(after) == {"A2": AREA, "no": Area(x=(20, 30), y=(0, 20))}
    assert "# surveyed 2025-03" in after


@pytest.mark.parametrize(
    ("areas", "words"),
    [
        ({}, "at least one area"),
        ({"A2": Area(x=(140, 160), y=(0, 20))}, "area A2 leaves the floor of 150 x 40 m"),
        ({"A2": AREA, "A3": AREA}, "areas A2 and A3 are the same place"),
    ],
)
def test_areas_that_cannot_be(bays_folder, areas, words):
    before = SHIPPED.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        with_areas(before, "demo_bay", areas)
