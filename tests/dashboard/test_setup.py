"""A bay's file in the page: shown, checked, never written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILE = "/api/v1/bays/yard/file"
Token = Callable[[str], dict[str, str]]


def check(api: Any, token: Token, text: str) -> Any:
    answer = api.post(f"{FILE}/check", headers=token("operator-of-yard"), json={"text": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_change_is_a_difference_and_a_floor_and_the_file_stays(
    api: Any, ask: Callable[..., Any], token: Token, tmp_path: Path
) -> None:
    file = tmp_path / "bays" / "yard.yaml"
    text = ask("bays/yard/file", "operator-of-yard")["text"]
    assert text == file.read_text(encoding="utf-8")

    found = check(api, token, text.replace("camera_quorum: ", "camera_quorum: 1 # "))

    assert found["faults"] == []
    assert "+++ b/bays/yard.yaml" in found["diff"]
    assert "+camera_quorum: 1" in found["diff"]
    assert (found["width"], len(found["areas"]), len(found["cameras"])) == (150, 21, 12)
    assert file.read_text(encoding="utf-8") == text
    assert check(api, token, text)["diff"] == ""


def test_faults_are_named_with_their_line_and_without_the_hosts_folders(
    api: Any, ask: Callable[..., Any], token: Token, tmp_path: Path
) -> None:
    text = ask("bays/yard/file", "operator-of-yard")["text"]

    found = check(api, token, text.replace("timezone: Asia/Seoul", "timezone: Asia/Soul") + "\nno_such_key: 1\n")

    assert any("no_such_key" in fault for fault in found["faults"])
    assert all(fault.startswith("yard.yaml:") for fault in found["faults"])
    assert str(tmp_path) not in str(found["faults"])
    assert found["areas"] == []
    for broken in ("", "[", "a: &a [*a]", "\x00"):
        assert check(api, token, broken)["faults"] != []


def test_who_may_not_correct_the_bay_does_not_see_its_hosts(api: Any, token: Token) -> None:
    for person in ("reader-of-yard", "operator-of-other"):
        assert api.get(FILE, headers=token(person)).status_code == 403
        assert api.post(f"{FILE}/check", headers=token(person), json={"text": ""}).status_code == 403


def test_a_file_that_is_wrong_is_shown_to_be_mended(api: Any, token: Token, tmp_path: Path) -> None:
    (tmp_path / "bays" / "yard.yaml").write_text("description: [", encoding="utf-8")

    assert api.get(FILE, headers=token("operator-of-yard")).json()["text"] == "description: ["


def draw(api: Any, token: Token, areas: list[Any], **more: Any) -> Any:
    path = "/api/v1/bays/yard/areas/check"
    return api.post(path, headers=token("operator-of-yard"), json={"areas": areas, **more})


def test_areas_that_were_drawn_become_a_difference(
    api: Any, ask: Callable[..., Any], token: Token, tmp_path: Path
) -> None:
    areas = ask("bays/yard")["areas"]
    areas[0]["x"] = [2, 17.5]
    new = {"name": "A99", "x": [100, 104], "y": [1, 5], "kind": "aisle"}

    found = draw(api, token, [*areas, new]).json()

    assert (found["faults"], len(found["areas"])) == ([], len(areas) + 1)
    assert "+    A25: {x: [2, 17.5], y: [0, 20]}" in found["diff"]
    assert "+    A99: {x: [100, 104], y: [1, 5], kind: aisle}" in found["diff"]
    # What is in the page's editor stays.
    edited = found["text"].replace("description: ", "description: our ")
    assert "+description: our" in draw(api, token, areas, text=edited).json()["diff"]
    assert "A99" not in (tmp_path / "bays" / "yard.yaml").read_text(encoding="utf-8")


def test_areas_that_cannot_be_are_named(api: Any, ask: Callable[..., Any], token: Token) -> None:
    areas = ask("bays/yard")["areas"]

    def faults(*more: Any) -> str:
        return str(draw(api, token, [*areas, *more]).json()["faults"])

    assert "leaves the floor" in faults({"name": "A99", "x": [140, 160], "y": [1, 5], "kind": "work"})
    assert "from the smaller to the larger" in faults({"name": "A99", "x": [9, 5], "y": [1, 5], "kind": "work"})
    assert draw(api, token, [*areas, areas[0]]).status_code == 422
    assert draw(api, token, areas, text="a: [").json()["faults"] != []


# -- a camera ---------------------------------------------------------------------------------------


def calibrate(
    api: Any, token: Token, camera: str, points: list[Any], person: str = "operator-of-yard", **more: Any
) -> Any:
    path = f"/api/v1/bays/yard/cameras/{camera}/calibrate"
    return api.post(path, headers=token(person), json={"width": 1920, "height": 1080, "points": points, **more})


def clicked(yard: Any, camera: str) -> list[dict[str, Any]]:
    """Points of the floor as this camera sees them."""
    from bays.camera_model import CameraModel

    model = CameraModel.of(yard.camera(camera))
    places = [(x, y, 0.0) for x in range(2, 148, 9) for y in range(2, 39, 6)]
    pixels, ahead = model.project(np.array(places))
    inside = model.inside(pixels) & ahead
    chosen = [(place, pixel) for place, pixel, seen in zip(places, pixels, inside, strict=True) if seen][::3][:14]
    return [
        {"name": f"P{number}", "u": float(u), "v": float(v), "x": x, "y": y, "z": z}
        for number, ((x, y, z), (u, v)) in enumerate(chosen)
    ]


def test_points_give_the_camera_that_sees_them_so(api: Any, yard: Any, token: Token, tmp_path: Path) -> None:
    points = clicked(yard, "C_2")
    text = (tmp_path / "bays" / "yard.yaml").read_text(encoding="utf-8")

    answer = calibrate(api, token, "C_2", points)

    assert answer.status_code == 200, answer.text
    found = answer.json()
    values = {one["name"]: one["value"] for one in found["values"]}
    for name in ("x", "y", "z", "pan", "tilt"):
        assert values[name] == pytest.approx(getattr(yard.camera("C_2").pose, name), abs=0.05), name
    assert (found["doubts"], found["rms_px"]) == ([], pytest.approx(0, abs=0.1))
    assert (tmp_path / "bays" / "yard.yaml").read_text(encoding="utf-8") == text


def test_points_that_do_not_do_are_named(api: Any, yard: Any, token: Token) -> None:
    points = clicked(yard, "C_2")

    def refused(camera: str, points: list[Any], **more: Any) -> str:
        answer = calibrate(api, token, camera, points, **more)
        assert answer.status_code in (404, 422)
        return str(answer.json()["detail"])

    assert "at least 4 are needed" in refused("C_2", points[:3])
    assert "is given twice" in refused("C_2", [*points, points[0]])
    assert "has no camera X_9" in refused("X_9", points)
    assert "the frame is 1920 x 1440" in refused("C_2", points, height=1440)
    assert calibrate(api, token, "C_2", points, person="reader-of-yard").status_code == 403
