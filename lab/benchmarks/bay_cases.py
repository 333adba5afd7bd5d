"""Sixty bays that cannot be right, or are probably not meant, and what each has to be told for."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import bays
from bay_observation.errors import ConfigError
from bays import bay_ids, load_bay
from bays.checking import check_bay
from bays.loading import parse_bay

Content = dict[str, Any]
Change = Callable[[Content], object]


@dataclass(frozen=True)
class BayCase:
    """A change to the demo's bay, and the words by which it is told."""

    name: str
    change: Change
    words: str


def told(case: BayCase) -> str:
    """Everything that is said of a case's bay, by the file's own rules or by `check_bay`."""
    path = Path(bays.__file__).with_name("demo_bay.yaml")
    content: Content = deepcopy(yaml.safe_load(path.read_text(encoding="utf-8")))
    content |= {"description": "Sixth bay", "network": {"camera_subnet": "127.66.0.0/24", "observer_ip": "127.66.0.1"}}
    for camera in content["cameras"]:
        camera["host"] = camera["host"].replace("127.60.", "127.66.")
    case.change(content)
    try:
        bay = parse_bay(Path("6bay.yaml"), yaml.safe_dump(content, allow_unicode=True), "6bay")
    except ConfigError as error:
        return str(error)
    return "\n".join(map(str, check_bay(bay, [load_bay(name) for name in bay_ids()])))


def cases() -> list[BayCase]:
    """All of them."""
    return list(_cases())


def _set(*path: str | int, to: Any) -> Change:
    def change(content: Content) -> None:
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def _each_camera(**values: Any) -> Change:
    def change(content: Content) -> None:
        for camera in content["cameras"]:
            for key, value in values.items():
                part = "intrinsics" if key in ("focal_px", "width", "height", "cx", "cy", "distortion") else "pose"
                camera[part][key] = value

    return change


def _exchanged(*numbers: int) -> Change:
    def change(content: Content) -> None:
        for number in numbers:
            pose = content["cameras"][number]["pose"]
            pose["x"], pose["y"] = pose["y"], pose["x"]

    return change


def _cases() -> Iterator[BayCase]:
    yield from _network_cases()
    yield from _time_cases()
    yield from _camera_cases()
    yield from _floor_cases()


def _network_cases() -> Iterator[BayCase]:
    def network(subnet: str, observer: str, hosts: str) -> Change:
        def change(content: Content) -> None:
            content["network"] = {"camera_subnet": subnet, "observer_ip": observer}
            for camera in content["cameras"]:
                camera["host"] = camera["host"].replace("127.66.0.", hosts)

        return change

    yield BayCase(
        "an exact copy of another bay", network("127.60.0.0/24", "127.60.0.1", "127.60.0."), "overlaps that of bay"
    )
    yield BayCase(
        "the subnet of another bay", network("10.150.160.0/24", "10.150.160.1", "10.150.160."), "overlaps that of"
    )
    yield BayCase(
        "a wider subnet around another's", network("127.60.0.0/16", "127.60.9.1", "127.60.9."), "overlaps that of"
    )
    yield BayCase(
        "hosts of another bay", network("127.60.0.0/24", "127.60.0.9", "127.60.0."), "are cameras of bay demo_bay"
    )
    yield BayCase(
        "another bay's observer", network("127.60.0.0/24", "127.60.0.1", "127.60.0."), "is bay demo_bay's observer"
    )
    yield BayCase("another's description", _set("description", to="3Bay North Zone"), "is that of bay 3bay_north")
    yield BayCase("an observer elsewhere", _set("network", "observer_ip", to="127.99.0.1"), "it reaches no camera")
    yield BayCase("the observer is the network", _set("network", "observer_ip", to="127.66.0.0"), "the network's own")
    yield BayCase("the observer broadcasts", _set("network", "observer_ip", to="127.66.0.255"), "broadcast address")
    yield BayCase("a camera is the observer", _set("cameras", 2, "host", to="127.66.0.1"), "the observer's own address")
    yield BayCase("a camera is the network", _set("cameras", 2, "host", to="127.66.0.0"), "the network's own")
    yield BayCase("a camera broadcasts", _set("cameras", 2, "host", to="127.66.0.255"), "broadcast address")
    yield BayCase("a camera outside", _set("cameras", 2, "host", to="127.67.0.5"), "lies outside camera_subnet")


