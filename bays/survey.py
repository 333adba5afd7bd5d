"""What was measured in a hall: its areas, its cameras and its floor marks, and a bay's file made of them.

It is one text, a line for each thing, or a CSV file for each kind. A wrong row is refused with the file, its line and
its column, before anything is written.
"""

import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from itertools import islice, product
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bay_observation.errors import ConfigError
from bays.editing import area_text, camera_lines, end_of, key_text, number_text
from bays.loading import unit_hint
from bays.models import Area, Camera, Intrinsics, Layout, Network, Pose, Witness

_AREA_COLUMNS = ("name", "x_from", "x_to", "y_from", "y_to", "kind")
_CAMERA_COLUMNS = (
    "name", "host", "port", "x", "y", "z", "pan", "tilt", "looks_at_x", "looks_at_y", "roll",
    "width", "height", "focal_px", "focal_mm", "sensor_mm", "view_deg", "k1", "k2", "p1", "p2", "k3",
)  # fmt: skip
_DISTORTION = _CAMERA_COLUMNS[-5:]  # in the order of the bay's file
_MARK_COLUMNS = ("name", "x", "y", "z")
# The ways to say where a camera looks, and with which lens: one of each is wanted.
_LOOKS = (("pan", "tilt"), ("looks_at_x", "looks_at_y"))
_LENSES = (("focal_px",), ("focal_mm", "sensor_mm"), ("view_deg",))
# A line of the one text: its first word, and the columns of the words after it.
_KINDS = {
    "hall": ("width", "height"),
    "area": _AREA_COLUMNS,
    "cameras": (),
    "camera": ("name", "x", "y", "looks_at_x", "looks_at_y"),
    "mark": _MARK_COLUMNS,
    "marks": ("name",),
}
_BETWEEN = "/"  # of a grid's places along x and those along y
# Values that a line must have behind its name, which may have spaces then.
_LEAST_VALUES = {"area": 4, "mark": 2}
_COMMENT = re.compile(r"(?:^|[\s,;])#.*")
_SEPARATOR = re.compile(r"[,;\t]")
_TWO_OR_ONE = re.compile(r"(?:\w+=)?(-?\d+,\d+)")  # two numbers, or one with a decimal comma
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Widths of sensors and focal lengths as data sheets have them, millimetres: by them exchanged values are known.
_SENSORS_MM = (
    3.2, 3.6, 4.54, 4.8, 5.12, 5.37, 5.6, 5.76, 6.17, 6.4, 7.18, 7.4, 7.6, 8.8, 9.6, 11.3, 12.8, 13.2, 17.3, 22.3, 23.5,
    36.0,
)  # fmt: skip
_FOCALS_MM = (2.1, 2.3, 2.8, 3.0, 3.3, 3.6, 4.0, 4.3, 5.0, 6.0, 8.0, 12.0, 16.0, 25.0, 35.0, 50.0)
_NEAR_MM = 0.1
_SHORTEST, _LONGEST = 0.1, 50.0  # focal length by the sensor's width: a view of 157 degrees, and of one
_Model = TypeVar("_Model", bound=BaseModel)
_FIRST_HOST = 11  # in a network of which the survey names no host
_LONGEST_BYTES = 1_000_000
# Where a value of the bay's file comes from.
_COLUMN_OF = {"focal_px": "focal_px", "fx": "focal_px"}


@dataclass(frozen=True)
class SurveyFiles:
    """The hall's sides along x and y (metres), and the CSV files of what was measured in it.

    Attributes:
        hall: width and height of the floor.
        areas: name,x_from,x_to,y_from,y_to; and kind, where an area is not `work`.
        cameras: name,x,y,z; pan,tilt or looks_at_x,looks_at_y; focal_px or focal_mm,sensor_mm or view_deg;
            width,height where not 1920 x 1080; host, else a free one; port and roll; the lens's distortion as
            k1,k2,p1,p2,k3, those that are known.
        marks: name,x,y; and z, where a mark is not on the floor.
    """

    hall: tuple[float, float]
    areas: Path
    cameras: Path | None = None
    marks: Path | None = None


