"""`python -m artifacts`: the shared storage, and what waits for it.

init       mark the root of a store, so that an absent mount is recognised (STORE_MARKER=required)
status     whether the store answers, and what waits in this host's spool
replicate  publish what waits in this host's spool, in order: a service of every observer
list       the newest batches of a bay, and which artifacts each has
get        read an artifact: as JSON, or a capture's frames as files
convert    write a store of format 1 as a new store of format 2

DATA_PATH is the store, SPOOL_PATH the spool. See docs/storage.md.
"""

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

from artifacts.conversion import convert
from artifacts.faults import named_errors
from artifacts.filesystem import MARKER
from artifacts.inspection import to_plain
from artifacts.location import data_root, file_system
from artifacts.reference import Stage
from artifacts.replication import Replicator
from artifacts.spool import Spool
from artifacts.store import ArtifactStore
from bay_observation.bay_files import bay_names, bays_folder, unknown_bays
from bay_observation.commands import CANNOT_TELL, DONE, FAILED, existing_path, failed, program, run_command
from bay_observation.errors import (
    ArtifactError,
    BayObservationError,
    ConfigError,
    MissingArtifactError,
    SpoolError,
    StoreUnavailableError,
)

# No task waits for the replicator: a slow store may take its time.
_TIMEOUT_S = 120.0
# How long a stand-by takes to notice that it is stopped.
_STANDBY_S = 5.0

