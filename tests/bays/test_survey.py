"""A new bay from a survey: the file that a person would have written, and wrong rows with file, line and column."""

import math
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from bays import load_bay
from bays.__main__ import main
from bays.checking import check_bay
from bays.loading import bay_file

AREAS = "name,x_from,x_to,y_from,y_to,kind\nA1,0,40,0,15,\nno,40,80,0,15,\naisle,0,80,15,19,aisle\nA3,0,80,19,34.5,\n"
CAMERAS = """name,host,x,y,z,looks_at_x,looks_at_y,width,height,focal_mm,sensor_mm
S_1,127.70.3.21,20,0,14,20,14,2560,1440,4,5.12
N_1,,60,34,14.5,20,-6,2560,1440,4,5.12
"""
MARKS = "name,x,y,z\nM1,0,15,\nM2,40,15,\npillar 3,40,34,1.2\n"


@pytest.fixture
def survey(tmp_path):
    for name, text in {"areas": AREAS, "cameras": CAMERAS, "marks": MARKS}.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def new(survey, *options, hall="80x34.5", files=("areas", "cameras", "marks")):
    given = [word for name in files for word in (f"--{name}", str(survey / f"{name}.csv"))]
    return main(["new", "hall", "--from", "yard", "--hall", hall, *given, *options])


def change_cameras(survey, old, new):
    table = survey / "cameras.csv"
    table.write_text(table.read_text().replace(old, new))


@pytest.fixture
def source(make_bay, bays_folder):
    """A bay whose file has comments, and another hall's witnesses."""
    make_bay("yard")
    path = bays_folder / "yard.yaml"
    content = yaml.safe_load(path.read_text())
    content["witnesses"] = {"OLD": {"x": 1, "y": 1}}
    content["network"] = {"camera_subnet": "127.60.0.0/24", "observer_ip": "127.60.0.1"}
    text = yaml.safe_dump(content, sort_keys=False)
    path.write_text(text.replace("camera_quorum: 8", "camera_quorum: 8   # of twelve") + "# the last line\n")
    return load_bay("yard")


def test_the_hall_is_that_of_the_survey(survey, source, capsys):
    assert new(survey) == 0
    said = capsys.readouterr().out
    assert "not enabled: 80 x 34.5 m, 4 areas, 2 cameras, 3 marks" in said
    bay = load_bay("hall")
    assert (bay.layout.width, bay.layout.height) == (80, 34.5)
    assert list(bay.layout.areas) == ["A1", "no", "aisle", "A3"]
    assert (bay.layout.areas["A3"].y, bay.layout.areas["aisle"].kind) == ((19, 34.5), "aisle")
    assert {name: (mark.x, mark.y, mark.z) for name, mark in bay.witnesses.items()} == {
        "M1": (0, 15, 0),
        "M2": (40, 15, 0),
        "pillar 3": (40, 34, 1.2),
    }
    first, second = bay.cameras
    assert (first.name, first.host, first.pose.pan, first.pose.tilt) == ("S_1", IPv4Address("127.70.3.21"), 0, 45)
    assert (first.intrinsics.width, first.intrinsics.height) == (2560, 1440)
    assert first.intrinsics.focal_px == 2000  # 2560 px x 4 mm / 5.12 mm
    assert (second.pose.pan, second.pose.tilt) == (225, round(math.degrees(math.atan2(14.5, 40 * math.sqrt(2))), 2))
    assert str(bay.network.camera_subnet) == "127.70.3.0/24"  # of the host that is named
    assert (str(second.host), str(bay.network.observer_ip)) == ("127.70.3.11", "127.70.3.1")
    assert bay.camera_quorum == 2  # two thirds of two cameras, rounded up
    assert [one for one in check_bay(bay, [source]) if one.level == "error"] == []


def test_a_lens_that_was_measured_keeps_its_distortion(survey, source):
    (survey / "cameras.csv").write_text(
        "name,x,y,z,pan,tilt,focal_px,k1,k2,p2\nS_1,20,0,18,0,45,1500,-0.12,0.03,1e-4\nS_2,60,0,18,0,45,1500,,,\n"
    )
    assert new(survey) == 0
    first, second = load_bay("hall").cameras
    assert first.intrinsics.distortion == (-0.12, 0.03, 0, 1e-4, 0)
    assert second.intrinsics.distortion == (0, 0, 0, 0, 0)


