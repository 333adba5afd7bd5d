"""An artifact's file: a line that says what it is, and the pickle of plain data that follows it.

    bay-observation fusion 2 crc32-of-the-pickle
    <pickle>

The line shows whether a file is foreign or outdated before anything else is read. Its checksum
shows damage where no reference with a digest is at hand.
"""

import zlib
from typing import Any

from artifacts import plain_pickle
from artifacts.codec import CodecError, decode, encode
from artifacts.plain_pickle import PlainPickleError
from artifacts.reference import Stage
from artifacts.schemas import SCHEMAS
from bay_observation.errors import WrongArtifactError

_MAGIC = b"bay-observation"
_LONGEST_HEADER = 128


def to_bytes(stage: Stage, value: object) -> bytes:
    """The whole file of a stage's value. Equal values give equal bytes.

    Raises:
        CodecError, PlainPickleError: the value holds something that an artifact may not hold.
    """
    content = plain_pickle.dumps(encode(value))
    return _MAGIC + f" {stage} {SCHEMAS[stage].version} {zlib.crc32(content):08x}\n".encode() + content


def from_bytes(where: str, stage: Stage, content: bytes) -> Any:
    """The value in a file.

    Args:
        where: the file, for messages.
        stage: whose artifact it has to be.
        content: all of the file.

    Raises:
        WrongArtifactError: it is foreign, outdated, damaged, or holds another type.
    """
    schema = SCHEMAS[stage]
    start = _checked_header(where, stage, schema.version, content)
    try:
        return decode(schema.kind(), plain_pickle.loads(content, start))
    except PlainPickleError as error:
        raise WrongArtifactError(f"{where}: foreign: its pickle is not one of plain data: {error}") from error
    except CodecError as error:
        raise WrongArtifactError(f"{where}: foreign: it does not hold a {schema.name}: {error}") from error


def _checked_header(where: str, stage: Stage, version: int, content: bytes) -> int:
    """Where the pickle begins."""
    first, separator, _ = content[:_LONGEST_HEADER].partition(b"\n")
    words = first.split(b" ")
    if not separator or words[0] != _MAGIC or len(words) not in (3, 4):
        raise WrongArtifactError(f"{where}: foreign: not an artifact of this project")
    if words[1] != stage.encode():
        raise WrongArtifactError(f"{where}: foreign: holds a {_shown(words[1])} artifact, not {stage}")
    if len(words) == 3:
        raise WrongArtifactError(
            f"{where}: outdated: written in format 1, which could name code:"
            " `bay-observation store convert` makes a store of this format from it"
        )
    if words[2] != str(version).encode():
        raise WrongArtifactError(
            f"{where}: outdated: schema {_shown(words[2])}, this version reads {version}; run the stage again"
        )
    start = len(first) + 1
    if f"{zlib.crc32(memoryview(content)[start:]):08x}".encode() != words[3]:
        raise WrongArtifactError(f"{where}: damaged: its bytes are not those that were written")
    return start


def _shown(word: bytes) -> str:
    return word.decode("ascii", errors="replace")