@dataclass(frozen=True)
class SurveyText:
    """One file of all that was measured, a line for each thing, whose first word says what it is.

    `hall 80 34`; `area NAME x_from x_to y_from y_to [kind]`; `camera NAME x y looks_at_x looks_at_y`, and any other
    column of the cameras' table as `z=18`; `cameras z=18 …` for all cameras below it, with `host=` that of the first,
    from which the others are counted up; `mark NAME x y [z]`; `marks M 5 15 / 2 30`, a mark at each place along x and
    y, as M1 to M4. Between the words stand spaces, commas, semicolons or tabs, in any mixture; what follows a word that
    begins with `#` is a comment.
    """

    path: Path


@dataclass(frozen=True)
class Survey:
    """A hall as it was measured.

    Attributes:
        network: of its cameras.
        layout: the hall and its areas.
        cameras: as they hang or are to hang; none where they are to be placed yet.
        marks: floor marks by name: the bay's witnesses.
        host_line: the file and line that name a host first; None where none is named.
    """

    network: IPv4Network
    layout: Layout
    cameras: tuple[Camera, ...]
    marks: Mapping[str, Witness]
    host_line: str | None = None


@dataclass(frozen=True)
class _Row:
    """A row of a file: its values by column, empty ones left out; `of_all` has the lines of those of all cameras."""

    where: str
    values: Mapping[str, str]
    of_all: Mapping[str, str] = field(default_factory=dict)

    def at(self, column: str) -> str:
        """The file and the line where a value stands."""
        return self.of_all.get(column, self.where)

    def number(self, column: str) -> float:
        text = self.values.get(column)
        if text is None and column == "z":
            raise ConfigError(f"{self.where}: z: is empty, and a number is wanted; of all cameras below, cameras z=18")
        if text is None:
            raise ConfigError(f"{self.where}: {column}: is empty, and a number is wanted")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ConfigError(
                f"{self.at(column)}: {column}: {text!r:.40} is no number: write it as 12.5, without a unit"
            )
        return value

    def whole(self, column: str, otherwise: int) -> int:
        if column not in self.values:
            return otherwise
        value = self.number(column)
        if value != int(value):
            raise ConfigError(f"{self.at(column)}: {column}: {self.values[column]!r:.40} is no whole number")
        return int(value)

    def text(self, column: str) -> str:
        if column not in self.values:
            raise ConfigError(f"{self.where}: {column}: is empty: give each row a {column} of its own")
        return self.values[column]

    def has(self, columns: Sequence[str]) -> bool:
        return all(column in self.values for column in columns)


@dataclass(frozen=True)
class _Tables:
    """The rows of each kind, and where each kind stands, for what is said of all its rows."""

    hall: tuple[float, float]
    areas_in: Path
    area_line: str  # as it is written
    areas: Sequence[_Row]
    cameras: Sequence[_Row]
    marks: Sequence[_Row]
    host_line: str | None


def read_survey(
    files: SurveyFiles | SurveyText, network_for: Callable[[IPv4Address | None], IPv4Network], like: Network
) -> Survey:
    """A hall, from the files of its survey.

    Args:
        files: of the survey.
        network_for: the network of the cameras, by the first host that the survey names, None where it names none.
        like: a network whose observer has the place that the new one's has.

    Raises:
        ConfigError: with the file, the line, the column and what to do.
    """
    tables = _of_text(files.path) if isinstance(files, SurveyText) else _of_files(files)
    layout, marks, rows = _layout(tables), _marks(tables.marks), tables.cameras
    hosts = [_host(row) for row in rows]
    network = network_for(next((host for host in hosts if host is not None), None))
    place = int(like.observer_ip) - int(like.camera_subnet.network_address)
    observer = network[place] if 0 <= place < network.num_addresses else None
    return Survey(network, layout, tuple(_cameras(rows, hosts, network, observer)), marks, tables.host_line)


def _of_files(files: SurveyFiles) -> _Tables:
    cameras = [] if files.cameras is None else _rows(files.cameras, _CAMERA_COLUMNS, ("name", "x", "y", "z"))
    return _Tables(
        files.hall,
        files.areas,
        "A1,0,20,0,17",
        _rows(files.areas, _AREA_COLUMNS, _AREA_COLUMNS[:5]),
        cameras,
        [] if files.marks is None else _rows(files.marks, _MARK_COLUMNS, ("name", "x", "y")),
        next((row.where for row in cameras if "host" in row.values), None),
    )


