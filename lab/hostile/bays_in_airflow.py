"""Changed bay files beside two good bays, each stored in Airflow's own database as its DAG processor does.

`measure` makes a PostgreSQL with Airflow's schema and runs this module in a process of its own, since
Airflow reads its configuration when it is imported. For every file the database is emptied, both DAG
files are parsed, what came of them goes through the encoding by which Airflow's processes pass it on,
and is stored.
"""

import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bay_observation.errors import ConfigError, SimulationError
from bays import dag_id, load_bay
from bays.naming import TaskType
from lab.hostile.mutations import mutated, no_text_files
from lab.services.postgresql import PostgreSQL

LONGEST_S = 10.0
"""Airflow ends a parse after 50 s; what takes this long holds up every bay's."""

_PROJECT = Path(__file__).parents[2]
_BUNDLE = "dags-folder"
_FACTORY, _CHECK = "bay_dag_factory.py", "bay_config_check.py"
_STAGES: tuple[TaskType, ...] = ("observation", "fusion", "tracking")
_GOOD, _CHANGED = ("first", "last"), "middle"
_MEMORY = 6 * 2**30
# A right bay in a file of such a name: no bay, and no reason to lose one.
_ODD_NAMES = ("Bay 9", "{{ bay }}", "a\nb", "b" * 200, "한", "-x", "%(x)s", "\udcff", ".hidden", "first.copy")


@dataclass
class Stored:
    """What became of the files.

    Attributes:
        files: how many were tried.
        refused: of them, how many were no right bay.
        lost: files beside which a DAG of another bay was not in the database.
        silent: wrong files of which Airflow's import errors say nothing.
        late: files that `bays` takes and Airflow does not.
        slowest_s: seconds that a file took to be parsed and stored.
    """

    files: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def measure(folder: Path, files: int, seed: int) -> Stored:
    """Try so many changed files; the last of them are no text files, or have odd names.

    Args:
        folder: an empty one, for bays, Airflow's home, and the files that are findings.
        files: how many.
        seed: of the first file.

    Raises:
        SimulationError: PostgreSQL or Airflow does not start.
    """
    with PostgreSQL({"fsync": "off", "synchronous_commit": "off"}) as database:
        address = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "BAYS_"))}
        environment = kept | {
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": address,
            "AIRFLOW__CORE__DAGS_FOLDER": str(_PROJECT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "BAYS_PATH": str(folder / "bays"),
        }
        _run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        said = _run([sys.executable, "-m", __name__, str(folder), str(files), str(seed)], environment)
    return Stored(**json.loads(said.splitlines()[-1]))


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise SimulationError(f"{' '.join(command[1:4])} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


# In the process of its own


class _TooLongError(BaseException):
    """Passes every `except Exception`."""


def _main(folder: Path, files: int, seed: int) -> None:
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGALRM, _give_up)
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    bays = folder / "bays"
    bays.mkdir()
    demo = yaml.safe_load((_PROJECT / "bays" / "demo_bay.yaml").read_text("utf-8")) | {"enabled": True}
    text = yaml.safe_dump(demo, allow_unicode=True)
    for bay in _GOOD:
        (bays / f"{bay}.yaml").write_text(text, encoding="utf-8")
    stored = Stored()
    for name, make in _inputs(folder, text, files, seed):
        path = make(bays)
        _try(stored, name, bay_id=path.stem)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    print(json.dumps(asdict(stored)))


def _inputs(folder: Path, text: str, files: int, seed: int) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """Name and maker of each; a maker is given the bays' folder and returns the file."""
    file = f"{_CHANGED}.yaml"
    special = [(name, partial(_at, file, make_at)) for name, make_at in no_text_files(folder).items()]
    special += [(f"a file named {odd!a}", partial(_at, f"{odd}.yaml", _writer(text.encode()))) for odd in _ODD_NAMES]
    for number in range(seed, seed + max(0, files - len(special))):
        content = mutated(text, random.Random(number))
        yield f"seed {number}", partial(_at, file, _writer(content))
    yield from special[: max(0, files)]


def _at(name: str, make: Callable[[Path], object], bays: Path) -> Path:
    make(bays / name)
    return bays / name


def _writer(content: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _try(stored: Stored, name: str, bay_id: str) -> None:
    stored.files += 1
    _empty_database()
    began = time.monotonic()
    for file in (_FACTORY, _CHECK):
        try:
            signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
            store_dags(_PROJECT / "dags" / file)
        except (Exception, _TooLongError) as error:  # noqa: BLE001 - Airflow logs it; what it costs is counted below
            print(f"{name}: {file}: {error!r:.300}", file=sys.stderr)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    stored.slowest_s = max(stored.slowest_s, time.monotonic() - began)
    there, errors = _in_database()
    if not {dag_id(stage, bay) for stage in _STAGES for bay in _GOOD} <= there:
        stored.lost.append(name)
    wanted = _wanted(bay_id)
    if wanted is None:
        stored.refused += 1
        if not any(file == _CHECK for file, _ in errors):
            stored.silent.append(name)
    elif not wanted <= there:
        stored.late.append(name)


def _wanted(bay_id: str) -> set[str] | None:
    """The DAGs that the file should have; None where it is no right bay."""
    try:
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
        bay = load_bay(bay_id)
    except (ConfigError, _TooLongError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {dag_id(stage, bay_id) for stage in _STAGES} if bay.enabled else set()


def _give_up(*_: Any) -> None:
    raise _TooLongError(f"over {LONGEST_S:g} s")


def store_dags(file: Path) -> list[str]:
    """What Airflow's DagFileProcessorProcess and DagFileProcessorManager do with one file of DAGs; its import errors.

    Raises:
        SimulationError: Airflow's parser returns nothing.
    """
    import msgspec
    import structlog
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.dag_processing.processor import DagFileParseRequest, DagFileParsingResult, _parse_file
    from airflow.utils.session import create_session

    asked = DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name=_BUNDLE)
    found = _parse_file(asked, structlog.get_logger())
    if found is None:
        raise SimulationError(f"{file}: Airflow's parser returns nothing")
    passed_on = msgspec.msgpack.decode(msgspec.msgpack.encode(found.model_dump()))
    result = DagFileParsingResult.model_validate(passed_on)
    errors = {(_BUNDLE, path): text for path, text in (result.import_errors or {}).items()}
    with create_session() as session:
        update_dag_parsing_results_in_db(
            bundle_name=_BUNDLE,
            bundle_version=None,
            dags=result.serialized_dags,
            import_errors=errors,
            parse_duration=1.0,
            warnings=set(),
            session=session,
            files_parsed={(_BUNDLE, file.name), *errors},
        )
    return list(errors.values())


def _empty_database() -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        session.execute(text("TRUNCATE dag, import_error CASCADE"))


def _in_database() -> tuple[set[str], list[tuple[str, str]]]:
    """Ids of the DAGs that a scheduler would run, read back whole, and the import errors by file."""
    from airflow.models.dag import DagModel
    from airflow.models.errors import ParseImportError
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        ids = session.scalars(
            select(DagModel.dag_id).where(~DagModel.is_stale, ~DagModel.has_import_errors, ~DagModel.is_paused)
        ).all()
        there = set()
        for one in ids:
            serialized = SerializedDagModel.get(one, session=session)
            if serialized is not None and serialized.dag.tasks:
                there.add(one)
        errors = [(one.filename or "", one.stacktrace or "") for one in session.scalars(select(ParseImportError))]
    return there, errors


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
