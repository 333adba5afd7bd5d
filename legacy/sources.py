"""Where old results are read from: a dump of Redis, CSV files, pickles, the old Redis itself.

A dump is JSON. Either one object, `{key: {field: value}}`, or a line for each key,
`{"key": ..., "value": {field: value}}`; a value is a text, JSON itself, or `{"base64": ...}` for bytes that
are no text. `bay-observation legacy dump` writes the second form.
"""

import base64
import binascii
import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bay_observation.errors import BayObservationError, ConfigError
from legacy.decoding import MOST_RECORD_BYTES, Decoder
from legacy.mapping import Mapping
from legacy.pickles import read_pickle
from legacy.records import FloorBlock, OldBatch, Problems

if TYPE_CHECKING:
    from legacy.connection import OldSide

_MOST_DOCUMENT_BYTES = 512 * 2**20
_MOST_LINE_BYTES = 2 * MOST_RECORD_BYTES
_MOST_FIELDS = 100_000
_LOOKED_AT_BYTES = 2**20
_LONGEST_FIELD = 2**24
_SUFFIXES = (".json", ".jsonl", ".csv", ".pkl", ".pickle")


def batches_of(sources: Iterable[Path], decoder: Decoder, mapping: Mapping, problems: Problems) -> Iterator[OldBatch]:
    """What files hold, record for record; a batch may come in several parts.

    A file that cannot be read at all is noted and left out, as a record is.

    Args:
        sources: files, or folders that are searched for them.
        decoder: reads the records.
        mapping: of the old system.
        problems: where to note what does not fit.

    Raises:
        ConfigError: a source is not there, or is no file of these kinds.
    """
    tables: list[Path] = []
    for path in _files(sources):
        if path.suffix.lower() == ".csv":
            tables.append(path)
            continue
        try:
            if path.suffix.lower() in (".pkl", ".pickle"):
                yield from _documents(path, decoder)
                continue
            for key, fields in _hashes(path, problems):
                if not decoder.knows_key(key):
                    problems.add("a key is none of the mapping's: redis.key, floor.key", f"{path}: {key}")
                else:
                    yield from decoder.hash(key, fields)
        except (_UnreadableError, BayObservationError, OSError) as error:
            problems.add(_fault(path, error), str(path))
    yield from _rows(tables, decoder, mapping, problems)


def live_batches(old: "OldSide", decoder: Decoder, problems: Problems) -> Iterator[OldBatch]:
    """What the old Redis holds now.

    Raises:
        LegacyRedisError: it does not answer.
    """
    for key, fields in old.hashes(problems, _MOST_FIELDS, decoder.knows_key):
        yield from decoder.hash(key, fields)


def dump_line(key: str, fields: AnyMapping[str, bytes]) -> str:
    """A hash as one line of a dump."""
    return json.dumps({"key": key, "value": {name: _text(value) for name, value in fields.items()}})


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


class _UnreadableError(Exception):
    """Why a file cannot be read at all, with the remedy."""


def _fault(path: Path, error: Exception) -> str:
    """The same words for every file that has it."""
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return f"a file cannot be read: {said.removeprefix(f'{path}: ')}"


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            found = sorted(path for path in source.rglob("*") if path.suffix.lower() in _SUFFIXES)
            yield from (path for path in found if path.is_file())
        elif source.suffix.lower() not in _SUFFIXES:
            raise ConfigError(f"{source}: {', '.join(_SUFFIXES)} are read: name a dump as one of them, or a folder")
        elif not source.is_file():
            raise ConfigError(f"{source}: No such file")
        else:
            yield source


def _hashes(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        first = _first_line(path, file)
        if first is None:
            return
        document = _json(first)
        if path.suffix.lower() == ".jsonl" or (
            isinstance(document, dict) and isinstance(document.get("key"), str) and "value" in document
        ):
            yield from _lines(path, file, first, problems)
            return
    size = path.stat().st_size
    if size > _MOST_DOCUMENT_BYTES:
        raise _UnreadableError("one document of more than 512 MB: write it as lines (bay-observation legacy dump)")
    document = _json(path.read_bytes())
    if not isinstance(document, dict):
        raise _UnreadableError(
            "no dump, or half of one: an object {key: {field: value}}, or a line for each key, is wanted"
        )
    for key, value in document.items():
        if (found := _fields(f"{path}: {key}", value, problems)) is not None:
            yield key, found


def _first_line(path: Path, file: IO[bytes]) -> bytes | None:
    while line := file.readline(_MOST_LINE_BYTES + 1):
        if line.strip():
            return line.removeprefix(b"\xef\xbb\xbf")
    if path.stat().st_size:
        return None
    raise _UnreadableError("it is empty")


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
            elif (found := _fields(f"{where} {key}", document.get("value"), problems)) is not None:
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


def _rows(paths: Sequence[Path], decoder: Decoder, mapping: Mapping, problems: Problems) -> Iterator[OldBatch]:
    """Rows of all tables, in whatever order they are, batch for batch."""
    floors: dict[tuple[str, datetime], dict[str, FloorBlock]] = {}
    for path in paths:
        try:
            for where, row in _rows_of(path, mapping, problems):
                part = decoder.row(where, row)
                if part is not None:
                    _add(floors.setdefault((part.bay_id, part.slot), {}), part.blocks or (), where, problems)
        except (_UnreadableError, OSError) as error:
            problems.add(_fault(path, error), str(path))
    for (bay_id, slot), blocks in floors.items():
        yield OldBatch(bay_id, slot, None, tuple(blocks.values()))


def _add(floor: dict[str, FloorBlock], blocks: Iterable[FloorBlock], where: str, problems: Problems) -> None:
    for block in blocks:
        if floor.setdefault(block.block_id, block) != block:
            problems.add("floor.block.id: two blocks of a batch have the same; the first one counts", where)


def _rows_of(path: Path, mapping: Mapping, problems: Problems) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of one table, with their place."""
    if mapping.floor is None:
        raise _UnreadableError("the mapping has no floor, whose paths are the columns of a CSV file")
    if not _is_utf8(path):
        problems.add("a CSV file is not UTF-8 (is it a spreadsheet's export in CP949?): save it as UTF-8", str(path))
    # What is not UTF-8 becomes surrogates, which no name has: the row is reported, and the next one read.
    with _long_fields(), path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, restval="")
        columns = [name for name in mapping.floor.block.model_dump().values() if name is not None]
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise _UnreadableError(f"no column {', '.join(missing)}: name the columns under floor.block in the mapping")
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                problems.add(f"a row is no CSV: {error}", f"{path}:{reader.line_num}")
                continue
            if row is None:
                return
            yield f"{path}:{reader.line_num}", row


@contextmanager
def _long_fields() -> Iterator[None]:
    """Fields of megabytes are read; the bound is the whole process's, so the former one comes back."""
    former = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(former)


def _is_utf8(path: Path) -> bool:
    """Whether the beginning of a file is."""
    with path.open("rb") as file:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(file.read(_LOOKED_AT_BYTES))
        except UnicodeDecodeError:
            return False
    return True


def _documents(path: Path, decoder: Decoder) -> Iterator[OldBatch]:
    value = read_pickle(path)
    parts = value if isinstance(value, list) else [value]
    for number, part in enumerate(parts):
        yield from decoder.document(f"{path} {number}", path.parent.name, part)