def _of_text(path: Path) -> _Tables:
    """The rows of the one text."""
    rows: dict[str, list[_Row]] = {"area": [], "camera": [], "mark": []}
    hall: tuple[float, float] | None = None
    of_all: dict[str, str] = {}
    lines: dict[str, str] = {}  # where the values of all stand
    host_line: str | None = None
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = _words(line)
        if not words:
            continue
        where, kind = f"{path}:{number}", words[0].lower()
        if kind not in _KINDS:
            near = _nearest(kind, tuple(_KINDS))
            meant = f"did you mean {near}?" if near else f"it begins with {', '.join(_KINDS)}"
            raise ConfigError(f"{where}: {words[0]!r:.40} is no line of a survey: {meant}")
        _refuse_two_meanings(where, kind, line, of_all)
        if kind == "marks":
            rows["mark"] += _grid(where, words[1:])
            continue
        row = _Row(where, _named(where, kind, words[1:], line))
        if host_line is None and "host" in row.values:
            host_line = where
        if kind == "hall":
            hall = _hall(row)
        elif kind == "cameras":
            of_all = _over(of_all, row.values)
            lines |= dict.fromkeys(row.values, where)
        elif kind == "camera":
            shared = {column: line for column, line in lines.items() if column not in row.values}
            rows[kind].append(_Row(where, _over(of_all, row.values), shared))
            if "host" in of_all and "host" not in row.values:
                of_all["host"] = _counted_up(_Row(lines["host"], of_all))
        else:
            rows[kind].append(row)
    if hall is None:
        raise ConfigError(f"{path}:1: has no hall: give its sides in metres, as hall 80 34")
    return _Tables(hall, path, "area A1 0 20 0 17", rows["area"], rows["camera"], rows["mark"], host_line)


def _words(line: str) -> list[str]:
    """The words of a line, up to its comment; an area's or a mark's name between two separators may have spaces."""
    said = _said(line)
    if not said:
        return []
    cells = [cell.strip() for cell in _SEPARATOR.split(said)]
    least = _LEAST_VALUES.get(cells[0].lower())
    if least and len(cells) >= 2 + least and not any(" " in cell for cell in cells[2:]):
        return cells
    # An empty cell stays: the values behind it are not another column's.
    return [word for cell in cells for word in cell.split() or [""]]


def _said(line: str) -> str:
    """A line without its comment and without what stands around it."""
    return re.sub(r"\s*=\s*", "=", _COMMENT.sub("", line)).strip(" \t,;")


def _refuse_two_meanings(where: str, kind: str, line: str, of_all: Mapping[str, str]) -> None:
    """A comma that parts two numbers or is a decimal one, where the line is whole either way."""
    tokens = [token.strip(",") for token in re.split(r"[\s;]+", _said(line))[1:]]
    for token in tokens:
        if "=" in token and (found := _TWO_OR_ONE.fullmatch(token)):
            raise ConfigError(f"{where}: {_either(found[1])}")
    sides = " ".join(tokens).split(_BETWEEN) if kind == "marks" else [" ".join(tokens)]
    for side in (one.split() for one in sides):
        found = next(filter(None, map(_TWO_OR_ONE.fullmatch, side)), None)
        is_mixed = kind in ("mark", "marks") and any(map(_NUMBER.fullmatch, side[1:] if kind == "mark" else side))
        # Of a row of cameras y is known already.
        is_alone = kind == "camera" and "y" in of_all and sum(map(bool, map(_TWO_OR_ONE.fullmatch, side))) == 1
        if found and (is_mixed or (is_alone and not any(map(_NUMBER.fullmatch, side[1:])))):
            raise ConfigError(f"{where}: {_either(found[1])}")


def _either(numbers: str) -> str:
    one, other = numbers.split(",")
    return f"{numbers} is {one} and {other}, or one number: write {one} {other}, or with a point, {one}.{other}"


