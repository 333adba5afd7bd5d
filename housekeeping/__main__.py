"""`python -m housekeeping`: delete what is kept no longer, and say how long the disk lasts.

Artifacts and rows of the history by each bay's `retention`, what killed writers left, and with
--airflow also Airflow's old rows and logs (AIRFLOW_KEPT_DAYS). It may run at any time, beside
anything, and again. See docs/housekeeping.md.
"""

import argparse
import json
from collections.abc import Sequence

from artifacts import ArtifactStore, Spool, data_path
from bay_observation import settings
from bay_observation.commands import DONE, FAILED, failed, program, run_command
from bay_observation.errors import BayObservationError
from housekeeping.airflow_database import clean_airflow_database, log_folder
from housekeeping.cleaning import clean_host, clean_store, known_bays
from housekeeping.report import Report
from tracking.history import History


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when all is clean; 1 where something could not be cleaned; 2 for wrong use.
    """
    options = make_parser().parse_args(arguments)
    try:
        report = _clean(options)
    except BayObservationError as error:
        return failed(error)
    print(json.dumps(report.to_dict(), indent=2) if options.json else "\n".join(report.lines()))
    return FAILED if report.faults else DONE


def _clean(options: argparse.Namespace) -> Report:
    report = Report(options.dry_run)
    bays = known_bays(report, options.bay)
    url = settings.HISTORY_DB.read()
    with History(url) if url else History.at(data_path()) as history:
        found = clean_store(ArtifactStore().existing(), history, bays, dry_run=options.dry_run)
    report.take(found)
    report.forecast = found.forecast
    if options.airflow:
        days = settings.AIRFLOW_KEPT_DAYS.read()
        report.take(clean_host(Spool.from_environment(), log_folder(), days, dry_run=options.dry_run))
        report.take(clean_airflow_database(days, dry_run=options.dry_run))
    return report


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog=program("python -m housekeeping"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bay", action="append", default=[], help="of this bay only; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="delete nothing, and say what would be deleted")
    parser.add_argument("--airflow", action="store_true", help="also Airflow's tables and this host's logs")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


if __name__ == "__main__":
    run_command(main)
