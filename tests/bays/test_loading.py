"""A bay's file: what is right loads, what is wrong is told with file, line, key and reason."""

import shutil
from pathlib import Path

import pytest

import bays
from bay_observation.errors import ConfigError
from bays import BayConfig, loading
from bays.__main__ import main
from bays.loading import line_of_key, read_strictly

SHIPPED = Path(bays.__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in SHIPPED.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    monkeypatch.setenv("BAYS_PATH", str(tmp_path))
    monkeypatch.delenv("BAYS_ENABLED", raising=False)
    return tmp_path


def edit(folder: Path, old: str, new: str, bay: str = "3bay_north") -> int:
    """Replace the first `old` in the bay's file; returns the line (from 1) where it stood."""
    path = folder / f"{bay}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_the_shipped_bays_are_right(folder: Path) -> None:
    assert bays.bay_ids() == ["3bay_north", "4bay", "5bay", "demo_bay"]
    assert set(bays.enabled_bays()) == {"3bay_north"}


def test_3bay_north_is_as_the_specification_gives_it(folder: Path) -> None:
    bay = bays.load_bay("3bay_north")
    assert [camera.name for camera in bay.cameras] == [f"{row}_{n}" for row in "CD" for n in (2, 4, 6, 7, 9, 11)]
    assert str(bay.camera("C_9").host) == "10.150.160.209"
    assert str(bay.network.camera_subnet) == "10.150.160.0/24"
    assert (bay.layout.width, bay.layout.height) == (150, 40)
    assert bay.layout.areas["A25"].x == (2, 18)
    assert not bay.layout.areas["A18(T/O)"].tracked
    assert not bay.layout.areas["-"].tracked
    assert str(bay.operating_hours[0]) == "08:30-09:20"
    assert bay.models.yolo_detection.name == "best_250408.pt"


def test_the_environment_chooses_the_enabled_bays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAYS_ENABLED", "demo_bay")
    assert set(bays.enabled_bays()) == {"demo_bay"}
    assert not bays.load_bay("3bay_north").enabled
    monkeypatch.setenv("BAYS_ENABLED", "")
    assert bays.enabled_bays() == {}


def test_adding_a_bay_is_adding_a_file(folder: Path) -> None:
    shutil.copy(folder / "3bay_north.yaml", folder / "6bay_south.yaml")
    assert set(bays.enabled_bays()) == {"3bay_north", "6bay_south"}


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        (
            "host: 10.150.160.184",
            "host: 10.150.161.184",
            "cameras.1.host",
            "host 10.150.161.184 lies outside",
        ),
        ("host: 10.150.160.184", "host: 10.150.160.183", "cameras.1.host", "camera host used twice: 10.150.160.183"),
        ("name: C_4", "name: C_2", "cameras.1.name", "camera name used twice: C_2"),
        ('"08:30-09:20"', '"08:30-25:20"', "operating_hours.0", "'08:30-25:20' is no window of the day"),
        ('"08:37-08:43"', "830", "skip_times.0", "an object"),
        ("image_provider: onvif", "image_provider: carrier_pigeon", "image_provider", "unknown image provider"),
        ("    pose: {", "    # pose: {", "cameras.0", "camera C_2: fusion needs its pose and intrinsics"),
        ("timezone: Asia/Seoul", "timezone: Asia/Soul", "timezone", "no time zone"),
        ("timezone: Asia/Seoul", "timezone: Asia", "timezone", "no time zone"),
        ("timezone: Asia/Seoul", "timezone: localtime", "timezone", "no time zone"),
        ("timezone: Asia/Seoul", "timezone: posix/Asia/Seoul", "timezone", "no time zone"),
        ("camera_quorum: 8", "camera_quorum: 13", "camera_quorum", "13 is more than the 12 cameras"),
        (
            "camera_quorum: 8",
            "camera_quorm: 8",
            "camera_quorm",
            "Extra inputs are not permitted: did you mean camera_quorum?",
        ),
        ("focal_px: 1442", "focl_px: 1442", "cameras.0.intrinsics.focl_px", "did you mean focal_px?"),
        ("certain: 0.9", "certian: 0.9", "tracking.certian", "did you mean certain"),
        ("    port: 80", "     port: 80", "", "is the line, or the one before, indented as its neighbours are"),
        ('observation: "*/10 * * * *"', 'observation: "99 * * * *"', "schedule.observation", "no cron expression"),
        ('observation: "*/10 * * * *"', 'observation: "* * 31 2 *"', "schedule.observation", "never comes true"),
        ("port: 80", "port: yes", "cameras.0.port", "valid integer"),
        ("port: 80", 'port: "80"', "cameras.0.port", "valid integer"),
        ("host: 10.150.160.183", "host: 2130706433", "cameras.0.host", ""),
        ("pan: ", "pan: yes, roll: ", "cameras.0.pose.pan", "valid number"),
        ("camera_subnet: 10.150.160.0/24", "camera_subnet: 0.0.0.0/0", "network.camera_subnet", "wider than /16"),
        ("description: ", "description: 2025-13-01 # ", "", "2025-13-01 is no text"),
        ("description: ", "description: 2025-12-01 # ", "", "2025-12-01 is no text: put it in quotes"),
        ("description: ", "{{ bay }}: b\ndescription: ", "", "is no text"),
        ("description: ", "? [a]\ndescription: ", "", "is no text"),
        ("description: ", "1: b\ndescription: ", "", "is no text"),
        ("description: ", "deep: " + "[" * 100_000 + "\ndescription: ", "", "nested too deep"),
        ("description: ", "long: " + "a" * 600_000 + "\ndescription: ", "", "characters; it may have"),
        ("port: 80", "port: 70000", "cameras.0.port", "less than or equal to 65535"),
        ("x: [2, 18]", "x: [18, 2]", "factory_layout.areas.A25", "must each run from the smaller"),
        ("x: [131, 147]", "x: [131, 157]", "factory_layout.areas.A1G", "area A1G leaves the floor"),
        ('observation: "*/10 * * * *"', "observation: hourly", "schedule.observation", "no cron expression"),
        ("fusion: null", 'fusion: "* * * * *"', "schedule.fusion", "should be null"),
        ("observer_ip: 10.150.160.1", "observer_ip: here", "network.observer_ip", "Expected 4 octets in 'here'"),
        ("tilt: 46}", "tilt: 146}", "cameras.0.pose.tilt", "less than or equal to 90"),
        ("tilt: 46}", "tilt: .nan}", "", ".nan is no number that counts"),
        ("tilt: 46}", "tilt: 1.0e+999}", "", "1.0e+999 is no number that counts"),
    ],
)
def test_a_fault_is_named_with_file_key_and_reason(folder: Path, old: str, new: str, key: str, reason: str) -> None:
    edit(folder, old, new)
    with pytest.raises(ConfigError) as caught:
        bays.load_bay("3bay_north")
    message = str(caught.value)
    assert message.startswith(str(folder / "3bay_north.yaml") + ":")
    assert f": {key}: " in message if key else True
    assert reason in message


