"""Writing a camera's pose and intrinsics, or the areas, into a bay's YAML file, all else left as it stands.

Only the text of the values that change is replaced, so that comments, order and
quoting of the rest stay. What comes out is read back and compared before it is written.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml

from bay_observation.errors import ConfigError
from bay_observation.files import write_atomically
from bays.loading import bay_file, load_bay, parse_bay
from bays.migration import Owner
from bays.models import Area, BayConfig, Camera, EarlierCalibration, Intrinsics, Layout, LensPrior, Pose

# A replacement of text[start:end]; an insertion has start == end.
_Edit = tuple[int, int, str]
_NOTHING = "null"


def with_calibration(
    text: str, bay_id: str, name: str, pose: Pose, intrinsics: Intrinsics, *, since: datetime | None = None
) -> str:
    """A bay file's text with this camera's pose and intrinsics.

    Args:
        text: of the bay's file.
        bay_id: the bay.
        name: of the camera.
        pose: to stand there.
        intrinsics: to stand there.
        since: the (aware) moment from which they hold; what stood there before is kept for the slots before it, as
            `earlier`. None where they hold for all slots, as a correction does.

    Raises:
        ConfigError: the file is wrong, has no such camera, has one that was moved at or after `since`, or holds the
            camera's values in a way that cannot be edited without changing others (a YAML anchor).
    """
    path = bay_file(bay_id)
    before = parse_bay(path, text, bay_id)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    camera = _camera_node(root, name)
    if camera is None:
        raise ConfigError(f"{path}: bay {bay_id} has no camera {name}; add it with its name, host and port first")
    edits = [
        *_mapping_edits(text, camera, "pose", _pose_values(pose)),
        *_mapping_edits(text, camera, "intrinsics", _as_written(camera, _intrinsic_values(intrinsics))),
    ]
    update: dict[str, object] = {"pose": pose, "intrinsics": intrinsics}
    if since is not None:
        earlier = _earlier(path, before.camera(name), since)
        edits += _earlier_edits(text, camera, earlier[-1])
        update["earlier"] = earlier
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    cameras = tuple(camera.model_copy(update=update) if camera.name == name else camera for camera in before.cameras)
    if not _reads_as(path, text, before.model_copy(update={"cameras": cameras})):
        raise ConfigError(
            f"{path}: camera {name} cannot be edited without changing more than its own pose and intrinsics "
            "(are they shared through a YAML anchor?): write its values out, then calibrate it"
        )
    return text


def write_calibration(
    bay_id: str,
    name: str,
    pose: Pose,
    intrinsics: Intrinsics,
    *,
    since: datetime | None = None,
    dry_run: bool = False,
) -> str:
    """Replace the bay's file, whole or not at all.

    Returns:
        The file's new text; with `dry_run` the file keeps the old one.

    Raises:
        ConfigError: as `with_calibration`, or the file cannot be read or written.
    """
    return write_calibrations(bay_id, {name: (pose, intrinsics)}, since=since, dry_run=dry_run)


def write_calibrations(
    bay_id: str,
    cameras: Mapping[str, tuple[Pose, Intrinsics]],
    *,
    since: datetime | None = None,
    dry_run: bool = False,
) -> str:
    """The same for several cameras at once, by name: all of them or none.

    Values that stand behind a YAML anchor can change once every alias of it has been written out.
    """
    load_bay(bay_id)
    path = bay_file(bay_id).resolve()
    old = new = read_text(path)
    left = dict(cameras)
    while left:
        refused: dict[str, ConfigError] = {}
        for name, (pose, intrinsics) in left.items():
            try:
                new = with_calibration(new, bay_id, name, pose, intrinsics, since=since)
            except ConfigError as error:
                refused[name] = error
        if len(refused) == len(left):
            raise next(iter(refused.values()))
        left = {name: left[name] for name in refused}
    if not dry_run:
        _replace(path, old, new)
    return new


def with_areas(text: str, bay_id: str, areas: Mapping[str, Area]) -> str:
    """A bay file's text with these areas: those that stay keep their place and their comments.

    Args:
        text: of the bay's file.
        bay_id: the bay.
        areas: all that the floor is to have, by name; at least one.

    Raises:
        ConfigError: the file is wrong, or would be with these areas; or it holds them in a way that cannot be edited
            without changing others (a YAML anchor).
    """
    path = bay_file(bay_id)
    before = parse_bay(path, text, bay_id)
    if not areas:
        raise ConfigError(f"{path}: layout.areas: at least one area is wanted")
    layout = _value(yaml.compose(text, Loader=yaml.SafeLoader), "factory_layout")
    node = _value(layout, "areas")
    whole = _flow({key_text(name): _flow(_area_values(area)) for name, area in areas.items()})
    edits: list[_Edit] = []
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        edits = _area_edits(text, node, before.layout.areas, areas)
    elif node is not None:
        edits = [(node.start_mark.index, end_of(node), whole)]
    elif isinstance(layout, yaml.MappingNode):
        edits = [_added(text, layout, "areas", whole)]
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    parse_bay(path, text, bay_id)  # what is wrong with the areas is named with its line
    if not _reads_as(path, text, before.model_copy(update={"layout": _with(before.layout, areas)})):
        raise ConfigError(
            f"{path}: layout.areas cannot be edited without changing more (is something shared through a YAML"
            " anchor?): write it out"
        )
    return text


def with_owner(text: str, bay_id: str, owner: Owner) -> str:
    """A bay file's text with another `migration.owner`.

    Raises:
        ConfigError: the file is wrong, or would be with this owner; or it has no `migration`.
    """
    path = bay_file(bay_id)
    parse_bay(path, text, bay_id)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or not isinstance(_value(root, "migration"), yaml.MappingNode):
        raise ConfigError(f"{path}: has no key migration: add it with the present owner, as migration: {{owner: old}}")
    for start, end, replacement in sorted(_mapping_edits(text, root, "migration", {"owner": owner}), reverse=True):
        text = text[:start] + replacement + text[end:]
    after = parse_bay(path, text, bay_id)
    if after.migration is None or after.migration.owner != owner:
        raise ConfigError(f"{path}: migration.owner cannot be edited: write it out without a YAML anchor")
    return text


def write_owner(bay_id: str, owner: Owner) -> None:
    """Replace the bay's file, whole or not at all; all but `migration.owner` stays.

    Raises:
        ConfigError: as `with_owner`, or the file cannot be read or written.
    """
    path = bay_file(bay_id).resolve()
    old = read_text(path)
    new = with_owner(old, bay_id, owner)
    if new != old:
        _replace(path, old, new)


def read_text(path: Path) -> str:
    """The file as it is, line ends included.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def area_text(area: Area) -> str:
    """An area as a bay's file has it, behind its name."""
    return _flow(_area_values(area))