def _time_cases() -> Iterator[BayCase]:
    hours, skip = "operating_hours", "skip_times"
    yield BayCase("midnight to midnight", _set(hours, to=["00:00-00:00"]), "is one minute")
    yield BayCase("hours that overlap", _set(hours, to=["08:00-12:00", "11:00-15:00"]), "overlap")
    yield BayCase("hours twice", _set(hours, to=["08:00-12:00", "08:00-12:00"]), "overlap")
    yield BayCase("nights that overlap", _set(hours, to=["20:00-04:00", "03:00-06:00"]), "overlap")
    yield BayCase("skips that overlap", _set(skip, to=["08:00-08:30", "08:20-08:40"]), "overlap")
    yield BayCase("a minute that is skipped", _set(skip, to=["08:00-08:00"]), "is one minute")

    def outside(content: Content) -> None:
        content[hours], content[skip] = ["08:00-12:00"], ["18:00-19:00"]

    def covered(content: Content) -> None:
        content[hours], content[skip] = ["08:00-12:00"], ["07:00-13:00"]

    def between(content: Content) -> None:
        content[hours], content["schedule"] = ["08:01-08:09"], {"observation": "*/10 * * * *"}

    def utc(content: Content) -> None:
        content[hours], content["schedule"] = ["08:00-17:00"], {"observation": "0 10 * * *"}

    yield BayCase("a skip outside all hours", outside, "skips nothing")

    def by_day(content: Content) -> None:
        content[hours], content[skip] = ["17:00-08:00"], ["12:00-13:00"]

    yield BayCase("hours that are exchanged", by_day, "17:00-08:00 crosses midnight: are its ends exchanged?")
    yield BayCase("a skip over all hours", covered, "all 25 slots of a day inside the hours are skipped, from 08:00")
    yield BayCase("hours between two slots", between, "at 08:00 (Asia/Seoul), 1 minute before 08:01-08:09")
    yield BayCase("a schedule in local time", utc, "at 19:00 (Asia/Seoul), 120 minutes after 08:00-17:00")
    yield BayCase("all day is skipped", _set(skip, to=["00:00-23:59"]), "skip_times: it is never open")
    yield BayCase("a slot every minute", _set("schedule", to={"observation": "* * * * *"}), "run into one another")

    def slow(content: Content) -> None:
        content["capture_deadline"], content["schedule"] = 500, {"observation": "*/5 * * * *"}

    yield BayCase("a capture longer than its slot", slow, "run into one another")
    yield BayCase("a deadline before the timeout", _set("capture_deadline", to=8), "one request may take 10 s")
    yield BayCase(
        "a timeout after the deadline",
        _set("image_provider_config", to={"timeout": 60}),
        "image_provider_config.timeout: one request may take 60 s",
    )
    yield BayCase("a quorum above the cameras", _set("camera_quorum", to=13), "frames of 12 cameras")
    yield BayCase("a quorum of one", _set("camera_quorum", to=1), "a few frames count")
    yield BayCase("no quorum", lambda content: content.pop("camera_quorum"), "a few frames count")


def _camera_cases() -> Iterator[BayCase]:
    def pose(**values: float) -> Change:
        return lambda content: content["cameras"][0]["pose"].update(values)

    def lens(**values: Any) -> Change:
        return lambda content: content["cameras"][0]["intrinsics"].update(values)

    yield BayCase("turned away from the hall", pose(pan=0), "sees 0.0% of the floor")
    yield BayCase("at the sky", pose(tilt=-30), "tilt counts downwards")
    yield BayCase("at the horizon", pose(tilt=0), "tilt counts downwards")
    yield BayCase("tilts in radians", _each_camera(tilt=0.8), "are these radians? write degrees, as 46")
    yield BayCase("a pan in radians", pose(pan=3.14), "3.14 as radians are 180°")
    yield BayCase("28 m off the hall", pose(y=68), "28 m outside of the hall")
    yield BayCase("at the other end", pose(x=-60), "60 m outside of the hall")
    yield BayCase("x and y exchanged", _exchanged(*range(12)), "are x and y exchanged?")
    yield BayCase("x and y of one exchanged", _exchanged(1), "amid the floor, and the other cameras hang at its sides")
    yield BayCase("in millimetres", pose(z=150), "no height of a camera")
    yield BayCase("on the floor", pose(z=0.5), "no height of a camera")
    yield BayCase("on its side", pose(roll=90), "lies on its side")
    yield BayCase("upside down", pose(roll=180), "the image is upside down: where it shows")
    yield BayCase("a focal length in millimetres", lens(focal_px=12), "are these pixels?")
    yield BayCase("a focal length of 2.8", lens(focal_px=2.8), "greater than 10 pixels: is it in millimetres?")
    yield BayCase("a height in millimetres", pose(z=25000), "or equal to 200 metres: is it in millimetres?")
    yield BayCase("a focal length of 300", lens(focal_px=300), "are these pixels?")
    yield BayCase("a focal length of 30000", lens(focal_px=30000), "are these pixels?")
    yield BayCase(
        "the image of another camera",
        lens(width=1280, height=720),
        "is that of C_11 and 2 more, whose images are 1920 x 1080, and this one is 1280 x 720",
    )
    yield BayCase("a principal point outside", lens(cx=2500.0, cy=540.0), "lies outside of the image")
    yield BayCase("a principal point in a corner", lens(cx=200.0, cy=200.0), "far from the image's middle")
    yield BayCase("width and height exchanged", lens(width=1080, height=1920), "are exchanged")
    yield BayCase("pixels three times as wide as high", lens(fy=4350), "as wide as high")
    yield BayCase("a thumbnail", lens(width=160, height=90, focal_px=120), "are few")
    yield BayCase("a lens that folds", lens(distortion=[-2.0, 0.0, 0.0, 0.0, 0.0]), "folds the image")
    yield BayCase(
        "a pose that was copied",
        lambda content: content["cameras"][1].update(pose=dict(content["cameras"][0]["pose"])),
        "exactly that of C_2",
    )
    yield BayCase("one name twice", _set("cameras", 1, "name", to="C_2"), "C_2")
    yield BayCase("one host twice", lambda c: c["cameras"][1].update(host=c["cameras"][0]["host"]), "host")
    yield BayCase("all look straight down", _each_camera(tilt=89), "no camera sees")
    yield BayCase("all are very narrow", _each_camera(focal_px=9000), "no camera sees")
    yield BayCase(
        "all are coarse", _each_camera(width=640, height=360, focal_px=130, tilt=50), "a pixel covers more than"
    )


