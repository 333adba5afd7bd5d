"""The clicking page's server, asked as a browser and as somebody else would."""

import json
import urllib.error
import urllib.request

import pytest

from bay_observation.errors import CalibrationError
from fusion.calibration import FloorPoint
from fusion.clicking import ClickingPage
from fusion.point_files import SurveyPoint, read_points

FRAME = b"\xff\xd8\xff\xe0 a frame"
ROW = {"name": "P1", "u": 10.5, "v": 20, "x": "3", "y": 4, "z": ""}


@pytest.fixture
def page(tmp_path):
    def judge(points):
        if len(points) < 2:
            raise CalibrationError("1 points where at least 2 are needed")
        return f"{len(points)} points are fine"

    with ClickingPage(
        "C_4",
        FRAME,
        (1920, 1080),
        tmp_path / "points.csv",
        points=[FloorPoint("P0", 1, 2, 3, 4)],
        survey=[SurveyPoint("K1", 5, 6)],
        judge=judge,
    ) as page:
        yield page


def ask(url, body=None, headers=None):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.slow(1)
def test_serves_the_page_its_frame_and_its_state(page):
    assert page.url.startswith("http://127.0.0.1:")
    status, html = ask(page.url)
    assert status == 200
    assert b"//" not in html.split(b"<script>")[0].replace(b"<!doctype", b"")  # nothing from elsewhere
    assert b"http" not in html
    assert ask(page.url + "frame") == (200, FRAME)
    state = json.loads(ask(page.url + "state")[1])
    assert state["camera"] == "C_4"
    assert state["points"] == [{"name": "P0", "u": 1, "v": 2, "x": 3, "y": 4, "z": 0.0}]
    assert state["survey"] == [{"name": "K1", "x": 5, "y": 6, "z": 0.0}]


@pytest.mark.slow(1)
def test_saves_the_points_and_says_what_they_give(page):
    second = {**ROW, "name": "", "z": 1.5}
    status, answer = ask(page.url + "points", {"size": [1920, 1080], "points": [ROW, second]})
    assert (status, json.loads(answer)) == (200, {"saved": 2, "report": "2 points are fine"})
    assert read_points(page.path) == [FloorPoint("P1", 10.5, 20, 3, 4, 0), FloorPoint("P2", 10.5, 20, 3, 4, 1.5)]
    assert not page.done.is_set()


@pytest.mark.slow(1)
def test_too_few_points_are_kept_all_the_same(page):
    _, answer = ask(page.url + "points", {"size": [1920, 1080], "points": [ROW]})
    assert json.loads(answer) == {"saved": 1, "report": "1 points where at least 2 are needed"}
    assert len(read_points(page.path)) == 1


@pytest.mark.slow(1)
def test_done_ends_the_waiting(page):
    ask(page.url + "done", {"size": [1920, 1080], "points": [ROW, ROW]})
    assert page.done.wait(5)
    assert len(page.points) == 2


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no json", "Expecting value"),
        ([], "sent no points"),
        ({"size": [1920, 1080], "points": [3]}, "a point that is none"),
        ({"size": [1280, 720], "points": [ROW]}, "the intrinsics are for [1920, 1080]"),
        (
            {"size": [1920, 1080], "points": [{**ROW, "x": ""}]},
            "point P1: x is empty: write its place in metres",
        ),
        ({"size": [1920, 1080], "points": [{**ROW, "v": "nan"}]}, "v is 'nan': write a number"),
    ],
)
def test_a_wrong_point_is_told_and_nothing_is_written(page, body, reason):
    status, answer = ask(page.url + "done", body)
    assert status == 400
    assert reason in json.loads(answer)["error"]
    assert not page.path.exists()
    assert not page.done.is_set()


@pytest.mark.slow(1)
def test_without_the_secret_or_for_another_host_there_is_nothing(page):
    root = f"http://{page.host}/"
    assert ask(root)[0] == 404
    assert ask(root + "state")[0] == 404
    assert ask(page.url + "../state")[0] == 404
    assert ask(page.url + "state", headers={"Host": "evil.example"})[0] == 404
    assert ask(page.url + "points", {"size": [1920, 1080], "points": []}, {"Host": "evil.example"})[0] == 404


def test_a_frame_that_is_no_image_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="neither JPEG nor PNG"):
        ClickingPage("C_4", b"<html>", (1920, 1080), tmp_path / "p.csv", judge=str)


@pytest.mark.slow(1)
def test_a_port_in_use_is_told(page, tmp_path):
    port = int(page.host.rpartition(":")[2])
    with pytest.raises(CalibrationError, match=f"port {port} on 127.0.0.1 cannot be used"):
        ClickingPage("C_4", FRAME, (1920, 1080), tmp_path / "p.csv", judge=str, port=port)
