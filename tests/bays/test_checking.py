"""What a bay's file says that is allowed and cannot be right; which camera sees which floor."""

import json

import numpy as np
import pytest

from bays import bay_ids, load_bay
from bays.__main__ import main
from bays.checking import check_bay, floor_view, worst
from lab.benchmarks.bay_cases import BayCase, cases, told


@pytest.mark.slow(0.5)
def test_the_shipped_bays_have_nothing_to_be_told():
    bays = [load_bay(name) for name in bay_ids()]
    assert {bay.bay_id: list(map(str, check_bay(bay, bays))) for bay in bays} == {name: [] for name in bay_ids()}


def test_the_bay_of_the_cases_is_right_as_long_as_nothing_is_changed():
    assert told(BayCase("nothing", lambda content: None, "")) == ""


def test_there_are_sixty_cases():
    assert len({case.name for case in cases()}) == len(cases()) >= 60


@pytest.mark.slow(0.2)
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name.replace(" ", "_"))
def test_a_bay_that_cannot_be_right_is_told(case):
    assert case.words in told(case)


@pytest.mark.parametrize(
    ("places", "named"),
    [
        ({"C_4": (40.0, 34.2)}, ["C_4"]),  # hangs at (34.2, 40), as all others do at a side
        ({"C_4": (60.0, 20.0)}, []),  # below the roof: not at a side with x and y exchanged either
        ({"C_4": (40.0, 34.2), "C_6": (60.0, 20.0)}, []),  # not all hang at the sides
        ({"C_4": (34.2, 38.6)}, []),  # on a column inside of the hall
    ],
)
def test_a_camera_amid_the_floor_is_doubtful_where_all_others_hang_at_its_sides(demo_bay, places, named):
    moved = []
    for camera in demo_bay.cameras:
        x, y = places.get(camera.name, (camera.pose.x, camera.pose.y))
        moved.append(camera.model_copy(update={"pose": camera.pose.model_copy(update={"x": x, "y": y})}))
    found = check_bay(demo_bay.model_copy(update={"cameras": tuple(moved)}))
    assert [one.where for one in found if "exchanged" in one.text] == [f"cameras.{name}.pose" for name in named]


def test_a_camera_sees_the_floor_below_its_axis(demo_bay):
    view = floor_view(demo_bay)
    assert view.seen.shape == (12, 40, 150)
    seen = view.seen[view.cameras.index("C_6")]  # at (61.7, 40), looking towards -y
    x, y = view.centres[seen].mean(axis=0)
    assert x == pytest.approx(61.7, abs=3)
    assert 10 < y < 30
    assert not seen[:, :20].any()
    scale = view.metres_per_pixel[view.cameras.index("C_6")]
    assert np.nanmin(scale) > 25 / 1458  # never finer than straight below the camera


@pytest.mark.slow(0.5)
def test_check_ends_with_what_it_found(make_bay, capsys):
    make_bay("yard")
    assert main(["check"]) == 0
    assert "yard: nothing to say" in capsys.readouterr().out
    make_bay("doubtful", camera_quorum=1, network={"camera_subnet": "127.60.0.0/24", "observer_ip": "127.60.0.1"})
    assert main(["check", "doubtful", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    levels = {one["where"]: one["level"] for one in document["findings"]["doubtful"]}
    assert (levels["network.camera_subnet"], levels["camera_quorum"]) == ("error", "warning")
    assert main(["check", "nowhere"]) == 2


@pytest.mark.slow(0.7)
def test_a_warning_alone_is_an_error_only_where_that_is_asked(make_bay, bays_folder, capsys):
    make_bay("yard", camera_quorum=1)
    assert main(["check"]) == 0
    assert main(["check", "--strict"]) == 1
    (bays_folder / "broken.yaml").write_text("cameras: [")
    assert main(["check", "yard"]) == 0
    assert main(["check"]) == 1
    assert "broken.yaml:1" in capsys.readouterr().err


def test_a_finding_says_the_line_to_change(make_bay, bays_folder, capsys):
    make_bay("yard", camera_quorum=1)
    path = bays_folder / "yard.yaml"
    text = path.read_text().splitlines()
    line = next(number for number, words in enumerate(text, start=1) if words.startswith("camera_quorum:"))
    assert main(["check", "yard"]) == 0
    assert f"  warning: {path}:{line}: camera_quorum: 1 of 12 cameras" in capsys.readouterr().out
    assert main(["check", "yard", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["findings"]["yard"]
    assert found["line"] == line
    path.write_text("\n".join(words for words in text if not words.startswith("camera_quorum:")) + "\n")
    assert main(["check", "yard"]) == 0
    assert f"  warning: {path}: camera_quorum: 1 of 12" in capsys.readouterr().out  # it stands nowhere


@pytest.mark.parametrize(
    ("hours", "skip", "is_told"),
    [
        ("17:00-08:00", "23:30-00:30", False),  # both across midnight
        ("17:00-08:00", "02:00-03:00", False),
        ("17:00-08:00", "08:00-09:00", False),  # both ends of the hours are included
        ("17:00-08:00", "08:01-16:59", True),
        ("08:00-17:00", "22:00-08:00", False),
        ("08:00-17:00", "22:00-07:59", True),
    ],
)
def test_a_skip_outside_of_the_hours_is_told_across_midnight_too(demo_bay, hours, skip, is_told):
    content = demo_bay.model_dump(mode="json") | {"operating_hours": [hours], "skip_times": [skip]}
    bay = type(demo_bay).model_validate(content)
    assert any("it skips nothing" in one.text for one in check_bay(bay)) is is_told


def test_the_worst_of_findings(demo_bay):
    assert worst([]) is None
    found = check_bay(demo_bay.model_copy(update={"camera_quorum": 1}))
    assert worst(found) == "warning"


@pytest.fixture
def demo_bay():
    return load_bay("demo_bay")
