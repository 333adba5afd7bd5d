"""Files of points: what is written is read back, and a wrong row is named."""

import pytest

from bay_observation.errors import CalibrationError, ConfigError
from fusion.calibration import FloorPoint
from fusion.point_files import SurveyPoint, read_camera_points, read_points, read_survey, write_points

POINTS = [FloorPoint("P1", 10.25, 20.5, 3.125, 4.0), FloorPoint("pillar, 7", 1.0, 2.0, 3.0, 4.0, 1.5)]


@pytest.mark.parametrize("name", ["points.csv", "points.json"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_points(tmp_path / name, POINTS)
    assert read_points(tmp_path / name) == POINTS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_name_and_height_may_be_left_out(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("u, v, x, y\n1,2,3,4\n5,6,7,8\n", encoding="utf-8")
    assert read_points(path) == [FloorPoint("P1", 1, 2, 3, 4), FloorPoint("P2", 5, 6, 7, 8)]


def test_surveyed_points(tmp_path):
    path = tmp_path / "survey.csv"
    path.write_text("\ufeffname,x,y\nK1,3,4\nK2,5,6\n", encoding="utf-8")
    assert read_survey(path) == [SurveyPoint("K1", 3, 4), SurveyPoint("K2", 5, 6)]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.csv", "1,2,3,4\n", "the first line must name the columns"),
        ("p.csv", "", "the first line must name the columns .* the file is empty"),
        ("p.csv", "u;v;x;y\n1;2;3;4\n", "with commas between them; it is 'u;v;x;y'"),
        ("p.csv", "u,v,x,y\n1,2,3,4\n1,b,3,4\n", r"p\.csv:3: v is 'b': write a number, the pixel at which it shows"),
        ("p.csv", "u,v,x,y\n1,2,nan,4\n", r"p\.csv:2: x is 'nan': write a number, its place in metres"),
        ("p.csv", "u,v,x,y\n1,2,3\n", r"p\.csv:2: y is empty: write its place in metres, or leave the point out"),
        ("p.csv", "a" * 200_000, r"p\.csv: no CSV, after line 0: field larger"),
        ("p.csv", "u,v,x,y\n" + "1" * 200_000, r"p\.csv: no CSV, after line 1: field larger"),
        ("p.json", "[" * 100_000, r"p\.json: no JSON that can be read: maximum recursion"),
        ("p.json", "[" + "9" * 5000 + "]", r"p\.json: no JSON that can be read: Exceeds the limit"),
        (
            "p.json",
            '[{"u": 1%s, "v": 2, "x": 3, "y": 4}]' % ("0" * 400),
            r"p\.json: point 1: u is 10000.*write a number",
        ),
        ("p.json", "[{", r"p\.json:1: no JSON"),
        ("p.json", '{"u": 1}', "a list of points is wanted"),
        ("p.json", '[{"u": true, "v": 1, "x": 2, "y": 3}]', "point 1: u is True"),
    ],
)
def test_a_wrong_file_is_told(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match=reason):
        read_points(tmp_path / name)


@pytest.mark.parametrize("text", ["name,x,y\n,3,4\n", "name,x,y\nK1,3,4\nK1,5,6\n"])
def test_a_surveyed_point_has_a_name_of_its_own(tmp_path, text):
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match=r"s\.csv:\d: name .*: give each mark a name of its own"):
        read_survey(tmp_path / "s.csv")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read: No such file"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(CalibrationError, match="cannot be written"):
        write_points(tmp_path / "none" / "p.csv", POINTS)


MARKS = [SurveyPoint("M1", 3, 4), SurveyPoint("M2", 5, 6, 1.5)]


def test_a_mark_is_named_in_place_of_its_coordinates(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("name,u,v,x,y\nM2,1,2,,\nX,3,4,7,8\n")
    assert read_points(path, MARKS) == [FloorPoint("M2", 1, 2, 5, 6, 1.5), FloorPoint("X", 3, 4, 7, 8)]
    path.write_text("camera,name,u,v\nC_1,M1,1,2\nC_2,M1,3,4\nC_1,M2,5,6\n")
    assert {name: of_camera.all() for name, of_camera in read_camera_points(path, MARKS).items()} == {
        "C_1": [FloorPoint("M1", 1, 2, 3, 4), FloorPoint("M2", 5, 6, 5, 6, 1.5)],
        "C_2": [FloorPoint("M1", 3, 4, 3, 4)],
    }


@pytest.mark.parametrize(
    ("text", "marks", "reason"),
    [
        (
            "name,u,v\nm2,1,2\n",
            MARKS,
            r"p\.csv:2: point 'm2' has no x and y, and is no mark: did you mean M2\? Name one of M1, M2, or",
        ),
        ("name,u,v\nM1,1,2\n", [], "no marks are known: give --survey, or x and y"),
        ("name,u,v\nK,1,2\n", MARKS, r"p\.csv:2: point 'K' has no x and y, and is no mark: Name one of M1, M2"),
        ("camera,name,u,v\nC_1,M9,1,2\n", MARKS, r"p\.csv:2: C_1: point 'M9' has no x and y"),
        ("camera,name,u,v\nC_1,M1,,2\n", MARKS, r"p\.csv:2: C_1: point M1: u is empty: write the pixel"),
        ("camera,name,u,v\nC_1,M1,1,2\n,M2,1,2\n", MARKS, r"p\.csv:3: camera is empty: name it in each row"),
        (
            "camera,name,u,v\nC_1,M1,1,2\nC_2,M1,1,2\nC_1,M1,3,4\n",
            MARKS,
            r"p\.csv:4: C_1: point M1 is given twice: leave one out",
        ),
    ],
)
def test_a_mark_or_a_camera_that_is_not_said_is_told(tmp_path, text, marks, reason):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises((CalibrationError, ConfigError), match=reason):
        read_camera_points(tmp_path / "p.csv", marks)["C_1" if text.startswith("camera") else ""].all()


def test_a_wrong_row_of_one_camera_stops_no_other(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("camera,name,u,v\nC_1,M1,left,2\nC_2,M1,3,4\nC_1,M9,5,6\n")
    found = read_camera_points(path, MARKS)
    assert found["C_2"].all() == [FloorPoint("M1", 3, 4, 3, 4)]
    with pytest.raises(CalibrationError, match=r"csv:2: C_1: point M1: u is 'left'.*; .*csv:4: C_1: point 'M9' has"):
        found["C_1"].all()
    path.write_text("camera,name,u,v\n" + "C_1,M1,a,2\n" * 6)
    with pytest.raises(CalibrationError, match="and 2 more rows"):
        read_camera_points(path, MARKS)["C_1"].all()