def camera_lines(camera: Camera) -> list[str]:
    """A camera's entry of `cameras`, as a person writes one: what is as usual is left out."""
    values = {"name": key_text(camera.name), "host": str(camera.host), "port": str(camera.port)}
    if camera.pose is not None:
        pose = {key: number_text(getattr(camera.pose, key)) for key in ("x", "y", "z", "pan", "tilt")}
        values["pose"] = _flow(pose | ({"roll": number_text(camera.pose.roll)} if camera.pose.roll else {}))
    if camera.intrinsics is not None:
        lens = _intrinsic_values(camera.intrinsics) | {"focal_px": number_text(camera.intrinsics.focal_px)}
        if not any(camera.intrinsics.distortion):
            del lens["distortion"]
        values["intrinsics"] = _flow_of(lens)
    first, *others = (f"{key}: {value}" for key, value in values.items())
    return [f"  - {first}", *(f"    {line}" for line in others)]


def key_text(name: str) -> str:
    """A name as YAML reads it back: quoted unless it is a plain word, and none that means something else (`no`)."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and yaml.safe_load(name) == name
    return name if plain else json.dumps(name, ensure_ascii=False)


def number_text(value: float) -> str:
    """A number as a person writes it: 12, not 12.0; read back it is the same."""
    short = f"{value:g}"
    return short if float(short) == value and "e" not in short else _number(value)


def end_of(node: yaml.Node) -> int:
    """Where a node's own text ends: a block collection's mark stands behind the space that follows it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return end_of(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return end_of(node.value[-1])
    return int(node.end_mark.index)


def _reads_as(path: Path, text: str, wanted: BayConfig) -> bool:
    try:
        return parse_bay(path, text, wanted.bay_id) == wanted
    except ConfigError:
        return False


def _replace(path: Path, old: str, new: str) -> None:
    if read_text(path) != old:
        raise ConfigError(f"{path}: was changed by somebody else meanwhile; run the command again")
    try:
        write_atomically(path, new.encode("utf-8"), mode=path.stat().st_mode & 0o7777)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def _camera_node(root: yaml.Node | None, name: str) -> yaml.MappingNode | None:
    cameras = _value(root, "cameras")
    for node in cameras.value if isinstance(cameras, yaml.SequenceNode) else ():
        named = _value(node, "name")
        if isinstance(named, yaml.ScalarNode) and named.value == name and isinstance(node, yaml.MappingNode):
            return node
    return None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key_node, value in pairs if key_node.value == key), None)


