"""The bay drawn over a frame: lines lie where the camera sees what they stand for."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bay_observation.errors import ConfigError
from bays import load_bay
from bays.camera_model import CameraModel
from bays.overlay import bay_lines, draw_overlay, shown_pieces


@pytest.fixture
def bay():
    return load_bay("demo_bay")


def frame(size=(1920, 1080)):
    content = BytesIO()
    Image.new("RGB", size, "#202020").save(content, "JPEG")
    return content.getvalue()


def drawn(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize(("size", "ratio"), [((1920, 1080), 1.0), ((1280, 720), 2 / 3)])
def test_a_corner_of_an_area_is_where_the_camera_sees_it(bay, tmp_path, size, ratio):
    camera, path = bay.camera("C_4"), tmp_path / "overlay.png"
    drawn_over = draw_overlay(bay, camera, frame(size), path)
    assert drawn_over.lines > 10
    told = "the frame is 1280 x 720, the file's intrinsics are of 1920 x 1080" in drawn_over.remark
    assert told == (ratio != 1)
    picture = drawn(path)
    assert picture.shape[:2] == size[::-1]
    (u, v) = CameraModel.of(camera).project((36.0, 20.0, 0.0))[0] * ratio  # on the border of A12 and A11
    around = picture[int(v) - 2 : int(v) + 3, int(u) - 2 : int(u) + 3].reshape(-1, 3)
    assert any(np.abs(pixel - (0xFF, 0xD2, 0x3F)).max() < 40 for pixel in around)
    assert np.abs(picture[5, 5] - 0x20).max() < 8  # far from all lines the frame stays


def test_lines_and_names_are_as_large_a_part_of_a_large_frame(bay, tmp_path):
    """Of the names of witnesses and their crosses: the share of the frame's pixels in their colour."""
    shares = []
    for size in ((1280, 720), (2560, 1440)):
        path = tmp_path / f"{size[0]}.png"
        draw_overlay(bay, bay.camera("C_4"), frame(size), path)
        shares.append((np.abs(drawn(path) - (0xFF, 0x4F, 0xD8)).max(axis=-1) < 60).mean())
    assert shares[1] == pytest.approx(shares[0], rel=0.2)


def test_what_lies_behind_the_camera_is_not_drawn(bay):
    model = CameraModel.of(bay.camera("C_4"))
    behind = np.array([[34.0, y, 0.0] for y in np.linspace(45, 90, 50)])
    assert list(shown_pieces(model, behind)) == []
    through = np.array([[x, 20.0, 0.0] for x in np.linspace(0, 150, 300)])
    (piece,) = shown_pieces(model, through)
    assert model.inside(piece[1:-1]).all()


def test_verticals_axes_and_witnesses_are_among_the_lines(bay):
    lines = list(bay_lines(bay))
    assert {"x", "y", "z", "A12", "M29"} <= {line.text for line in lines}
    assert any(line.points[0][2] == 0 and line.points[-1][2] == 4 for line in lines)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"path": "overlay.pdf"}, "an overlay is .jpg"),
        ({"path": "no/overlay.png"}, "there is no folder"),
        ({"frame": b"<html>"}, "is no image that can be read"),
        ({"frame": frame((640, 640))}, "the frame of C_4 is 640 x 640, its intrinsics are of 1920 x 1080"),
        ({"camera": {"pose": None}}, "calibrate it first"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_writes_nothing(bay, tmp_path, change, reason):
    camera = bay.camera("C_4").model_copy(update=change.get("camera", {}))
    with pytest.raises(ConfigError, match=reason):
        draw_overlay(bay, camera, change.get("frame", frame()), tmp_path / change.get("path", "overlay.png"))
    assert list(tmp_path.iterdir()) == []