def _perhaps_decimal(line: str) -> str:
    """What is added where a line has too many numbers: a comma between digits may be a decimal one."""
    found = re.search(r"(?<!\d)\d+,\d+(?!\d)", _said(line))
    return f"; is {found[0]} one number? Write decimal points, as {found[0].replace(',', '.')}" if found else ""


def _named(where: str, kind: str, words: Sequence[str], line: str) -> dict[str, str]:
    """The values of a line by their columns: as they stand in order, then those that name theirs."""
    columns = _KINDS[kind]
    known = _CAMERA_COLUMNS if kind in ("camera", "cameras") else columns
    shape = " ".join((kind, *columns))
    in_order = [word for word in words if "=" not in word]
    is_number_as_kind = kind == "area" and len(in_order) == len(columns) and _NUMBER.fullmatch(in_order[-1])
    if len(in_order) > len(columns) or is_number_as_kind:
        extra = in_order[-1] if is_number_as_kind else in_order[len(columns)]
        hint = _perhaps_decimal(line)
        raise ConfigError(
            f"{where}: {extra!r:.40} is one value too many: write {shape}, and further ones as z=18{hint}"
        )
    values = {name: word for name, word in zip(columns, in_order, strict=False) if word}
    for word in words:
        column, equals, value = word.partition("=")
        column = column.strip().lower()
        if not equals:
            continue
        if column not in known:
            near = _nearest(column, known)
            meant = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"{where}: {column!r:.40} is no column: {meant}")
        if column in values:
            raise ConfigError(f"{where}: column {column} stands twice: leave one out{_perhaps_decimal(line)}")
        values[column] = value.strip()
    if "looks_at_x" in values and values.keys() & set(_LOOKS[0]):
        raise ConfigError(
            f"{where}: looks_at_x: where it looks is given twice: give pan,tilt or looks_at_x,looks_at_y, one of them"
            + _perhaps_decimal(line)
        )
    return {name: value for name, value in values.items() if value}


def _nearest(word: str, known: Sequence[str]) -> str | None:
    """What is meant: the same letters in another order, else what is alike."""
    swapped = [one for one in known if sorted(one) == sorted(word)]
    return next(iter(swapped or difflib.get_close_matches(word, known, 1)), None)