def _mapping_edits(text: str, camera: yaml.MappingNode, key: str, values: Mapping[str, str]) -> list[_Edit]:
    """Edits that make camera[key] hold `values`; keys that it has besides stay, and one of nothing is not added."""
    node = _value(camera, key)
    flow = _flow_of(values)
    if node is None:
        return [_added(text, camera, key, flow)]
    if not isinstance(node, yaml.MappingNode):  # `pose:` with nothing behind it, or null
        start, end = node.start_mark.index, node.end_mark.index
        return [(start, end, flow if text[start - 1 : start].isspace() else f" {flow}")]
    alias = _alias(text, camera, key)
    if alias is not None:
        return [(*alias, flow)]
    edits: list[_Edit] = []
    for name, value in values.items():
        present = _value(node, name)
        if present is None:
            edits += [_added(text, node, name, value)] if value != _NOTHING else []
        elif _differs(present, value):
            edits.append(_replaced(text, node, name, value))
    return edits


def _earlier(path: Path, camera: Camera, since: datetime) -> tuple[EarlierCalibration, ...]:
    """How the camera hung before `since`, what its file says now with it."""
    if camera.pose is None:
        raise ConfigError(f"{path}: camera {camera.name} has no pose that could hold before {since.isoformat()}")
    last = camera.earlier[-1].until if camera.earlier else None
    if last is not None and since <= last:
        raise ConfigError(
            f"{path}: camera {camera.name} was moved at {last.isoformat()}: give a later moment than that"
        )
    return (*camera.earlier, EarlierCalibration(until=since, pose=camera.pose, intrinsics=camera.intrinsics))


def _earlier_edits(text: str, camera: yaml.MappingNode, added: EarlierCalibration) -> list[_Edit]:
    """Edits that put one more entry at the end of camera["earlier"], in the list's own style."""
    values = {"until": json.dumps(added.until.isoformat()), "pose": _flow_of(_pose_values(added.pose))}
    if added.intrinsics is not None:
        values["intrinsics"] = _flow_of(_intrinsic_values(added.intrinsics))
    entry = _flow(values)
    node = _value(camera, "earlier")
    if not isinstance(node, yaml.SequenceNode):
        return [_added(text, camera, "earlier", f"[{entry}]")]
    if not node.value:
        return [(node.start_mark.index, node.end_mark.index, f"[{entry}]")]
    last = node.value[-1]
    if node.flow_style:
        return [(end_of(last), end_of(last), f", {entry}")]
    line = text.rfind("\n", 0, last.start_mark.index) + 1
    newline = "\r\n" if "\r\n" in text else "\n"
    end = text.find("\n", end_of(last))
    start = len(text) if end == -1 else end + 1
    dash = text[line : last.start_mark.index]
    return [(start, start, f"{newline}{dash}{entry}" if end == -1 else f"{dash}{entry}{newline}")]


def _alias(text: str, mapping: yaml.MappingNode, key: str) -> tuple[int, int] | None:
    """Where an alias stands as the value of a key; None where the value itself does."""
    behind = next(name.end_mark.index for name, _ in mapping.value if name.value == key)
    found = re.compile(r"[\"']?\s*:\s*(\*[^\s,\]}]+)").match(text, behind)
    return found.span(1) if found else None


def _replaced(text: str, mapping: yaml.MappingNode, key: str, value: str) -> _Edit:
    """Another value of a key that is there; one line in place of a block collection, which may be no deeper than it."""
    name, old = next((name, old) for name, old in mapping.value if name.value == key)
    if isinstance(old, yaml.CollectionNode) and not old.flow_style:
        return text.index(":", name.end_mark.index) + 1, end_of(old), f" {value}"
    return old.start_mark.index, end_of(old), value


