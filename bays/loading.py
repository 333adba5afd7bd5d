"""Reading `bays/*.yaml`: errors name the file, the line, the key and the reason."""

import difflib
import json
import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from bay_observation import settings
from bay_observation.bay_files import bays_folder, unknown_bays
from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import read_regular_file
from bays.migration import as_owner_says
from bays.models import BayConfig
from bays.naming import BAY_ID


def bays_path() -> Path:
    """Folder of the YAML files: `BAYS_PATH`, or the one installed with this package."""
    return bays_folder()


def bay_ids() -> list[str]:
    """Every bay that has a file, in order.

    Raises:
        ConfigError: the folder is not there.
    """
    folder = bays_path()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of bays; set BAYS_PATH to the one that holds *.yaml")
    return sorted(path.stem for path in folder.glob("*.yaml"))


def bay_file(bay_id: str) -> Path:
    """Where the bay's file is, or would be.

    Raises:
        ConfigError: this is no bay id.
    """
    if BAY_ID.fullmatch(bay_id) is None:
        raise ConfigError(f"{bay_id!r} is no bay id: lower-case letters, digits and underscores")
    return bays_path() / f"{bay_id}.yaml"


def witnesses_file(bay_id: str) -> Path:
    """Where is kept how a bay's floor marks look: beside its YAML file."""
    return bay_file(bay_id).with_suffix(".witnesses.npz")


def load_bay(bay_id: str) -> BayConfig:
    """Read and validate one bay.

    Raises:
        ConfigError: there is no such bay, or its file is wrong; every fault of
            the file is listed with line, key and reason.
    """
    path = bay_file(bay_id)
    try:
        text = read_regular_file(path, _MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        raise unknown_bays([bay_id], bay_ids(), path) from None
    except ArtifactError as error:  # no regular file, or too large a one
        raise ConfigError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return _parsed(path, text, bay_id, _override())


@lru_cache(maxsize=256)
def _parsed(path: Path, text: str, bay_id: str, chosen: tuple[str, ...] | None) -> BayConfig:
    """A task asks for its bay several times, a triggerer at each slot: the file is read, a known text not parsed."""
    return parse_bay(path, text, bay_id)


def enabled_bays() -> dict[str, BayConfig]:
    """The bays that run, by id: those with `enabled: true`, or those that `BAYS_ENABLED` lists.

    Raises:
        ConfigError: a file is wrong, or `BAYS_ENABLED` names a bay that has none.
    """
    chosen = _override()
    bays = {bay_id: load_bay(bay_id) for bay_id in (bay_ids() if chosen is None else chosen)}
    return {bay_id: bay for bay_id, bay in bays.items() if bay.enabled}


def sound_bays(faulty: Callable[[str, Exception], None]) -> dict[str, BayConfig]:
    """The bays that run, by id, for what serves all of them: a wrong file is the fault of its own bay alone.

    Args:
        faulty: is called with the id of each bay that cannot be read, and the error.
    """
    found = {}
    for bay_id in bay_ids():
        try:
            bay = load_bay(bay_id)
        except Exception as error:  # noqa: BLE001 - also what no check foresaw
            faulty(bay_id, error)
            continue
        if bay.enabled:
            found[bay_id] = bay
    return found


def _override() -> tuple[str, ...] | None:
    """Bays that the environment enables in place of the files' own word."""
    return settings.BAYS_ENABLED.read()


_SIMILAR = 0.6
_FOCALS = ("focal_px", "fx", "fy")
_METRES = ("x", "y", "z", "width", "height")
_TOO_LARGE = ("less_than_equal", "less_than")
_LONGEST = 500_000
_MOST_BYTES = 4 * _LONGEST
# Values, after every alias has been unfolded.
_MOST_VALUES = 50_000
# What libyaml says of a line that is not indented as its neighbours are.
_YAML_HINTS = dict.fromkeys(
    ("mapping values are not allowed in this context", "did not find expected key"),
    ": is the line, or the one before, indented as its neighbours are, and is each `{`, `[` and quote closed?",
)
_TAB_BEFORE = re.compile(r"[ -]*\t")  # what is written in a line
# What a terminal, a database or an env file would take for more than text.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# libyaml composes nested values by recursion in C, where a file of brackets would end the process.
_DEEPEST = 50


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=event.start_mark)  # type: ignore[arg-type]