def test_what_is_doubtful_is_said_at_once(survey, source, bays_folder, capsys):
    """Three marks are fewer than a camera is calibrated by; a tilt in radians looks at the horizon."""
    (survey / "cameras.csv").write_text("name,x,y,z,pan,tilt,focal_px\nS_1,20,0,18,0,0.78,1500\n")
    assert new(survey) == 1  # it sees nothing of the floor
    said = capsys.readouterr().out
    lines = (bays_folder / "hall.yaml").read_text().splitlines()
    marks = next(number for number, line in enumerate(lines, start=1) if line.startswith("witnesses:"))
    pose = next(number for number, line in enumerate(lines, start=1) if line.strip().startswith("pose:"))
    assert f"warning: {bays_folder}/hall.yaml:{marks}: witnesses: 0 of them are in S_1's view: 5 are the fewest" in said
    assert f"hall.yaml:{pose}: cameras.S_1.pose: tilt 0.78°: it looks at the horizon: are these radians?" in said
    (bays_folder / "hall.yaml").unlink()
    assert new(survey, files=("areas", "cameras")) == 1
    assert "witnesses" not in capsys.readouterr().out  # of a bay without marks nothing is said of them


def test_it_is_the_file_that_a_person_would_have_written(survey, source, bays_folder):
    assert new(survey) == 0
    text = (bays_folder / "hall.yaml").read_text()
    assert "camera_quorum: 2   # of twelve\n" in text
    assert text.index("factory_layout:") < text.index("witnesses:") < text.index("cameras:")  # as in the source
    assert '    "no": {x: [40, 80], y: [0, 15]}\n' in text
    assert "    pose: {x: 20, y: 0, z: 14, pan: 0, tilt: 45}\n" in text
    assert "    intrinsics: {width: 2560, height: 1440, focal_px: 2000}\n" in text
    assert "OLD" not in text
    assert "# the last line" in text


def test_cameras_may_come_later(survey, source, capsys):
    assert new(survey, files=("areas",)) == 0
    bay = load_bay("hall")
    assert (bay.cameras, bay.witnesses) == ((), {})
    assert main(["place-cameras", "hall", "--add", "2"]) == 0
    assert "seen by no camera" in capsys.readouterr().out


def test_a_table_by_which_it_cannot_work_ends_with_1(survey, source, capsys):
    """The file is written, so that each line that is wrong can be named."""
    change_cameras(survey, "20,0,14,20,14,", "20,0,14,20,-40,")
    assert new(survey) == 1
    said = capsys.readouterr().out
    assert "error: " in said
    assert "it sees 0.0% of the floor" in said
    assert said.endswith("correct the survey, and run this again with --again\n")
    change_cameras(survey, "20,0,14,20,-40,", "20,0,14,20,14,")
    assert new(survey, "--again") == 0


def test_hosts_of_another_bay_are_told_with_their_table(survey, source, capsys):
    change_cameras(survey, "127.70.3.21", "127.60.0.21")
    assert new(survey) == 2
    said = capsys.readouterr().err
    assert "cameras.csv:2: host: 127.60.0.0/24 overlaps 127.60.0.0/24 of bay yard: give another --subnet and" in said
    assert said.endswith("cameras.csv, or leave the column host out\n")


@pytest.mark.parametrize(
    ("columns", "values", "pan", "focal"),
    [
        ("pan,tilt,focal_px", "12.5,40,1500", 12.5, 1500),
        ("pan,tilt,view_deg", "12.5,40,90", 12.5, 960),
        ("looks_at_x,looks_at_y,focal_mm,sensor_mm", "30,5,4,8", 90, 960),
    ],
)
def test_where_it_looks_and_its_lens_are_said_in_either_way(survey, source, columns, values, pan, focal):
    (survey / "cameras.csv").write_text(
        f"name;x;y;z;{columns.replace(',', ';')}\nC;10;5;12;{values.replace(',', ';')}\n"
    )
    assert new(survey) == 0
    [camera] = load_bay("hall").cameras
    assert (camera.pose.pan, camera.intrinsics.focal_px) == (pan, focal)
    assert (camera.intrinsics.width, camera.port) == (1920, 80)