def test_the_line_of_the_fault_is_told(folder: Path) -> None:
    line = edit(folder, "camera_quorum: 8", "camera_quorum: many")
    with pytest.raises(ConfigError, match=rf"3bay_north\.yaml:{line}: camera_quorum: "):
        bays.load_bay("3bay_north")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("name: C_4", "name: C_2", "cameras.1.name"),
        ("host: 10.150.160.184", "host: 10.150.160.183", "cameras.1.host"),
        ("host: 10.150.160.184", "host: 10.150.161.184", "cameras.1.host"),
        ("x: [131, 147]", "x: [131, 157]", "factory_layout.areas.A1G"),
        ("camera_quorum: 8", "camera_quorum: 13", "camera_quorum"),
    ],
)
def test_of_values_that_do_not_fit_the_one_to_change_is_told(folder: Path, old: str, new: str, key: str) -> None:
    line = edit(folder, old, new)
    with pytest.raises(ConfigError, match=rf"3bay_north\.yaml:{line}: {key}: "):
        bays.load_bay("3bay_north")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  width: 150", "\twidth: 150"),
        ("  camera_subnet:", " \tcamera_subnet:"),
        ("  - name: C_4", "  -\tname: C_4"),
        ("timezone:", "\ttimezone:"),
    ],
)
def test_a_tab_is_named(folder: Path, old: str, new: str) -> None:
    line = edit(folder, old, new)
    with pytest.raises(ConfigError, match=rf"3bay_north\.yaml:{line}: a tab: YAML indents with spaces"):
        bays.load_bay("3bay_north")


