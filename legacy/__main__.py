"""`python -m legacy`: from the old system to this one. See docs/migration.md.

The old Redis is `LEGACY_REDIS`; a login comes from LEGACY_REDIS_USER and LEGACY_REDIS_PASSWORD(_FILE).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts import data_path
from bay_observation import settings
from bay_observation.commands import program, run_command
from bay_observation.errors import BayObservationError, ConfigError
from bays import BayConfig, load_bay
from legacy.checking import check, check_message
from legacy.decoding import Decoder
from legacy.mapping import Mapping, load_mapping
from legacy.records import OldBatch, Problems
from legacy.sources import batches_of, dump_line, live_batches

if TYPE_CHECKING:
    from tracking.history import History

_OK, _NOT_SO, _WRONG_USE, _NO_SERVER = 0, 1, 2, 3
_MOST_FIELDS = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the status is 0, 1 where something does not fit, 2 for wrong use, 3 without an old Redis."""
    from legacy.connection import LegacyRedisError

    options = make_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except LegacyRedisError as error:
        print(error, file=sys.stderr)
        return _NO_SERVER
    except ConfigError as error:
        print(error, file=sys.stderr)
        return _WRONG_USE
    except BayObservationError as error:
        print(error, file=sys.stderr)
        return _NOT_SO
    return status


# -- commands ---------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from legacy.connection import OldSide

    mapping, problems = load_mapping(options.mapping), Problems()
    bays = _bays(mapping)
    decoder = Decoder(mapping, bays, problems)
    with ExitStack() as stack:
        if options.listen is not None:
            for message in stack.enter_context(OldSide()).listen(mapping.redis.channel, options.listen):
                check_message(mapping, message, problems)
        report = check(_read(options.source, decoder, mapping, problems, stack), bays, problems)
    _print(options, report.to_dict(), report.lines())
    return _OK if report.fits else _NOT_SO


def _dump(options: argparse.Namespace) -> int:
    from legacy.connection import OldSide

    mapping, problems = load_mapping(options.mapping), Problems()
    decoder = Decoder(mapping, _bays(mapping), problems)
    with OldSide() as old:
        for key, fields in old.hashes(problems, _MOST_FIELDS, decoder.knows_key):
            print(dump_line(key, fields))
    for one in problems:
        print(f"{one.what}: {one.count}; first: {one.first}", file=sys.stderr)
    return _NOT_SO if len(problems) else _OK


def _import(options: argparse.Namespace) -> int:
    from legacy.importing import import_batches

    mapping, problems = load_mapping(options.mapping), Problems()
    bays = _bays(mapping)
    if unknown := sorted(set(options.bay) - bays.keys()):
        raise ConfigError(f"--bay {', '.join(unknown)}: the mapping has {', '.join(bays)}")
    chosen = {bay_id: bay for bay_id, bay in bays.items() if not options.bay or bay_id in options.bay}
    source = ", ".join(path.name for path in options.source)
    batches = batches_of(options.source, Decoder(mapping, bays, problems), mapping, problems)
    with _history() as history:
        report = import_batches(batches, chosen, history, source, problems)
    _print(options, report.to_dict(), report.lines())
    return _OK if report.is_whole else _NOT_SO


# -- inside -----------------------------------------------------------------------------------------


def _bays(mapping: Mapping) -> dict[str, BayConfig]:
    return {bay_id: load_bay(bay_id) for bay_id in mapping.bays}


def _read(
    sources: Sequence[Path], decoder: Decoder, mapping: Mapping, problems: Problems, stack: ExitStack
) -> Iterator[OldBatch]:
    """What files hold, or the old Redis where none is named."""
    from legacy.connection import OldSide

    if sources:
        return batches_of(sources, decoder, mapping, problems)
    return live_batches(stack.enter_context(OldSide()), decoder, problems)


def _history() -> "History":
    from tracking.history import History

    url = settings.HISTORY_DB.read()
    return History(url) if url else History.at(data_path())


def _print(options: argparse.Namespace, document: dict[str, Any], lines: Iterator[str]) -> None:
    print(json.dumps(document, indent=2) if options.json else "\n".join(lines))


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m legacy"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="exit status: 0 well, 1 something does not fit, 2 wrong use, 3 the old Redis does not answer",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checked = _command(commands, "check", _check, "what of a dump, or of the old Redis, the mapping does not fit")
    _add_sources(checked)
    checked.add_argument("--listen", type=_seconds, metavar="SECONDS", help="also look at messages that come meanwhile")
    checked.add_argument("--json", action="store_true", help="for programs")
    _command(commands, "dump", _dump, "the mapping's hashes of the old Redis, a line of JSON each")
    imported = _command(commands, "import", _import, "old results into the history, marked as imported")
    imported.add_argument(
        "source", nargs="+", type=Path, help="dumps (.json, .jsonl), .csv, pickles, or folders of them"
    )
    imported.add_argument("--bay", action="append", default=[], help="of this bay only; may be repeated")
    imported.add_argument("--json", action="store_true", help="for programs")
    return parser


def _command(commands: Any, name: str, run: Any, words: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words)
    command.add_argument("--mapping", type=Path, metavar="FILE", help="in place of LEGACY_MAPPING")
    command.set_defaults(run=run)
    return command


def _add_sources(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source",
        nargs="*",
        type=Path,
        help="dumps (.json, .jsonl), .csv, pickles, or folders of them; the old Redis by default",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    run_command(main)