def _over(of_all: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """A camera's values over those of all: where it says its lens or its direction in one way, no other way counts."""
    replaced: set[str] = set()
    for ways in (_LOOKS, _LENSES):
        used = {column for way in ways if own.keys() & set(way) for column in way}
        replaced |= {column for way in ways for column in way} - used if used else set()
    return {name: value for name, value in of_all.items() if name not in replaced} | dict(own)


def _hall(row: _Row) -> tuple[float, float]:
    width, height = row.number("width"), row.number("height")
    for column, side in (("width", width), ("height", height)):
        if not 0 < side <= 1000:
            millimetres = ": is it in millimetres?" if side > 1000 else ""
            raise ConfigError(
                f"{row.where}: {column}: {side:g} is no side of a hall: write metres, 0 to 1000{millimetres}"
            )
    return width, height


def _counted_up(row: _Row) -> str:
    host = _host(row)
    return str(IPv4Address(int(host) + 1)) if host is not None else ""


def _grid(where: str, words: Sequence[str]) -> Iterator[_Row]:
    """A mark at each place of a grid, counted along x first."""
    name, *places = words or [""]
    # The two sides may stand close to what parts them: 25/2.
    places = [part for place in places for part in re.split(f"({_BETWEEN})", place) if part]
    if not name or places.count(_BETWEEN) != 1:
        raise ConfigError(f"{where}: write marks, a name, places along x, {_BETWEEN}, places along y: M 5 15 / 2 30")
    middle = places.index(_BETWEEN)
    along, across = places[:middle], places[middle + 1 :]
    if not along or not across:
        raise ConfigError(f"{where}: places along {'y' if along else 'x'} are missing: write marks M 5 15 / 2 30")
    for axis, side in (("x", along), ("y", across)):
        if twice := [place for place in side if side.count(place) > 1]:
            raise ConfigError(
                f"{where}: {twice[0]!r:.40} stands twice along {axis}: leave one out; decimals have a point"
            )
    for number, (y, x) in enumerate(product(across, along), start=1):
        yield _Row(where, {"name": f"{name}{number}", "x": x, "y": y})


def _layout(tables: _Tables) -> Layout:
    (width, height), path = tables.hall, tables.areas_in
    areas: dict[str, Area] = {}
    places: dict[tuple[object, object], str] = {}
    for row in tables.areas:
        name = _own_name(row, areas)
        spans = []
        for axis, side in (("x", width), ("y", height)):
            low, high = row.number(f"{axis}_from"), row.number(f"{axis}_to")
            if low >= high:
                raise ConfigError(f"{row.where}: {axis}_to: {high:g} is not above {axis}_from, {low:g}: exchange them?")
            if low < 0 or high > side:
                column = f"{axis}_from" if low < 0 else f"{axis}_to"
                raise ConfigError(
                    f"{row.where}: {column}: area {name} leaves the hall, which is 0 to {side:g} m along {axis}:"
                    " change it, or --hall"
                )
            spans.append((low, high))
        area = _made(Area, row, x=spans[0], y=spans[1], kind=row.values.get("kind", "work"))
        if (other := places.setdefault((area.x, area.y), name)) != name:
            raise ConfigError(f"{row.where}: x_from: {name} is the same place as {other}: leave one out")
        areas[name] = area
    if not areas:
        raise ConfigError(f"{path}:1: holds no area: give it a line for each, as {tables.area_line}")
    return Layout(width=width, height=height, areas=areas)


def _marks(rows: Sequence[_Row]) -> dict[str, Witness]:
    found: dict[str, Witness] = {}
    for row in rows:
        name = _own_name(row, found)
        if len(name) > 32:
            raise ConfigError(f"{row.where}: name: {name!r:.40} has more than 32 characters: shorten it")
        z = row.number("z") if "z" in row.values else 0.0
        found[name] = _made(Witness, row, x=row.number("x"), y=row.number("y"), z=z)
    return found


def _host(row: _Row) -> IPv4Address | None:
    if "host" not in row.values:
        return None
    try:
        return IPv4Address(row.values["host"])
    except ValueError:
        raise ConfigError(
            f"{row.at('host')}: host: {row.values['host']!r:.40} is no IPv4 address, as 10.150.163.11: leave it empty"
            " for a free one"
        ) from None


def _cameras(
    rows: Sequence[_Row], hosts: Sequence[IPv4Address | None], network: IPv4Network, observer: IPv4Address | None
) -> Iterator[Camera]:
    taken = {host for host in hosts if host is not None} | {observer}
    free = (host for host in islice(network.hosts(), _FIRST_HOST - 1, None) if host not in taken)
    names: dict[str, str] = {}
    seen: dict[IPv4Address, str] = {}
    for row, host in zip(rows, hosts, strict=True):
        name = _own_name(row, names)
        names[name] = name
        address = host or next(free, None)
        if address is None:
            raise ConfigError(f"{row.where}: host: {network} has no address left: give a wider --subnet")
        if address not in network:
            raise ConfigError(f"{row.where}: host: {address} lies outside {network}: change it, or give --subnet")
        if address in seen:
            raise ConfigError(f"{row.where}: host: {address} is that of {seen[address]} too: give each its own")
        seen[address] = name
        pose, lens = _pose(row), _lens(row)
        yield _made(Camera, row, name=name, host=address, port=row.whole("port", 80), pose=pose, intrinsics=lens)


def _pose(row: _Row) -> Pose:
    x, y, z = (row.number(column) for column in ("x", "y", "z"))
    if "looks_at_y" in row.values and not row.values.keys() & {"looks_at_x", *_LOOKS[0]}:
        row = replace(row, values={**row.values, "looks_at_x": row.values["x"]})  # straight across the hall
    if _chosen(row, "where it looks", _LOOKS) == _LOOKS[0]:
        pan, tilt = row.number("pan"), row.number("tilt")
    else:
        across, along = row.number("looks_at_x") - x, row.number("looks_at_y") - y
        if math.hypot(across, along) < 0.01:
            raise ConfigError(f"{row.where}: looks_at_x: it looks straight down: give pan,tilt with a tilt of 90")
        pan = round(math.degrees(math.atan2(across, along)) % 360, 2)
        tilt = round(math.degrees(math.atan2(z, math.hypot(across, along))), 2)
    roll = row.number("roll") if "roll" in row.values else 0.0
    return _made(Pose, row, x=x, y=y, z=z, pan=pan, tilt=tilt, roll=roll)


def _lens(row: _Row) -> Intrinsics:
    width, height = row.whole("width", 1920), row.whole("height", 1080)
    way = _chosen(row, "its focal length", _LENSES)
    if way == ("focal_px",):
        focal = row.number("focal_px")
    elif way == ("view_deg",):
        view = row.number("view_deg")
        if not 0 < view < 180:
            raise ConfigError(f"{row.where}: view_deg: {view:g}: write the horizontal angle of view, 1 to 179 degrees")
        focal = width / 2 / math.tan(math.radians(view) / 2)
    else:
        focal_mm, sensor_mm = row.number("focal_mm"), row.number("sensor_mm")
        for column, value in (("focal_mm", focal_mm), ("sensor_mm", sensor_mm)):
            if value <= 0:
                raise ConfigError(f"{row.where}: {column}: {value:g} is no length: write millimetres above 0")
        _refuse_unlikely(row, focal_mm, sensor_mm)
        focal = width * focal_mm / sensor_mm
    bend = tuple(row.number(name) if name in row.values else 0.0 for name in _DISTORTION)
    return _made(Intrinsics, row, width=width, height=height, focal_px=round(focal, 1), distortion=bend)


def _refuse_unlikely(row: _Row, focal_mm: float, sensor_mm: float) -> None:
    """A sensor and a lens that no camera has: the two values exchanged, or one of them in another unit."""
    is_exchanged = _is_near(focal_mm, _SENSORS_MM) and _is_near(sensor_mm, _FOCALS_MM)
    if is_exchanged and not _is_near(sensor_mm, _SENSORS_MM):
        said = f"a sensor {sensor_mm:g} mm wide behind a lens of {focal_mm:g} mm: are focal_mm and sensor_mm exchanged?"
    elif not _SHORTEST <= focal_mm / sensor_mm <= _LONGEST:
        view = 2 * math.degrees(math.atan(sensor_mm / 2 / focal_mm))
        said = (
            f"{focal_mm:g} mm behind a sensor {sensor_mm:g} mm wide is a view of {view:.1f}°: is one in another unit?"
        )
    else:
        return
    raise ConfigError(f"{row.where}: focal_mm: {said} Where both are right, give view_deg in place of them")


def _is_near(value: float, usual: Sequence[float]) -> bool:
    return any(abs(value - one) <= _NEAR_MM for one in usual)


def _chosen(row: _Row, what: str, ways: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The one way in which the row says something."""
    begun = [way for way in ways if any(column in row.values for column in way)]
    whole = [way for way in begun if row.has(way)]
    if len(begun) == 1 and whole:
        return whole[0]
    words = " or ".join(",".join(way) for way in ways)
    if len(begun) > 1:
        raise ConfigError(f"{row.where}: {begun[1][0]}: {what} is given twice: give {words}, one of them")
    missing = next((column for way in begun for column in way if column not in row.values), ways[0][0])
    raise ConfigError(f"{row.where}: {missing}: is empty: {what} is wanted, as {words}")


def _own_name(row: _Row, taken: Mapping[str, object]) -> str:
    name = row.text("name")
    if name in taken:
        raise ConfigError(f"{row.where}: name: {name} stands twice: give each row a name of its own")
    return name


def _made(model: type[_Model], row: _Row, **values: object) -> _Model:
    """The model of a row's values; what it refuses is said of the column."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = str(fault["loc"][-1]) if fault["loc"] else "name"
        column = key if key in row.values else _COLUMN_OF.get(key, key)
        column = column if column in row.values else next(iter(row.values))
        shown = row.values.get(column, "")
        reason = fault["msg"].removeprefix("Value error, ") + unit_hint((model.__name__, key), fault["type"])
        raise ConfigError(f"{row.at(column)}: {column}: {shown!r:.40}: {reason}") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST_BYTES:
            raise ConfigError(f"{path}: has more than {_LONGEST_BYTES} bytes, which no survey has")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text of UTF-8: save it in UTF-8") from error


def _rows(path: Path, known: Sequence[str], wanted: Sequence[str]) -> list[_Row]:
    text = _text(path)
    head = text.partition("\n")[0]
    # A spreadsheet of a country with decimal commas.
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    rows: list[_Row] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped) or stripped[0].startswith("#"):
                continue
            if header is None:
                header = _header(path, reader.line_num, stripped, known, wanted)
                continue
            rows.append(_row(path, reader.line_num, header, stripped, known))
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: no CSV: {error}") from error
    if header is None:
        raise ConfigError(f"{path}:1: is empty: its first line names the columns, as {','.join(known)}")
    return rows


def _header(path: Path, line: int, found: list[str], known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    names = [name.lower() for name in found]
    for name in names:
        if name and name not in known:
            near = _nearest(name, known)
            meant = f"did you mean {near}?" if near else f"known are {','.join(known)}"
            raise ConfigError(f"{path}:{line}: {name!r:.40} is no column: {meant}")
        if name and names.count(name) > 1:
            raise ConfigError(f"{path}:{line}: column {name} stands twice: leave one out")
    if missing := [name for name in wanted if name not in names]:
        raise ConfigError(f"{path}:{line}: column {missing[0]} is missing: the first line names {','.join(wanted)}")
    return names


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str], known: Sequence[str]) -> _Row:
    if len(cells) > len(header):
        raise ConfigError(
            f"{path}:{line}: has {len(cells)} values for {len(header)} columns ({','.join(header)}): is a comma a"
            " decimal one?"
        )
    values = {name: cell for name, cell in zip(header, cells, strict=False) if name and cell}
    return _Row(f"{path}:{line}", values)