def _floor_cases() -> Iterator[BayCase]:
    def keep(*names: str) -> Change:
        return lambda content: content.update(
            cameras=[c for c in content["cameras"] if c["name"] in names], camera_quorum=2
        )

    marks = {f"W{number}": {"x": 20.0 * number, "y": 20.0} for number in range(1, 8)}
    yield BayCase(
        "a witness far outside", _set("witnesses", to=marks | {"W0": {"x": 20, "y": 90}}), "witnesses.W0: (20, 90) lies"
    )
    yield BayCase(
        "few witnesses in view", _set("witnesses", to={"W1": marks["W1"]}), "5 are the fewest to calibrate it by"
    )
    yield BayCase(
        "x and y of marks exchanged",
        lambda c: c.update(witnesses={k: {"x": m["y"], "y": m["x"]} for k, m in c["witnesses"].items()}),
        "are x and y exchanged? (147, 0) lies in it",
    )
    yield BayCase(
        "two marks at one place",
        lambda c: c["witnesses"].update(S19={"x": 18.03, "y": 0}),
        "witnesses.S19: lies where S18 lies",
    )
    yield BayCase("two cameras for the hall", keep("C_2", "D_11"), "no camera sees")
    yield BayCase("one side alone", keep("C_2", "C_6", "C_9"), "sees")
    yield BayCase("a floor of 900 m", _set("factory_layout", "width", to=900), "is no hall")
    yield BayCase(
        "a floor in millimetres",
        _set("factory_layout", "width", to=150_000),
        "or equal to 1000 metres: is it in millimetres?",
    )
    yield BayCase("a hole in the floor", lambda c: c["factory_layout"]["areas"].pop("A13"), "between areas are in none")
    yield BayCase("areas that overlap", _set("factory_layout", "areas", "A13", "x", to=[40, 59]), "in part")
    yield BayCase(
        "a metre between two areas",
        _set("factory_layout", "areas", "A13", "x", to=[45, 59]),
        "20 m² between areas are in none, x 44 to 45, y 0 to 20",
    )

    def way(content: Content) -> None:
        for area in content["factory_layout"]["areas"].values():
            area["y"] = [18 if side == 20 else side for side in area["y"]] if area["y"][1] == 20 else area["y"]

    yield BayCase("a way that is no area", way, "290 m² between areas are in none, x 2 to 147, y 18 to 20")
    yield BayCase(
        "an area of a metre", _set("factory_layout", "areas", "A1Z", to={"x": [3, 4], "y": [3, 4]}), "no block fits"
    )
    yield BayCase(
        "an area beyond the floor", _set("factory_layout", "areas", "A1G", "x", to=[131, 170]), "leaves the floor"
    )
    yield BayCase(
        "nothing is tracked",
        lambda c: [area.update(kind="aisle") for area in c["factory_layout"]["areas"].values()],
        "none is tracked",
    )
    yield BayCase(
        "half of the floor in no area",
        lambda c: c["factory_layout"].update(
            areas={k: v for k, v in c["factory_layout"]["areas"].items() if v["y"][1] <= 20}
        ),
        "of the floor is in no area",
    )