logger = logging.getLogger("artifacts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when it is done; 1 where the store or the spool fails; 2 for wrong use; 3 where the
        store answers and something waits in the spool, or where its folder is not there yet.
    """
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        return int(options.run(options))
    except BayObservationError as error:
        return failed(error)


def _init(_: argparse.Namespace) -> int:
    files = file_system(data_root())
    with named_errors(files.where(MARKER), "written"):
        if files.status(MARKER) is None:
            files.write(MARKER, b"The shared storage of Bay Observation: see docs/storage.md.\n")
    print(f"{files.where(MARKER)}: this is the store; set STORE_MARKER=required on every host that mounts it")
    return 0


def _status(options: argparse.Namespace) -> int:
    spool = Spool.from_environment()
    fault, there = "", False
    try:
        store = ArtifactStore(data_root())
        store.check()
        there = not store.has_locks or store.root.is_dir()
    except StoreUnavailableError as error:
        fault = str(error)
    backlogs = [] if spool is None else [spool.backlog(bay_id) for bay_id in spool.bay_ids()]
    replicating = spool is not None and spool.has_replicator()
    waiting = sum(backlog.pending for backlog in backlogs)
    if options.json:
        report = {
            "store": data_root(),
            "fault": fault or None,
            "exists": there,
            "spool": None if spool is None else str(spool.folder),
            "replicator": replicating,
            "pending": waiting,
            "bays": [backlog.to_dict() for backlog in backlogs],
        }
        print(json.dumps(report, indent=2))
    else:
        absent = f"{data_root()}: not there; the first artifact makes it. Is DATA_PATH right, and mounted?"
        print(f"store       {fault or (f'{data_root()}: answers' if there else absent)}")
        print(f"spool       {'off: SPOOL_PATH is not set' if spool is None else spool.folder}")
        print(f"replicator  {'runs' if replicating else 'does not run on this spool'}")
        for backlog in backlogs:
            since = f", since {backlog.since:%Y-%m-%d %H:%M} UTC" if backlog.since else ""
            waits = f"{backlog.pending} wait ({backlog.size / 1e6:.1f} MB{since})"
            print(f"{backlog.bay_id}: {waits}, {backlog.aside} set aside")
    if fault:
        return FAILED
    return DONE if there and not waiting else CANNOT_TELL


def _replicate(options: argparse.Namespace) -> int:
    spool = Spool.from_environment()
    if spool is None:
        raise ConfigError("SPOOL_PATH is not set: there is no spool on this host, and nothing to replicate")
    replicator = Replicator(spool, ArtifactStore(data_root(), timeout_s=_TIMEOUT_S))
    if options.once:
        with spool.only_replicator(0.0):
            done = replicator.once()
        logger.info("%d published, %d set aside, %d left", done.published, done.aside, done.left)
        return FAILED if done.left else DONE
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stands_by = False
    with ExitStack() as held:
        while not stop.is_set():
            try:
                held.enter_context(spool.only_replicator(_STANDBY_S))
            except SpoolError:
                raise
            except ArtifactError as error:
                if not stands_by:
                    logger.info("standing by: %s", error)
                stands_by = True
                continue
            logger.info("replicating %s to %s", spool.folder, data_root())
            replicator.run(stop)
    return 0


def _list(options: argparse.Namespace) -> int:
    store = ArtifactStore(data_root())
    stages = get_args(Stage)
    known = {stage: set(store.batch_ids(stage, options.bay)) for stage in stages}
    newest = sorted(set().union(*known.values()))[-max(options.newest, 1) :]
    if not newest:
        _check_bay(options.bay, store)
        raise MissingArtifactError(f"{store.location}: no artifact of bay {options.bay}")
    rows = {batch: [stage for stage in stages if batch in known[stage]] for batch in newest}
    if options.json:
        print(json.dumps({"store": store.location, "batches": rows}, indent=1))
    else:
        print("\n".join(f"{batch}  {', '.join(there)}" for batch, there in rows.items()))
        print(store.location, file=sys.stderr)
    return DONE


def _get(options: argparse.Namespace) -> int:
    store = ArtifactStore(data_root())
    batch = store.newest(options.stage, options.bay) if options.batch == "newest" else options.batch
    reference = None if batch is None else store.find(options.stage, options.bay, batch)
    if reference is None:
        _check_bay(options.bay, store)
        raise MissingArtifactError(
            f"{store.location}: no {options.stage} artifact of {batch or options.bay}: `bay-observation store list"
            f" {options.bay}` lists what there is"
        )
    value = store.load(reference)
    print(store.where(reference), file=sys.stderr)
    if options.frames is not None:
        return _write_frames(value, options)
    print(json.dumps(to_plain(value), ensure_ascii=False, indent=1))
    return DONE


def _check_bay(bay_id: str, store: ArtifactStore) -> None:
    """Refuses a bay that has neither a file nor artifacts: those of a bay whose file was removed are still read."""
    known = bay_names()
    if bay_id not in known and not any(store.newest(stage, bay_id) for stage in get_args(Stage)):
        raise unknown_bays([bay_id], known, bays_folder())


def _write_frames(value: Any, options: argparse.Namespace) -> int:
    if options.stage != "capture":
        raise ConfigError(f"--frames: a {options.stage} artifact has no frames; the stage capture has")
    options.frames.mkdir(parents=True, exist_ok=True)
    for image in value.images:
        (options.frames / f"{image.image_id}.jpg").write_bytes(image.jpeg)
    print(f"{options.frames}: {len(value.images)} frames")
    return DONE


def _convert(options: argparse.Namespace) -> int:
    result = convert(options.old, options.new)
    for reason in result.refused:
        print(f"refused: {reason}", file=sys.stderr)
    counts = ", ".join(f"{count} {stage}" for stage, count in result.converted.items()) or "nothing"
    print(f"{options.new}: {counts} converted, {len(result.refused)} refused; {options.old} is as it was")
    if result.left:
        again = "the next batch of a bay tracks its slots again (docs/storage.md)"
        print(f"{result.left} tracking artifacts left out: {again}.")
    print("References that Airflow keeps from before do not fit the new files: run no old task again.")
    return FAILED if result.refused else DONE


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m artifacts"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser("init", help="mark the root of a store")
    init.set_defaults(run=_init)
    status = commands.add_parser("status", help="whether the store answers, and what waits for it")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)
    replicate = commands.add_parser("replicate", help="publish what waits")
    replicate.add_argument("--once", action="store_true", help="what waits now, and end")
    replicate.set_defaults(run=_replicate)
    listing = commands.add_parser("list", help="the newest batches of a bay, and which artifacts each has")
    listing.add_argument("bay", help="a bay's id, as 3bay_north")
    listing.add_argument("--newest", type=int, default=20, metavar="N", help="so many batches (20)")
    listing.add_argument("--json", action="store_true", help="one JSON document in place of the lines")
    listing.set_defaults(run=_list)
    getting = commands.add_parser("get", help="read an artifact: as JSON, or a capture's frames as files")
    getting.add_argument("bay", help="a bay's id, as 3bay_north")
    getting.add_argument("batch", help="as 3bay_north_20250702-071000, or newest")
    getting.add_argument("stage", choices=get_args(Stage), help="whose artifact")
    getting.add_argument("--frames", type=Path, metavar="FOLDER", help="of a capture: write its frames there")
    getting.set_defaults(run=_get)
    conversion = commands.add_parser("convert", help="write a store of format 1 as a new store of format 2")
    conversion.add_argument("old", type=existing_path, help="root of the old store; it is not changed")
    conversion.add_argument("new", type=Path, help="root of the new store")
    conversion.set_defaults(run=_convert)
    return parser


if __name__ == "__main__":
    run_command(main)