CAMERA = "name,host,x,y,z,pan,tilt,focal_px\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("areas", AREAS.replace("40,80", "40,8O"), "areas.csv:3: x_to: '8O' is no number: write it as 12.5"),
        ("areas", AREAS.replace("40,80", "80,40"), "areas.csv:3: x_to: 40 is not above x_from, 80: exchange them?"),
        (
            "areas",
            AREAS.replace("34.5", "35"),
            "areas.csv:5: y_to: area A3 leaves the hall, which is 0 to 34.5 m along",
        ),
        ("areas", AREAS.replace("no,", "A1,"), "areas.csv:3: name: A1 stands twice"),
        ("areas", AREAS.replace("no,40,80", "B,0,40"), "areas.csv:3: x_from: B is the same place as A1"),
        ("areas", AREAS.replace(",aisle\n", ",corridor\n"), "areas.csv:4: kind: 'corridor': Input should be 'work',"),
        ("areas", AREAS.replace("x_from", "x_form"), "areas.csv:1: 'x_form' is no column: did you mean x_from?"),
        ("areas", AREAS.replace("kind", "x_to"), "areas.csv:1: column x_to stands twice"),
        ("areas", "name,x_from,x_to,y_from\n", "areas.csv:1: column y_to is missing: the first line names"),
        ("areas", AREAS.partition("\n")[0], "areas.csv:1: holds no area: give it a line for each, as A1,0,20,0,17"),
        ("areas", AREAS + "A4,1,2,3,4,work,7\n", "areas.csv:6: has 7 values for 6 columns"),
        ("areas", "", "areas.csv:1: is empty: its first line names the columns"),
        ("cameras", CAMERA + "C,,1,2,,0,45,1500\n", "cameras.csv:2: z: is empty, and a number is wanted"),
        ("cameras", CAMERA + "C,,1,2,-3,0,45,1500\n", "cameras.csv:2: z: '-3': Input should be greater than 0"),
        ("cameras", CAMERA + "C,,1,2,9,0,95,1500\n", "cameras.csv:2: tilt: '95': Input should be less than or equal"),
        ("cameras", CAMERA + "C,,1,2,9,0,45,1\n", "cameras.csv:2: focal_px: '1': Input should be greater than 10"),
        ("cameras", CAMERA + "C,,1,2,9,0,45,\n", "cameras.csv:2: focal_px: is empty: its focal length is wanted, as"),
        ("cameras", CAMERA + "C,,1,2,9,0,,1500\n", "cameras.csv:2: tilt: is empty: where it looks is wanted, as"),
        ("cameras", CAMERA + "C,10.1.1,1,2,9,0,45,1500\n", "cameras.csv:2: host: '10.1.1' is no IPv4 address"),
        (
            "cameras",
            CAMERA + "C,127.70.1.1,1,2,9,0,45,1500\nD,127.70.2.1,1,2,9,0,45,1500\n",
            "cameras.csv:3: host: 127.70.2.1 lies outside 127.70.1.0/24: change it, or give --subnet",
        ),
        (
            "cameras",
            CAMERA + "C,127.70.1.8,1,2,9,0,45,1500\nD,127.70.1.8,1,2,9,0,45,1500\n",
            "cameras.csv:3: host: 127.70.1.8 is that of C too",
        ),
        ("cameras", CAMERA + "C,,1,2,9,0,45,9\nC,,1,2,9,0,45,1500\n", "cameras.csv:2: focal_px: '9'"),
        (
            "cameras",
            "name,x,y,z,pan,tilt,looks_at_x,looks_at_y,focal_px\nC,1,2,9,0,45,5,5,1500\n",
            "cameras.csv:2: looks_at_x: where it looks is given twice: give pan,tilt or looks_at_x,looks_at_y",
        ),
        (
            "cameras",
            "name,x,y,z,looks_at_x,looks_at_y,view_deg\nC,1,2,9,1,2,80\n",
            "cameras.csv:2: looks_at_x: it looks straight down: give pan,tilt",
        ),
        (
            "cameras",
            "name,x,y,z,pan,tilt,width,focal_px\nC,1,2,9,0,45,2560.5,1500\n",
            "cameras.csv:2: width: '2560.5' is no whole number",
        ),
        ("marks", "name,x,y\nM1,1,2\nM1,2,3\n", "marks.csv:3: name: M1 stands twice"),
        ("marks", "name,x,y\nM1,1,\n", "marks.csv:2: y: is empty, and a number is wanted"),
        ("marks", "name,x,y\nM1,1,5000\n", "marks.csv:2: y: '5000': Input should be less than or equal to 1000"),
    ],
)
def test_a_wrong_row_is_refused_with_its_column(survey, source, bays_folder, capsys, name, text, words):
    (survey / f"{name}.csv").write_text(text, encoding="utf-8")
    assert new(survey) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (bays_folder / "hall.yaml").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--areas", "areas.csv"], "a survey is --survey FILE, or at least --hall 80x34 and --areas FILE"),
        (["--hall", "80x34"], "a survey is --survey FILE, or at least --hall 80x34 and --areas FILE"),
        (["--hall", "80 by 34"], "'80 by 34' is no hall: write its sides in metres, as 80x34"),
        (["--hall", "80x0"], "'80x0' is no hall"),
        (["--hall", "80x34", "--areas", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_half_a_survey_is_wrong_use(survey, source, monkeypatch, capsys, options, words):
    monkeypatch.chdir(survey)
    try:
        status = main(["new", "hall", "--from", "yard", *options])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert words in capsys.readouterr().err


TEXT = """# metres from one corner
hall 80 34.5
area A1 0 40 0 15
area way 0 80 15 19 aisle   # nobody works here
cameras z=14 width=2560 height=1440 focal_mm=4 sensor_mm=5.12 host=127.70.3.21
camera S_1 20 0 20 14
camera N_1 60 34 pan=225 tilt=40 z=14.5 focal_px=1900
mark M1 0 15
mark no 40 34 1.2
marks G 5 15 25 / 2 30
"""


def new_by_text(survey, text, *options):
    (survey / "survey.txt").write_text(text, encoding="utf-8")
    return main(["new", "hall", "--from", "yard", "--survey", str(survey / "survey.txt"), *options])


def test_a_survey_is_one_text(survey, source, capsys):
    assert new_by_text(survey, TEXT) == 0
    assert "not enabled: 80 x 34.5 m, 2 areas, 2 cameras, 8 marks" in capsys.readouterr().out
    bay = load_bay("hall")
    assert (bay.layout.width, bay.layout.height, bay.layout.areas["way"].kind) == (80, 34.5, "aisle")
    first, second = bay.cameras
    assert (first.pose.pan, first.pose.tilt, first.pose.z, first.intrinsics.focal_px) == (0, 45, 14, 2000)
    assert (second.pose.pan, second.pose.tilt, second.pose.z, second.intrinsics.focal_px) == (225, 40, 14.5, 1900)
    assert [str(camera.host) for camera in bay.cameras] == ["127.70.3.21", "127.70.3.22"]  # counted up
    marks = {name: (mark.x, mark.y, mark.z) for name, mark in bay.witnesses.items()}
    assert marks["M1"] == (0, 15, 0)
    assert marks["no"] == (40, 34, 1.2)
    assert [marks[f"G{number}"][:2] for number in range(1, 7)] == [
        (5, 2),
        (15, 2),
        (25, 2),
        (5, 30),
        (15, 30),
        (25, 30),
    ]


def test_a_survey_that_was_changed_is_written_again(survey, source, bays_folder, capsys):
    assert new_by_text(survey, TEXT.replace(" host=127.70.3.21", "")) == 0
    first = load_bay("hall")
    assert new_by_text(survey, TEXT) == 2
    assert "hall.yaml: is there already: choose another id, edit it, or write over it with --again" in (
        capsys.readouterr().err
    )
    wider = TEXT.replace("area A1 0 40", "area A1 0 44").replace(" host=127.70.3.21", "")
    assert new_by_text(survey, wider, "--again") == 0
    bay = load_bay("hall")
    assert bay.layout.areas["A1"].x == (0, 44)
    assert bay.network == first.network  # its own network is not another's
    path = bays_folder / "hall.yaml"
    written = path.read_text()
    assert new_by_text(survey, wider.replace("0 44", "0 4O"), "--again") == 2
    assert path.read_text() == written
    path.write_text(written.replace("enabled: false", "enabled: true"))
    assert new_by_text(survey, wider, "--again") == 2
    assert "hall.yaml: is enabled, and --again loses what was calibrated" in capsys.readouterr().err
    assert main(["new", "hall", "--from", "hall", "--again"]) == 2


def test_what_stands_between_the_words_is_free(survey, source):
    assert new_by_text(survey, TEXT) == 0
    spaced = load_bay("hall")
    for separator in ",;\t":
        lines = [separator.join(line.partition("#")[0].split()) for line in TEXT.splitlines()]
        bay_file("hall").unlink()
        assert new_by_text(survey, "\n".join(lines) + "\n") == 0
        assert load_bay("hall") == spaced


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("area A1 0 40 0 15", "area A1 0 40, 0 15"),
        ("area A1 0 40 0 15", "area A1, 0 40; 0\t15,"),
        ("area A1 0 40 0 15", "area A1 0,40 0,15"),
        ("aisle   # nobody works here", ", aisle   # nobody, or; nearly"),
        ("camera S_1 20 0 20 14", "camera S_1, 20, 0, 20, 14"),
        ("camera S_1 20 0 20 14", "camera S_1; 20 0; 20 14"),
        ("camera S_1 20 0 20 14", "camera S_1 20,0 20,14"),
        ("pan=225 tilt=40 z=14.5", "pan = 225, tilt= 40; z =14.5"),
        ("mark M1 0 15", "mark M1 0, 15"),
        ("marks G 5 15 25 / 2 30", "marks G 5, 15, 25/2, 30"),
        ("marks G 5 15 25 / 2 30", "marks G 5,15,25 / 2 30"),
    ],
)
def test_any_mixture_of_separators_does(survey, source, old, new):
    assert new_by_text(survey, TEXT) == 0
    plain = load_bay("hall")
    bay_file("hall").unlink()
    assert TEXT.count(old) == 1
    assert new_by_text(survey, TEXT.replace(old, new)) == 0
    assert load_bay("hall") == plain