def test_every_fault_is_listed_at_once(folder: Path) -> None:
    edit(folder, "camera_quorum: 8", "camera_quorum: 0")
    edit(folder, "timezone: Asia/Seoul", "timezone: Mars")
    with pytest.raises(ConfigError) as caught:
        bays.load_bay("3bay_north")
    assert len(str(caught.value).splitlines()) == 2


def test_a_key_that_stands_twice_is_refused(folder: Path) -> None:
    edit(folder, "camera_quorum: 8", "camera_quorum: 8\ncamera_quorum: 9")
    with pytest.raises(ConfigError, match="key 'camera_quorum' stands twice"):
        bays.load_bay("3bay_north")


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "\t- x", "!!python/object/apply:os.system ['true']"])
def test_what_is_no_bay_at_all_is_told(folder: Path, text: str) -> None:
    (folder / "3bay_north.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"3bay_north\.yaml"):
        bays.load_bay("3bay_north")


def test_a_file_that_ends_too_early_has_its_fault_in_its_last_line(folder: Path) -> None:
    (folder / "3bay_north.yaml").write_text("enabled: true\ncameras: [")
    with pytest.raises(ConfigError, match=r"3bay_north\.yaml:2: "):
        bays.load_bay("3bay_north")


def test_a_file_that_is_no_text_is_told(folder: Path) -> None:
    (folder / "3bay_north.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        bays.load_bay("3bay_north")


@pytest.mark.parametrize("name", ["../secrets", "", "3Bay", "a b", "x" * 60])
def test_a_bay_id_cannot_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no bay id"):
        bays.load_bay(name)


def test_an_unknown_bay_lists_the_known(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no bay yard; there are: 3bay_north, 4bay"):
        bays.load_bay("yard")


def test_a_folder_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BAYS_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="set BAYS_PATH"):
        bays.bay_ids()


def test_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert "3bay_north: ok (12 cameras" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "demo_bay" in capsys.readouterr().out
    edit(folder, "camera_quorum: 8", "camera_quorum: 0")
    assert main(["validate"]) == 1
    printed = capsys.readouterr()
    assert "camera_quorum" in printed.err
    assert "demo_bay: ok" in printed.out
    assert main(["validate", "9bay"]) == 2


@pytest.mark.parametrize("number", ["010", "0x50", "0b1010000", "1:20", "1_000", "+080", "00", "1:20.5", "8_0.0"])
def test_a_number_that_is_not_decimal_is_refused(folder: Path, number: str) -> None:
    """YAML 1.1 takes 010 for 8 and 1:20 for 80."""
    edit(folder, "port: 80", f"port: {number}")
    with pytest.raises(ConfigError, match=r"3bay_north\.yaml:\d+: .*(no decimal number|valid integer)"):
        bays.load_bay("3bay_north")


@pytest.mark.parametrize(
    ("written", "read"), [("0", 0), ("-1.5", -1.5), ("+2", 2), (".5", 0.5), ("1.0e+1", 10.0), ("007.5", 7.5)]
)
def test_decimal_numbers_are_read(written: str, read: float) -> None:
    assert read_strictly(Path("x.yaml"), f"a: {written}")[1] == {"a": read}


def test_thousands_of_unknown_keys_are_told_at_once(tmp_path, monkeypatch):
    """All bays' files are read at each parsing: one must not take it from the others."""
    text = (SHIPPED / "demo_bay.yaml").read_text(encoding="utf-8") + "".join(
        f"unknown_{number}: 1\n" for number in range(500)
    )
    made = []
    schema = BayConfig.model_json_schema
    monkeypatch.setattr(BayConfig, "model_json_schema", lambda: made.append(1) or schema())
    loading._schema_of.cache_clear()
    with pytest.raises(ConfigError, match="unknown_499"):
        loading.parse_bay(tmp_path / "yard.yaml", text, "yard")
    assert made == [1]


YARD = """description: a yard
cameras:
  - host: 10.1.1.5
    name: C_4
    pose: {x: 1}
  - {name: D.1, pose: {x: 2}}
factory_layout:
  areas:
    "A.1":
      kind: work
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("description", 1),
        ("cameras", 2),
        ("cameras.C_4", 3),
        ("cameras.C_4.pose", 5),
        ("cameras.C_4.intrinsics", 3),
        ("cameras.D.1.pose", 6),
        ("factory_layout.areas.A.1.kind", 10),
        ("witnesses", None),
    ],
)
def test_the_line_of_a_key(key, line):
    tree, _ = read_strictly(Path("yard.yaml"), YARD)
    assert line_of_key(tree, key) == line
