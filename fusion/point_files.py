"""Files of points: clicked ones (`name,u,v,x,y,z`) and surveyed ones (`name,x,y,z`), as CSV or JSON.

Pixels and floor-frame metres; `z` may be left out for points on the floor, `name`
for clicked points, which are then numbered. A clicked point may leave out its place where its name is that of a
known mark, and name its camera, so that one file has the points of several cameras.
"""

import csv
import difflib
import io
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bay_observation.errors import BayObservationError, CalibrationError, ConfigError
from fusion.calibration import FloorPoint, refuse_doubled

POINT_COLUMNS = ("name", "u", "v", "x", "y", "z")
_WANTED = dict.fromkeys("uv", "the pixel at which it shows") | dict.fromkeys("xyz", "its place in metres")
_TOLD = 8  # marks that a message names
_TOLD_ROWS = 4  # of wrong ones


@dataclass(frozen=True)
class SurveyPoint:
    """A named place in the bay, metres, floor frame."""

    name: str
    x: float
    y: float
    z: float = 0.0


@dataclass(frozen=True)
class CameraPoints:
    """Clicked points of one camera, as a file has them.

    Attributes:
        where: the first of its rows.
        rows: a point each, or why it is none.
    """

    where: str
    rows: list[FloorPoint | BayObservationError]

    def all(self) -> list[FloorPoint]:
        """Every point.

        Raises:
            CalibrationError: some rows are wrong, or have the name of another; the message says which.
            ConfigError: the only wrong row names a mark that is not known.
        """
        wrong = [row for row in self.rows if isinstance(row, BayObservationError)]
        if len(wrong) == 1:
            raise wrong[0]
        if wrong:
            more = f"; and {len(wrong) - _TOLD_ROWS} more rows" if len(wrong) > _TOLD_ROWS else ""
            raise CalibrationError("; ".join(str(error) for error in wrong[:_TOLD_ROWS]) + more)
        points = [row for row in self.rows if isinstance(row, FloorPoint)]
        refuse_doubled(points)
        return points


def read_points(path: Path, marks: Sequence[SurveyPoint] = ()) -> list[FloorPoint]:
    """Clicked points of one camera.

    Args:
        path: of the file.
        marks: known places, for points that give a name alone.

    Raises:
        ConfigError: the file cannot be read, or a point names a mark that is not known.
        CalibrationError: a row is wrong, or has the name of another; the message says which.
    """
    rows = [row for _, _, row in _read_points(path, marks, "")]
    return CameraPoints(str(path), rows).all()


def read_camera_points(path: Path, marks: Sequence[SurveyPoint] = (), camera: str = "") -> dict[str, CameraPoints]:
    """Clicked points by the camera that each row names; by `camera` where the file names none.

    What is wrong with one camera's rows is told where they are asked for: the others' are sound.

    Raises:
        ConfigError: the file cannot be read.
        CalibrationError: it is no table, or some rows name their camera and some do not.
    """
    found: dict[str, CameraPoints] = {}
    for where, named, row in _read_points(path, marks, camera):
        found.setdefault(named, CameraPoints(where, [])).rows.append(row)
    if len(found) > 1 and "" in found:
        raise CalibrationError(f"{found[''].where}: camera is empty: name it in each row, or in none")
    return found if "" not in found else {camera: found[""]}


def _read_points(
    path: Path, marks: Sequence[SurveyPoint], camera: str
) -> list[tuple[str, str, FloorPoint | BayObservationError]]:
    """Each row's place in the file, its camera as it says, and its point or why it is none."""
    places = {mark.name: mark for mark in marks}
    found: list[tuple[str, str, FloorPoint | BayObservationError]] = []
    for number, (where, row) in enumerate(_rows(path, ("u", "v")), start=1):
        named = str(row.get("camera") or "").strip()
        of_camera = f"{where}: {named or camera}" if named or camera else where
        try:
            point: FloorPoint | BayObservationError = point_of(_with_place(row, of_camera, places), of_camera, number)
        except (CalibrationError, ConfigError) as error:
            point = error
        found.append((of_camera, named, point))
    return found


