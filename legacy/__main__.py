"""`python -m legacy`: from the old system to this one. See docs/migration.md.

The old Redis is `LEGACY_REDIS`; a login comes from LEGACY_REDIS_USER and LEGACY_REDIS_PASSWORD(_FILE).
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from getpass import getuser
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts import data_path
from bay_observation import settings
from bay_observation.bay_files import unknown_bays
from bay_observation.commands import existing_path, program, run_command
from bay_observation.errors import ArtifactError, BayObservationError, ConfigError, HistoryError
from bay_observation.files import write_atomically
from bays import BayConfig, load_bay
from bays.zones import written_time
from legacy.checking import check, check_message, problem_lines, problem_list
from legacy.decoding import Decoder
from legacy.mapping import Mapping, load_mapping
from legacy.records import OldBatch, Problems
from legacy.sources import batches_of, dump_line, live_batches

if TYPE_CHECKING:
    from legacy.bridge import BridgeState
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
    chosen = {bay_id: bays[bay_id] for bay_id in _chosen(mapping, options.bay)}
    source = ", ".join(path.name for path in options.source)
    batches = batches_of(options.source, Decoder(mapping, bays, problems), mapping, problems)
    with _history() as history:
        report = import_batches(batches, chosen, history, source, problems)
    _print(options, report.to_dict(), report.lines())
    return _OK if report.is_whole else _NOT_SO


def _compare(options: argparse.Namespace) -> int:
    from artifacts import ArtifactStore
    from legacy.comparison import compare, new_side, old_side
    from legacy.comparison.page import page_of
    from legacy.comparison.table import lines_of

    mapping, problems = load_mapping(options.mapping), Problems()
    (bay_id,) = _chosen(mapping, [options.bay])
    bay = load_bay(bay_id)
    start, end = _period(bay, options)
    decoder = Decoder(mapping, {bay_id: bay}, problems)
    with ExitStack() as stack:
        old = old_side(_read(options.old, decoder, mapping, problems, stack), bay_id, start, end)
        new = new_side(bay, ArtifactStore(), stack.enter_context(_history()), start, end)
    result = compare(old, new, bay, mapping.compare, (start, end))
    if options.html is not None:
        write_atomically(options.html, page_of(result, bay).encode("utf-8"))
    document = result.to_dict() | {"problems": problem_list(problems)}
    _print(options, document, chain(lines_of(result, bay), problem_lines(problems)))
    return _OK if result.is_ready else _NOT_SO


def _bridge(options: argparse.Namespace) -> int:
    from artifacts import ArtifactStore
    from legacy.connection import OldSide
    from legacy.running import run_bridge

    mapping = load_mapping(options.mapping)
    names = _chosen(mapping, options.bay)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with _history() as history, OldSide() as old:
        run_bridge(names, mapping, ArtifactStore(), history=history, old=old, every_s=options.every, once=options.once)
    return _OK


def _own(options: argparse.Namespace) -> int:
    from artifacts import ArtifactStore
    from legacy.bridge import Bridge
    from legacy.connection import OldSide
    from legacy.ownership import Ownership

    mapping, store = load_mapping(options.mapping), ArtifactStore()
    (bay_id,) = _chosen(mapping, [options.bay])
    author = options.author or _login()
    with _history() as history, OldSide() as old:

        def publish(bay: BayConfig) -> "BridgeState":
            return Bridge(bay, mapping, store, history=history, old=old).step()

        ownership = Ownership(mapping, history, old, publish=publish)
        try:
            change = ownership.change(bay_id, options.owner, author, options.why, at_once=options.now)
        except (ArtifactError, HistoryError):
            print("nothing was changed; --now does without store and history:", file=sys.stderr)
            raise
    print(f"{change.bay_id}: {change.former} → {change.owner}, by {author}; last published: {change.last or 'nothing'}")
    if change.missed:
        missed = ", ".join(change.missed)
        print(f"{change.bay_id}: not published by the side that had it: {missed}", file=sys.stderr)
    if not change.is_noted:
        print(f"{change.bay_id}: the history does not have this change: say it again when it is back", file=sys.stderr)
    return _NOT_SO if change.missed or not change.is_noted else _OK


def _status(options: argparse.Namespace) -> int:
    from artifacts import ArtifactStore
    from legacy.connection import OldSide
    from legacy.running import state_of

    mapping, store = load_mapping(options.mapping), ArtifactStore()
    names, states, is_well = _chosen(mapping, options.bay), [], True
    with _history() as history, OldSide() as old:
        for name in names:
            try:
                states.append(state_of(name, mapping, store, history=history, old=old))
            except (ConfigError, ArtifactError, HistoryError) as error:  # of one bay: the others are shown
                print(f"{name}: {error}", file=sys.stderr)
                is_well = False
    _print(options, {one.bay_id: one.to_dict() for one in states}, (line for one in states for line in one.lines()))
    return _OK if is_well and all(one.is_well for one in states) else _NOT_SO


# -- inside -----------------------------------------------------------------------------------------


def _bays(mapping: Mapping) -> dict[str, BayConfig]:
    return {bay_id: load_bay(bay_id) for bay_id in mapping.bays}


def _chosen(mapping: Mapping, names: Sequence[str]) -> list[str]:
    if not set(names) <= mapping.bays.keys():
        raise unknown_bays(names, list(mapping.bays), "the mapping")
    return list(names or mapping.bays)


def _login() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        raise ConfigError("this login has no name: say who changes the owner, as --author NAME") from None


def _read(
    sources: Sequence[Path], decoder: Decoder, mapping: Mapping, problems: Problems, stack: ExitStack
) -> Iterator[OldBatch]:
    """What files hold, or the old Redis where none is named."""
    from legacy.connection import OldSide

    if sources:
        return batches_of(sources, decoder, mapping, problems)
    return live_batches(stack.enter_context(OldSide()), decoder, problems)


def _period(bay: BayConfig, options: argparse.Namespace) -> tuple[datetime, datetime]:
    """From and to of the options, by the bay's own clock where they name no zone; up to now by default."""
    start = written_time(options.start, bay.zone)
    end = datetime.now(UTC) if options.end is None else written_time(options.end, bay.zone)
    if start >= end:
        raise ConfigError("the period is empty: --from must lie before --to")
    return start, end


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
        "source", nargs="+", type=existing_path, help="dumps (.json, .jsonl), .csv, pickles, or folders of them"
    )
    imported.add_argument("--bay", action="append", default=[], help="of this bay only; may be repeated")
    imported.add_argument("--json", action="store_true", help="for programs")
    compared = _command(
        commands, "compare", _compare, "old and new beside each other: what differs, and whether it is ready"
    )
    compared.add_argument("bay", help="a bay's id, as 3bay_north")
    compared.add_argument("--from", dest="start", required=True, metavar="TIME", help="the bay's own clock")
    compared.add_argument("--to", dest="end", metavar="TIME", help="until now by default")
    compared.add_argument(
        "--old",
        action="append",
        default=[],
        type=existing_path,
        metavar="FILE",
        help="a dump, CSV file or folder; may be repeated",
    )
    compared.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page")
    compared.add_argument("--json", action="store_true", help="for programs")
    bridge = _command(commands, "bridge", _bridge, "hash and message for the old consumers of the bays that are ours")
    bridge.add_argument("bay", nargs="*", help="of these bays only")
    bridge.add_argument("--every", type=_seconds, default=2.0, metavar="SECONDS", help="between two looks (2)")
    bridge.add_argument("--once", action="store_true", help="publish what is ready, and end")
    own = _command(commands, "own", _own, "give a bay to another owner, between two slots")
    own.add_argument("bay", help="a bay's id, as 3bay_north")
    own.add_argument("owner", choices=("old", "shadow", "new"), help="see docs/migration.md")
    own.add_argument("--why", required=True, metavar="TEXT", help="the reason, kept in the history with your name")
    own.add_argument("--author", metavar="NAME", help="in place of your login's name")
    own.add_argument("--now", action="store_true", help="do not wait for the slot in work, as when a side is down")
    status = _command(commands, "status", _status, "who owns each bay, and whether its bridge keeps up")
    status.add_argument("bay", nargs="*", help="of these bays only")
    status.add_argument("--json", action="store_true", help="for programs")
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
        type=existing_path,
        help="dumps (.json, .jsonl), .csv, pickles, or folders of them; the old Redis by default",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    run_command(main)
