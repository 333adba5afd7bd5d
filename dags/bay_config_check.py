"""Shows wrong bay files in Airflow: this file has no DAG, and raises what is wrong with `bays/*.yaml`.

The message stands among Airflow's import errors until the file is mended. The DAGs of the
other bays are in `bay_dag_factory.py`, which does not raise, and go on.
"""

from airflow.sdk import get_parsing_context

from bay_observation.errors import ConfigError
from bays import bay_ids, enabled_bays, load_bay


def faults() -> list[str]:
    """What is wrong, one message per bay, and with `BAYS_ENABLED`."""
    found = []
    for bay_id in bay_ids():
        try:
            load_bay(bay_id)
        except Exception as error:  # noqa: BLE001 - one message per bay, also for what no check foresaw
            found.append(str(error) if isinstance(error, ConfigError) else f"bay {bay_id}: {error!r}")
    if not found:
        try:
            enabled_bays()
        except ConfigError as error:
            found.append(str(error))
    return found


# A worker that parses for one task has its own bay's error, or none.
if get_parsing_context().dag_id is None and (_found := faults()):
    raise ConfigError("\n".join(_found))