def test_a_name_between_separators_may_have_spaces(survey, source):
    assert new_by_text(survey, TEXT.replace("mark no 40 34 1.2", "mark, pillar 3, 40, 34, 1.2")) == 0
    assert load_bay("hall").witnesses["pillar 3"].z == 1.2


def test_the_documented_survey_has_nothing_to_be_told(source, capsys):
    path = Path(__file__).parents[2] / "docs/examples/survey/survey.txt"
    assert main(["new", "hall", "--from", "yard", "--survey", str(path)]) == 0
    assert "hall: nothing to say" in capsys.readouterr().out
    assert len(load_bay("hall").cameras) == 8
    assert path.read_text(encoding="utf-8") in (path.parents[2] / "add_a_bay.md").read_text(encoding="utf-8")


def test_cameras_in_a_row_have_their_side_once_and_look_straight_across(survey, source):
    rows = """cameras z=14 view_deg=80
cameras y=34 looks_at_y=16 host=127.70.3.21
camera N_1 20
camera N_2 60 looks_at_x=55
cameras y=0 looks_at_y=18
camera S_1 20
camera S_2 60 pan=0 tilt=40
"""
    head = TEXT[: TEXT.index("cameras z=14")]
    assert new_by_text(survey, head + rows) == 0
    cameras = load_bay("hall").cameras
    assert [(one.name, one.pose.x, one.pose.y, one.pose.pan) for one in cameras] == [
        ("N_1", 20, 34, 180),
        ("N_2", 60, 34, round(180 + math.degrees(math.atan2(5, 18)), 2)),
        ("S_1", 20, 0, 0),
        ("S_2", 60, 0, 0),
    ]
    assert [one.pose.tilt for one in cameras[::2]] == [round(math.degrees(math.atan2(14, 18)), 2)] * 2
    assert str(cameras[-1].host) == "127.70.3.24"


