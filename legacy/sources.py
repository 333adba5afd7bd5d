"""Where old results are read from: a dump of Redis, CSV files, pickles, the old Redis itself.

A dump is JSON. Either one object, `{key: {field: value}}`, or a line for each key,
`{"key": ..., "value": {field: value}}`; a value is a text, JSON itself, or `{"base64": ...}` for bytes that
are no text. `bay-observation legacy dump` writes the second form.
"""

import base64
import binascii
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bay_observation.errors import ConfigError
from legacy.decoding import MOST_RECORD_BYTES, Decoder
from legacy.mapping import Mapping
from legacy.pickles import read_pickle
from legacy.records import OldBatch, Problems

if TYPE_CHECKING:
    from legacy.connection import OldSide

_MOST_DOCUMENT_BYTES = 512 * 2**20
_MOST_LINE_BYTES = 2 * MOST_RECORD_BYTES
_MOST_FIELDS = 100_000
_SUFFIXES = (".json", ".jsonl", ".csv", ".pkl", ".pickle")


def batches_of(sources: Iterable[Path], decoder: Decoder, mapping: Mapping, problems: Problems) -> Iterator[OldBatch]:
    """What files hold, record for record; a batch may come in several parts.

    Args:
        sources: files, or folders that are searched for them.
        decoder: reads the records.
        mapping: of the old system.
        problems: where to note what does not fit.

    Raises:
        ConfigError: a file cannot be read at all, with the remedy.
    """
    for path in _files(sources):
        suffix = path.suffix.lower()
        try:
            if suffix == ".csv":
                yield from _rows(path, decoder, mapping, problems)
            elif suffix in (".pkl", ".pickle"):
                yield from _documents(path, decoder)
            else:
                for key, fields in _hashes(path, problems):
                    if not decoder.knows_key(key):
                        problems.add("a key is none of the mapping's: redis.key, floor.key", f"{path}: {key[:200]}")
                    else:
                        yield from decoder.hash(key, fields)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def live_batches(old: "OldSide", decoder: Decoder, problems: Problems) -> Iterator[OldBatch]:
    """What the old Redis holds now.

    Raises:
        LegacyRedisError: it does not answer.
    """
    for key, fields in old.hashes(problems, _MOST_FIELDS, decoder.knows_key):
        yield from decoder.hash(key, fields)


def dump_line(key: str, fields: AnyMapping[str, bytes]) -> str:
    """A hash as one line of a dump."""
    return json.dumps({"key": key, "value": {name: _text(value) for name, value in fields.items()}}, ensure_ascii=False)


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from (path for path in sorted(source.rglob("*")) if path.suffix.lower() in _SUFFIXES)
        elif source.suffix.lower() in _SUFFIXES:
            yield source
        else:
            raise ConfigError(f"{source}: {', '.join(_SUFFIXES)} are read: name a dump as one of them, or a folder")


def _hashes(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        first = _first_line(path, file)
        if first is None:
            return
        document = _json(first)
        if isinstance(document, dict) and isinstance(document.get("key"), str) and "value" in document:
            yield from _lines(path, file, first, problems)
            return
        size = path.stat().st_size
        if size > _MOST_DOCUMENT_BYTES:
            raise ConfigError(f"{path}: one document of {size} bytes: write it as lines (bay-observation legacy dump)")
        document = _json(path.read_bytes())
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: no dump: an object {{key: {{field: value}}}}, or a line for each key")
    for key, value in document.items():
        if (found := _fields(f"{path}: {key[:200]}", value, problems)) is not None:
            yield key, found


def _first_line(path: Path, file: IO[bytes]) -> bytes | None:
    while line := file.readline(_MOST_LINE_BYTES + 1):
        if line.strip():
            return line.removeprefix(b"\xef\xbb\xbf")
    if path.stat().st_size:
        return None
    raise ConfigError(f"{path}: is empty")


def _lines(path: Path, file: IO[bytes], first: bytes, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    number, line = 1, first
    while line:
        where = f"{path}:{number}"
        if len(line) > _MOST_LINE_BYTES:
            problems.add("a line of more than 32 MB is not read", where)
            while line and not line.endswith(b"\n"):
                line = file.readline(_MOST_LINE_BYTES)
        elif line.strip():
            document = _json(line)
            key = document.get("key") if isinstance(document, dict) else None
            if not isinstance(key, str):
                problems.add('a line is no JSON object {"key": ..., "value": ...}', where)
            elif (found := _fields(f"{where} {key[:200]}", document.get("value"), problems)) is not None:
                yield key, found
        number, line = number + 1, file.readline(_MOST_LINE_BYTES + 1)


def _fields(where: str, value: Any, problems: Problems) -> dict[str, Any] | None:
    # As some tools write it: {"type": "hash", "value": {...}}.
    if isinstance(value, dict) and value.get("type") == "hash" and isinstance(value.get("value"), dict):
        value = value["value"]
    if not isinstance(value, dict):
        problems.add("a key is no hash", where)
        return None
    if len(value) > _MOST_FIELDS:
        problems.add(f"a hash of more than {_MOST_FIELDS} fields is not read: dump it in parts", where)
        return None
    return {name: _bytes(part) for name, part in value.items()}


def _bytes(part: Any) -> Any:
    if isinstance(part, dict) and part.keys() == {"base64"} and isinstance(part["base64"], str):
        try:
            return base64.b64decode(part["base64"], validate=True)
        except (binascii.Error, ValueError):
            return part
    return part


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _rows(path: Path, decoder: Decoder, mapping: Mapping, problems: Problems) -> Iterator[OldBatch]:
    """Rows that follow one another and name the same batch come as one."""
    if mapping.floor is None:
        raise ConfigError(f"{path}: the mapping has no floor, whose paths are the columns of a CSV file")
    csv.field_size_limit(min(sys.maxsize, 2**24))
    # What is not UTF-8 becomes surrogates, which no name has: the row is reported, and the next one read.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, restval="")
        columns = [name for name in mapping.floor.block.model_dump().values() if name is not None]
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError(
                f"{path}: no column {', '.join(missing)}: name the columns under floor.block in the mapping"
            )
        held: OldBatch | None = None
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                problems.add(f"a row is no CSV: {error}", f"{path}:{reader.line_num}")
                continue
            if row is None:
                break
            part = decoder.row(f"{path}:{reader.line_num}", row)
            if part is None:
                continue
            if held is not None and (held.bay_id, held.slot) == (part.bay_id, part.slot):
                held = OldBatch(held.bay_id, held.slot, None, _both(held, part, problems, f"{path}:{reader.line_num}"))
                continue
            if held is not None:
                yield held
            held = part
        if held is not None:
            yield held


def _both(held: OldBatch, part: OldBatch, problems: Problems, where: str) -> Any:
    known = held.blocks or ()
    added = tuple(block for block in part.blocks or () if all(block.block_id != other.block_id for other in known))
    if len(added) < len(part.blocks or ()):
        problems.add("floor.block.id: two blocks of a batch have the same; the first one counts", where)
    return (*known, *added)


def _documents(path: Path, decoder: Decoder) -> Iterator[OldBatch]:
    value = read_pickle(path)
    parts = value if isinstance(value, list) else [value]
    for number, part in enumerate(parts):
        yield from decoder.document(f"{path} {number}", path.parent.name, part)