def _area_edits(
    text: str, node: yaml.MappingNode, before: Mapping[str, Area], after: Mapping[str, Area]
) -> list[_Edit]:
    """Edits of a block mapping of areas: what is gone goes with its line, what is new follows the last one."""
    edits: list[_Edit] = []
    for key, value in node.value:
        name = str(yaml.SafeLoader("").construct_object(key))
        if name not in after:
            line = text.rfind("\n", 0, key.start_mark.index) + 1
            end = text.find("\n", end_of(value))
            edits.append((line, len(text) if end == -1 else end + 1, ""))
        elif after[name] != before[name]:
            edits.append((value.start_mark.index, end_of(value), _flow(_area_values(after[name]))))
    new = {name: area for name, area in after.items() if name not in before}
    if new:
        _, where, first = _added(text, node, "", "")
        indent = " " * node.value[0][0].start_mark.column
        lines = [f"{indent}{key_text(name)}: {_flow(_area_values(area))}" for name, area in new.items()]
        newline = "\r\n" if "\r\n" in text else "\n"
        joined = newline.join(lines)
        edits.append((where, where, f"{newline}{joined}" if first.startswith(newline) else f"{joined}{newline}"))
    return edits


def _area_values(area: Area) -> dict[str, str]:
    def span(values: tuple[float, float]) -> str:
        return f"[{', '.join(map(number_text, values))}]"

    return {"x": span(area.x), "y": span(area.y)} | ({} if area.kind == "work" else {"kind": area.kind})


def _flow(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}"


def _flow_of(values: Mapping[str, str]) -> str:
    return _flow({name: value for name, value in values.items() if value != _NOTHING})


def _with(layout: Layout, areas: Mapping[str, Area]) -> Layout:
    return layout.model_copy(update={"areas": dict(areas)})


def _differs(node: yaml.Node, value: str) -> bool:
    def plain(of: yaml.Node | None) -> object:
        return yaml.SafeLoader("").construct_object(of, deep=True) if of is not None else None

    return plain(node) != plain(yaml.compose(value, Loader=yaml.SafeLoader))


def _added(text: str, mapping: yaml.MappingNode, key: str, value: str) -> _Edit:
    """An insertion behind the last entry of a mapping, in the mapping's own style."""
    name, value_node = mapping.value[-1]
    alias = _alias(text, mapping, name.value)
    last = alias[1] if alias else end_of(value_node)
    if mapping.flow_style:
        return last, last, f", {key}: {value}"
    first = mapping.value[0][0]
    line_end = text.find("\n", last)
    newline = "\r\n" if "\r\n" in text else "\n"
    if line_end == -1:
        return len(text), len(text), f"{newline}{' ' * first.start_mark.column}{key}: {value}"
    return line_end + 1, line_end + 1, f"{' ' * first.start_mark.column}{key}: {value}{newline}"


def _pose_values(pose: Pose) -> dict[str, str]:
    values = {key: _number(getattr(pose, key)) for key in ("x", "y", "z", "pan", "tilt")}
    doubt = _flow({key: _number(value) for key, value in pose.doubt.model_dump().items()}) if pose.doubt else _NOTHING
    return values | {"roll": _number(pose.roll), "doubt": doubt}


def _intrinsic_values(intrinsics: Intrinsics) -> dict[str, str]:
    standard = Intrinsics(focal_px=intrinsics.focal_px)
    values: dict[str, str] = {}
    for key in ("width", "height"):
        if getattr(intrinsics, key) != getattr(standard, key):
            values[key] = str(getattr(intrinsics, key))
    values["focal_px"] = _number(intrinsics.focal_px)
    for key in ("fy", "cx", "cy"):
        if (value := getattr(intrinsics, key)) is not None:
            values[key] = _number(value)
    values["distortion"] = f"[{', '.join(_number(value) for value in intrinsics.distortion)}]"
    values["prior"] = _NOTHING if intrinsics.prior is None else _flow(_prior_values(intrinsics.prior))
    return values


def _prior_values(prior: LensPrior) -> dict[str, str]:
    return {} if prior.focal_px is None else {key: _number(getattr(prior, key)) for key in ("focal_px", "std")}


def _as_written(camera: yaml.MappingNode, values: Mapping[str, str]) -> dict[str, str]:
    """The values with the focal length under the name that the file gives it."""
    name = "focal_px" if _value(_value(camera, "intrinsics"), "fx") is None else "fx"
    return {name if key == "focal_px" else key: value for key, value in values.items()}


def _number(value: float) -> str:
    """As YAML reads it back to the same number; YAML 1.1 wants a point in a number with an exponent."""
    text = repr(float(value))
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+03d}"