def test_a_later_lens_of_all_replaces_the_earlier_one(survey, source):
    later = TEXT.replace("camera S_1", "cameras view_deg=90\ncamera S_1")
    assert new_by_text(survey, later) == 0
    assert load_bay("hall").cameras[0].intrinsics.focal_px == 1280  # half of 2560, by the tangent of 45 degrees


def test_a_new_bay_says_what_to_paste_next(survey, source, capsys):
    assert new_by_text(survey, TEXT) == 0
    said = capsys.readouterr().out
    commands = [line.strip() for line in said[said.index("Next:") :].splitlines()[1:]]
    assert [" ".join(command.split()[1:3]) for command in commands] == [
        "bay plan", "simulate render", "camera overlay", "calibrate hall", "camera keep-witnesses", "demo --bay",
    ]  # fmt: skip
    assert all(command.startswith("bay-observation ") and "hall" in command for command in commands)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hall 80 34.5\n", "", "survey.txt:1: has no hall: give its sides in metres, as hall 80 34"),
        ("hall 80 34.5", "hall 80", "survey.txt:2: height: is empty, and a number is wanted"),
        ("hall 80 34.5", "hall 80 0", "survey.txt:2: height: 0 is no side of a hall"),
        ("area A1", "aria A1", "survey.txt:3: 'aria' is no line of a survey: did you mean area?"),
        ("area A1 0 40 0 15", "area A1 0 4O 0 15", "survey.txt:3: x_to: '4O' is no number"),
        ("area A1 0 40 0 15", "area A1 0 40 0 15 work 7", "survey.txt:3: '7' is one value too many: write area name"),
        ("cameras z=14", "cameras", "survey.txt:6: z: is empty, and a number is wanted; of all cameras"),
        ("cameras z=14", "cameras hight=14", "survey.txt:5: 'hight' is no column: did you mean height?"),
        ("camera S_1 20 0 20 14", "camera S_1 20 0 20 14 x=3", "survey.txt:6: column x stands twice"),
        ("camera S_1 20 0 20 14", "camera S_1 20 0", "survey.txt:6: pan: is empty: where it looks is wanted, as"),
        ("camera N_1", "camera S_1", "survey.txt:7: name: S_1 stands twice"),
        ("host=127.70.3.21", "host=127.70.3", "survey.txt:5: host: '127.70.3' is no IPv4 address"),
        ("mark M1 0 15", "mark M1 0 1500", "survey.txt:8: y: '1500': Input should be less than or equal to 1000"),
        ("marks G 5 15 25 / 2 30", "marks G 5 15 25", "survey.txt:10: write marks, a name, places along x"),
        ("marks G 5 15 25 / 2 30", "marks G 5 15 25 /", "survey.txt:10: places along y are missing"),
        ("marks G 5 15 25 / 2 30", "marks M 5 15 25 / 2 30", "survey.txt:10: name: M1 stands twice"),
        ("area A1", "aera A1", "survey.txt:3: 'aera' is no line of a survey: did you mean area?"),
        ("hall 80 34.5", "hall 80 34,5", "survey.txt:2: '5' is one value too many: write hall width height, and"),
        ("hall 80 34.5", "hall 80 34,5", "is 34,5 one number? Write decimal points, as 34.5"),
        ("hall 80 34.5", "hall 80000 34", "width: 80000 is no side of a hall: write metres, 0 to 1000: is it in"),
        ("area A1 0 40 0 15", "area A1 0 40 0 14,5", "survey.txt:3: '5' is one value too many"),
        ("area A1 0 40 0 15", "area A1 0 40 0 14,5", "is 14,5 one number? Write decimal points, as 14.5"),
        ("camera S_1 20 0 20 14", "camera S_1 20,5 0 20 14", "is 20,5 one number? Write decimal points, as 20.5"),
        ("camera N_1 60 34", "camera N_1 60,5 34", "txt:7: looks_at_x: where it looks is given twice"),
        ("camera N_1 60 34", "camera N_1 60,5 34", "is 60,5 one number? Write decimal points, as 60.5"),
        ("z=14.5", "z=14,5", "survey.txt:7: 14,5 is 14 and 5, or one number: write 14 5, or with a point, 14.5"),
        ("mark M1 0 15", "mark M1 0,5 15", "txt:8: 0,5 is 0 and 5, or one number: write 0 5, or with a point, 0.5"),
        ("marks G 5 15 25 / 2 30", "marks G 5 15,5 25 / 2 30", "survey.txt:10: 15,5 is 15 and 5, or one number"),
        ("marks G 5 15 25 / 2 30", "marks G 5,5 15,5 / 2 30", "survey.txt:10: '5' stands twice along x: leave one out"),
        ("camera S_1 20 0 20 14", "cameras y=0 looks_at_y=14\ncamera S_1 20,5", "txt:7: 20,5 is 20 and 5, or one"),
        ("cameras z=14", "cameras z=14m", "survey.txt:5: z: '14m' is no number"),  # of all cameras: on their line
        ("cameras z=14", "cameras z=14000", "survey.txt:5: z: '14000': Input should be less than"),
        ("cameras z=14", "cameras z=14000", "Input should be less than or equal to 200 metres: is it in millimetres?"),
        (
            "focal_mm=4 sensor_mm=5.12",
            "focal_mm=5.12 sensor_mm=4",
            "txt:6: focal_mm: a sensor 4 mm wide behind a lens of 5.12 mm: are focal_mm and sensor_mm exchanged?",
        ),
        (
            "focal_mm=4 sensor_mm=5.12",
            "focal_mm=4 sensor_mm=51.2",
            "survey.txt:6: focal_mm: 4 mm behind a sensor 51.2 mm wide is a view of 162.2°: is one in another unit?",
        ),
    ],
)  # fmt: skip
def test_a_wrong_line_of_the_text_is_refused(survey, source, bays_folder, capsys, old, new, words):
    assert TEXT.count(old) == 1
    assert new_by_text(survey, TEXT.replace(old, new)) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (bays_folder / "hall.yaml").exists()