def _check_values(raw: Any) -> None:
    """Refuses texts with control characters, and aliases that unfold to more than a bay's file holds."""
    counted: dict[int, int] = {}

    def count(value: Any) -> int:
        if isinstance(value, str):
            if _NO_TEXT.search(value):
                raise ValueError(f"a text with a control character: {value!a:.60}")
            return 1
        if not isinstance(value, dict | list):
            return 1
        if id(value) in counted:
            if counted[id(value)] == 0:
                raise ValueError("an alias within what it stands for")
            return counted[id(value)]
        counted[id(value)] = 0
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(map(count, parts))
        return counted[id(value)]

    if count(raw) > _MOST_VALUES:
        raise ValueError(f"its aliases unfold to more than {_MOST_VALUES} values")


# A bay's file is read for every task: libyaml does it in a tenth of the time, where PyYAML was built with it.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_SafeLoader):  # type: ignore[misc]  # one of two, chosen at run time
    """YAML keeps the last of two equal keys in silence; a bay's file must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r:.40} is no text; put it in quotes", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


# YAML 1.1 takes 010 for 8, 12:30 for 750 and 1_0 for 10: no one who writes these means that.
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")


def _construct_number(loader: Any, node: yaml.ScalarNode) -> Any:
    whole = node.tag.endswith(":int")
    value = loader.construct_yaml_int(node) if whole else loader.construct_yaml_float(node)
    if (whole and _DECIMAL.fullmatch(node.value) is None) or set(node.value) & {":", "_"}:
        problem = f"{node.value:.40} is no decimal number (YAML reads it as {value}): write one, or put it in quotes"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    if isinstance(value, float) and not math.isfinite(value):
        problem = f"{node.value:.40} is no number that counts anything: write a finite one"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return value


def _construct_time(_: Any, node: yaml.ScalarNode) -> Any:
    problem = f"{node.value:.40} is no text: put it in quotes"
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:timestamp", _construct_time)
for _tag in ("int", "float"):
    _UniqueKeyLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct_number)


def _read(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML text, which know their lines, and what they hold."""
    loader = _UniqueKeyLoader(text)
    try:
        tree = loader.get_single_node()
        return tree, None if tree is None else loader.construct_document(tree)
    finally:
        loader.dispose()


def parse_bay(path: Path, text: str, bay_id: str) -> BayConfig:
    """Validate the text of one bay's file; `path` is named in messages.

    Raises:
        ConfigError: every fault with line, key and reason.
    """
    tree, raw = read_strictly(path, text)
    if "bay_id" in raw:
        raise ConfigError(f"{path}: bay_id: the file's name is the bay's id; remove the key")
    chosen = _override()
    if chosen is not None:
        raw["enabled"] = bay_id in chosen
    if "migration" in raw:
        raw = as_owner_says(raw)
    try:
        # As JSON and strict: `port: yes`, `host: 2130706433` and a date are refused, not converted.
        return BayConfig.model_validate_json(json.dumps({**raw, "bay_id": bay_id}, allow_nan=False), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(faults(path, tree, error, BayConfig))) from error
    except Exception as error:
        raise ConfigError(f"{path}: cannot be read: {_reason(error)}") from error