# -- the bay's file ---------------------------------------------------------------------------


def with_survey(text: str, survey: Survey, quorum: int | None) -> str:
    """A bay file's text with this hall in place of the one that it has; everything else, and its comments, stays.

    Args:
        text: of the bay's file.
        survey: the new hall.
        quorum: for `camera_quorum`, where the file has one; None leaves it.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    cameras = [line for camera in survey.cameras for line in camera_lines(camera)]
    blocks = {
        "factory_layout": _layout_lines(survey.layout),
        "cameras": ["cameras:", *cameras] if cameras else ["cameras: []"],
        "witnesses": _mark_lines(survey.marks),
    }
    for key, lines in blocks.items():
        text = _with_block(text, key, lines, newline)
    if quorum is not None:
        text = re.sub(r"^(camera_quorum:\s*)\d+", rf"\g<1>{quorum}", text, count=1, flags=re.MULTILINE)
    return text


def _layout_lines(layout: Layout) -> list[str]:
    return [
        "factory_layout:",
        f"  width: {number_text(layout.width)}",
        f"  height: {number_text(layout.height)}",
        "  areas:",
        *(f"    {key_text(name)}: {area_text(area)}" for name, area in layout.areas.items()),
    ]


def _mark_lines(marks: Mapping[str, Witness]) -> list[str]:
    if not marks:
        return []
    lines = ["witnesses:                      # floor marks by which check-poses judges cameras"]
    for name, mark in marks.items():
        high = f", z: {number_text(mark.z)}" if mark.z else ""
        lines.append(f"  {key_text(name)}: {{x: {number_text(mark.x)}, y: {number_text(mark.y)}{high}}}")
    return lines


def _with_block(text: str, key: str, lines: Sequence[str], newline: str) -> str:
    """The text with other lines for a top-level key; none take it out; one that it does not have comes last."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    block = newline.join(lines)
    for name, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if name.value == key:
            start = name.start_mark.index
            end = text.find("\n", max(end_of(value), name.end_mark.index))
            end = len(text) if end == -1 else end + 1
            return (
                text[:start] + (f"{block}{newline}" if lines else "") + text[end:].lstrip("\r\n" if not lines else "")
            )
    return text if not lines else f"{text.rstrip()}{newline}{newline}{block}{newline}"
