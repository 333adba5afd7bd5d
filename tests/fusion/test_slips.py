"""Points that are all wrong in one way: the way is named."""

import csv

import numpy as np
import pytest

from bays import load_bay
from fusion.__main__ import main
from fusion.calibration import FloorPoint, calibrate_by_file
from fusion.slips import slip

pytestmark = pytest.mark.slow(1)


@pytest.fixture
def seen(geometry, demo_bay):
    """seen("C_4", seed): a camera and points as a careful person clicks them."""

    def make(name, seed=0):
        camera = demo_bay.camera(name)
        rng = np.random.default_rng(seed)
        points = []
        while len(points) < 12:
            place = np.array([*rng.uniform((0, 0), (140, 42)), 0.0])
            ((u, v),) = geometry.project(camera, place[None]) + rng.normal(0, 0.7, 2)
            if 0 <= u <= 1920 and 0 <= v <= 1080:
                points.append(FloorPoint(f"M{len(points)}", float(u), float(v), *map(float, place)))
        return camera, points

    return make


def written(points, change):
    return [FloorPoint(p.name, *change(p.u, p.v), p.x, p.y, p.z) for p in points]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda u, v: (v, u), "u and v are exchanged"),
        (lambda u, v: (u, 1079 - v), "v is counted from below"),
        (lambda u, v: (1919 - u, v), "u is counted from the right"),
        (lambda u, v: (u * 2 / 3, v * 2 / 3), "the points are of an image 1280 wide, and the file's is 1920"),
        (lambda u, v: (u * 4 / 3, v * 4 / 3), "the points are of an image 2560 wide, and the file's is 1920"),
    ],
)
def test_it_is_named(seen, change, said):
    camera, points = seen("D_7")
    assert said in (slip(written(points, change), camera, camera.intrinsics) or "")


def test_points_of_which_half_are_wrong_have_none(seen):
    camera, points = seen("C_4")
    rng = np.random.default_rng(1)
    wrong = [FloorPoint(p.name, *rng.uniform((0, 0), (1920, 1080)), p.x, p.y, p.z) for p in points[:6]]
    assert slip([*wrong, *points[6:]], camera, camera.intrinsics) is None


def test_right_points_are_not_asked(seen, monkeypatch, make_bay, tmp_path, capsys):
    monkeypatch.setattr("fusion.calibrate_command.slip", None)
    make_bay()
    _, points = seen("C_4")
    path = _file(tmp_path, points)
    assert main(["calibrate", "yard", "--camera", "C_4", "--points", str(path), "--dry-run"]) == 0


@pytest.mark.parametrize("one", [["--camera", "C_4"], []])
def test_the_command_tells_it_and_writes_nothing(seen, make_bay, bays_folder, tmp_path, capsys, one):
    make_bay()
    before = (bays_folder / "yard.yaml").read_bytes()
    _, points = seen("C_4")
    path = _file(tmp_path, written(points, lambda u, v: (u * 2 / 3, v * 2 / 3)))
    assert main(["calibrate", "yard", "--points", str(path), *one]) == 3
    told = capsys.readouterr()
    assert "agree if the points are of an image 1280 wide, and the file's is 1920" in " ".join(
        (told.out + told.err).split()
    )
    assert (bays_folder / "yard.yaml").read_bytes() == before
    assert load_bay("yard")


def _file(folder, points):
    path = folder / "points.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["camera", "name", "u", "v", "x", "y", "z"])
        rows.writerows(["C_4", p.name, p.u, p.v, p.x, p.y, p.z] for p in points)
    return path


def test_calibration_finds_the_right_ones(seen):
    camera, points = seen("C_4")
    assert calibrate_by_file(points, camera, camera.intrinsics).without_say == 0