def read_strictly(path: Path, text: str) -> tuple[yaml.Node | None, dict[str, Any]]:
    """The nodes of a YAML file, which know their lines, and the mapping that it holds.

    Refused are keys that stand twice, texts with control characters, and what is too long or too deep.

    Raises:
        ConfigError: with the line.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"{path}: {len(text)} characters; it may have {_LONGEST} at most")
    try:
        _check_depth(text)
        tree, raw = _read(text)
        _check_values(raw)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # A file that ends too early has its fault behind its last line.
        lines = text.splitlines()
        line = f":{min(mark.line + 1, len(lines))}" if mark else ""
        problem = error.problem or error.context or ""
        if mark and _TAB_BEFORE.match("".join(lines[mark.line : mark.line + 1])):
            problem = "a tab: YAML indents with spaces: put as many in its place as the lines beside it have"
        raise ConfigError(f"{path}{line}: {problem}{_YAML_HINTS.get(problem, '')}") from error
    except Exception as error:
        raise ConfigError(f"{path}: no YAML that can be read: {_reason(error)}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: the file is a mapping of keys to values")
    return tree, raw


def line_of_key(tree: yaml.Node | None, key: str) -> int | None:
    """The line (from 1) at which a key stands, as `cameras.C_4.pose`; of a part of it where the rest is not there.

    Items of a list go by their `name`. None where the file has no part of it.
    """
    node, left, line = tree, key.split("."), None
    while left:
        children = list(_named_children(node))
        # Names may hold points: the longest one that fits.
        for count in range(len(left), 0, -1):
            fitting = [child for child in children if child[0] == ".".join(left[:count])]
            if fitting:
                _, line, node = fitting[0]
                left = left[count:]
                break
        else:
            break
    return line


def _named_children(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """Name, line and value of what a node holds."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield str(name.value), name.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            names = [str(child.value) for name, _, child in _named_children(value) if name == "name"]
            yield str(names[0] if names else number), value.start_mark.line + 1, value


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return " ".join(str(error).split())[:200] or type(error).__name__


def faults(
    path: Path, tree: yaml.Node | None, error: ValidationError, model: type[BaseModel] | None = None
) -> Iterator[str]:
    """Every fault of a file with line, key and reason; of an unknown key, those of `model` that may be meant."""
    for fault in error.errors(include_url=False):
        location = fault["loc"] + getattr(fault.get("ctx", {}).get("error"), "location", ())
        key = ".".join(str(part) for part in location)
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden" and model is not None and (near := _near_keys(model, location)):
            reason += f": did you mean {near[0]}?"
        reason += unit_hint(location, fault["type"])
        where = f"{path}:{_line_of(tree, location)}"
        yield f"{where}: {key}: {reason}" if key else f"{where}: {reason}"


def unit_hint(location: Sequence[int | str], fault: str) -> str:
    """What is added to a fault of pydantic's: the unit of a value that is too large or too small, and the likely one.

    Args:
        location: of the value: the keys that lead to it, or its model's name and its key.
        fault: pydantic's type of it.
    """
    keys = [str(part) for part in location if isinstance(part, str)]
    if keys and keys[-1] in _FOCALS and fault == "greater_than":
        return " pixels: is it in millimetres? focal_px is image width x focal length in mm / sensor width in mm"
    is_metres = keys and keys[-1] in _METRES and not {"intrinsics", "Intrinsics"} & set(keys)
    return " metres: is it in millimetres?" if is_metres and fault in _TOO_LARGE else ""


def _near_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The key that the last one of `location` may be meant for, if there is one."""
    schema = _schema_of(model)
    parts = [schema]
    for step in location[:-1]:
        parts = [part for one in parts for part in _resolved(schema, _within(one, step))]
    known = [key for part in parts for key in part.get("properties", ())]
    return difflib.get_close_matches(str(location[-1]), known, 1, _SIMILAR)


@cache
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """As JSON schema; it takes tens of milliseconds, and a file may have thousands of unknown keys."""
    return model.model_json_schema()


def _within(schema: dict[str, Any], step: int | str) -> Any:
    return schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)


def _resolved(schema: dict[str, Any], part: Any) -> list[dict[str, Any]]:
    """The objects and lists that a part of a JSON schema may be."""
    if not isinstance(part, dict):
        return []
    if "$ref" in part:
        return [schema["$defs"][part["$ref"].rpartition("/")[2]]]
    return [found for one in part.get("anyOf", [part]) for found in ([one] if one is part else _resolved(schema, one))]


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line (from 1) of the deepest part of `location` that the file has."""
    line = 1
    for part in location:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == str(part):
                    line, found = key_node.start_mark.line + 1, value_node
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line