def _with_place(row: Mapping[str, Any], where: str, places: Mapping[str, SurveyPoint]) -> Mapping[str, Any]:
    """The row with the place of the mark that it names, where it gives none."""
    if any(row.get(key) not in (None, "") for key in ("x", "y", "z")):
        return row
    name = str(row.get("name") or "").strip()
    if name in places:
        mark = places[name]
        return {**row, "x": mark.x, "y": mark.y, "z": mark.z}
    unplaced = f"{where}: point {name!r:.40}" if name else f"{where}: a point without a name"
    if not places:
        raise ConfigError(f"{unplaced} has no x and y, and no marks are known: give --survey, or x and y")
    near = difflib.get_close_matches(name.upper(), places, 1)
    more = f" and {len(places) - _TOLD} more" if len(places) > _TOLD else ""
    meant = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"{unplaced} has no x and y, and is no mark: {meant}Name one of {', '.join(list(places)[:_TOLD])}{more}, or"
        " give x and y"
    )


def read_survey(path: Path) -> list[SurveyPoint]:
    """Surveyed points, each with its own name.

    Raises:
        CalibrationError: as `read_points`.
    """
    points: list[SurveyPoint] = []
    for where, row in _rows(path, ("x", "y")):
        name = str(row.get("name") or "").strip()
        if not name:
            raise CalibrationError(f"{where}: name is empty: give each mark a name of its own")
        if any(name == other.name for other in points):
            raise CalibrationError(f"{where}: name {name!r:.40} is used twice: give each mark a name of its own")
        x, y, z = (_number(row, key, where) for key in ("x", "y", "z"))
        points.append(SurveyPoint(name, x, y, z))
    return points


def point_of(row: Mapping[str, Any], where: str, number: int) -> FloorPoint:
    """One clicked point.

    Raises:
        CalibrationError: a coordinate is missing or no finite number; the message starts with `where`.
    """
    name = str(row.get("name") or "").strip()
    named = f"{where}: point {name}" if name else where
    u, v, x, y, z = (_number(row, key, named) for key in ("u", "v", "x", "y", "z"))
    return FloorPoint(name or f"P{number}", u, v, x, y, z, where)


def write_points(path: Path, points: Sequence[FloorPoint]) -> None:
    """Write clicked points, the file whole or not at all; CSV, or JSON where the name ends so.

    Raises:
        CalibrationError: the file cannot be written.
    """
    rows = [{name: getattr(point, name) for name in POINT_COLUMNS} for point in points]
    if path.suffix == ".json":
        text = json.dumps(rows, indent=1) + "\n"
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, POINT_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = buffer.getvalue()
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written: {error.strerror or error}") from error


def _rows(path: Path, wanted: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Rows with the file and line at which they stand, for messages."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{path}: cannot be read: {error}") from error
    if path.suffix == ".json":
        return _json_rows(path, text)
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        if not set(wanted) <= set(header):
            found = f"it is {','.join(header)!a:.60}" if header else "the file is empty"
            columns = ",".join(POINT_COLUMNS)
            raise CalibrationError(
                f"{path}: the first line must name the columns {columns}, with commas between them; {found}"
            )
        reader.fieldnames = header
        return [(f"{path}:{reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise CalibrationError(f"{path}: no CSV, after line {reader.line_num}: {error}") from error


def _json_rows(path: Path, text: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise CalibrationError(f"{path}:{error.lineno}: no JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nested thousands deep
        raise CalibrationError(f"{path}: no JSON that can be read: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CalibrationError(f'{path}: a list of points is wanted, as [{{"u": 1, "v": 2, "x": 3, "y": 4}}]')
    return [(f"{path}: point {number}", row) for number, row in enumerate(rows, start=1)]


def _number(row: Mapping[str, Any], key: str, where: str) -> float:
    value = row.get(key)
    if value is None or value == "":
        if key == "z":
            return 0.0
        raise CalibrationError(f"{where}: {key} is empty: write {_WANTED[key]}, or leave the point out")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise CalibrationError(f"{where}: {key} is {value!r:.40}: write a number, {_WANTED[key]}")
    return number