def test_hosts_of_another_bay_are_told_with_the_line_that_names_them(survey, source, capsys):
    assert new_by_text(survey, TEXT.replace("127.70.3.21", "127.60.0.21")) == 2
    assert "survey.txt:5: host: 127.60.0.0/24 overlaps 127.60.0.0/24 of bay yard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("focal", "sensor", "is_exchanged"),
    [
        (2.8, 5.4, False), (5.4, 2.8, True), (4, 7.18, False), (7.18, 4, True), (6, 6.4, False), (8, 4.8, False),
        (12, 5.37, False), (35, 36, False), (50, 23.5, False), (2.8, 4.8, False), (4.8, 2.8, True), (3.6, 4.8, False),
    ],
)  # fmt: skip
def test_focal_length_and_sensor_exchanged_are_told(survey, source, capsys, focal, sensor, is_exchanged):
    text = TEXT.replace("focal_mm=4 sensor_mm=5.12", f"focal_mm={focal} sensor_mm={sensor}")
    assert (new_by_text(survey, text) == 2) is is_exchanged
    assert ("are focal_mm and sensor_mm exchanged?" in capsys.readouterr().err) is is_exchanged


def test_a_text_has_the_tables_too(survey, source, capsys):
    assert new_by_text(survey, TEXT, "--hall", "80x34") == 2
    assert "--survey has the hall too: leave --hall out" in capsys.readouterr().err


def test_marks_that_may_not_decide_are_told_before_a_camera_is_calibrated(survey, source, capsys):
    """Of a lens whose bend nobody has measured eight are wanted; of one that was measured five do."""
    few = TEXT.replace("marks G 5 15 25 / 2 30", "marks G 12 20 28 / 9 16")
    assert new_by_text(survey, few) == 0
    said = "fewer than 8 are in the view of S_1 ("
    assert said in capsys.readouterr().out
    bay_file("hall").unlink()
    assert new_by_text(survey, few.replace("sensor_mm=5.12", "sensor_mm=5.12 k1=-0.1")) == 0
    assert said not in capsys.readouterr().out
