"""Values for Airflow's own Helm chart (1.20 and later): the main server and the processors on Kubernetes.

Observers stay where they are, in the networks of their cameras, and connect as they do to a main server of their own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bay_observation.errors import ConfigError
from bays import processor_queue
from lab.capacity.plan import Plan

IMAGE = "bay-observation"
_CONCURRENCY = 4
_MOST_PROCESSORS = 3
_CONNECTIONS = 300
"""PostgreSQL bears so many without a pooler."""

_SHARED = "bay-observation-data"
_ENVIRONMENT = {"DATA_PATH": "/opt/airflow/data", "BAYS_PATH": "/opt/airflow/bays", "STORE_MARKER": "required"}


def values(plan: Plan, bay_ids: Sequence[str], tag: str) -> dict[str, Any]:
    """The values for bays of these ids.

    Args:
        plan: how many of each.
        bay_ids: each has a queue of processors, with workers of its own that KEDA adds and removes.
        tag: of the image.
    """
    queues = ["default", *map(processor_queue, bay_ids)]
    shared = {
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": _SHARED}},
            {"name": "bays", "configMap": {"name": "bays"}},
        ],
        "volumeMounts": [
            {"name": "data", "mountPath": _ENVIRONMENT["DATA_PATH"]},
            {"name": "bays", "mountPath": _ENVIRONMENT["BAYS_PATH"], "readOnly": True},
        ],
    }
    return shared | {
        "executor": "CeleryExecutor",
        "defaultAirflowRepository": IMAGE,
        "defaultAirflowTag": tag,
        "airflowVersion": "3.3.2",
        "images": {"airflow": {"repository": IMAGE, "tag": tag}},
        "env": [{"name": name, "value": value} for name, value in _ENVIRONMENT.items()],
        # Where the chart would make secrets of its own, it is given those of a deployment (docs/deploy.md).
        "data": {
            "metadataSecretName": "bay-observation-database",
            "resultBackendSecretName": "bay-observation-results",
            "brokerUrlSecretName": "bay-observation-broker",
        },
        "fernetKeySecretName": "bay-observation-fernet-key",
        "apiSecretKeySecretName": "bay-observation-api-secret-key",
        "jwtSecretName": "bay-observation-jwt-secret",
        "postgresql": {"enabled": False},
        "redis": {"enabled": False},
        "pgbouncer": {
            "enabled": plan.connections > _CONNECTIONS,
            "configSecretName": "bay-observation-pgbouncer",
            "maxClientConn": max(100, 2 * plan.connections),
        },
        "config": {
            "core": {"parallelism": 4 * len(queues), "load_examples": "False"},
            "celery": {"worker_concurrency": _CONCURRENCY},
            "triggerer": {"queues_enabled": "True"},
            "scheduler": {"scheduler_idle_sleep_time": "0.1"},
        },
        "scheduler": {"replicas": plan.yard.schedulers},
        "apiServer": {"replicas": plan.yard.api_servers},
        "dagProcessor": {"enabled": True},
        "triggerer": {
            "replicas": plan.main_triggerers,
            "args": ["bash", "-c", f"exec airflow triggerer --queues {','.join(queues)}"],
        },
        "workers": {"celery": _workers(bay_ids)},
    }


def faults_of(content: Mapping[str, Any], schema: Path) -> list[str]:
    """What the chart's own schema (its `values.schema.json`) says against the values: places and reasons.

    The chart lets names through that it does not know; here they are faults, down to where the schema names none.

    Raises:
        ConfigError: the file holds no schema.
    """
    from jsonschema import Draft7Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]

    try:
        rules = json.loads(schema.read_text(encoding="utf-8"))
        Draft7Validator.check_schema(rules)
    except (OSError, ValueError, SchemaError) as error:
        raise ConfigError(f"{schema}: no JSON schema: {str(error).splitlines()[0]}") from None
    try:
        known = {**rules["properties"]["workers"]["properties"]["celery"]["properties"], "name": {}}
    except (KeyError, TypeError):
        raise ConfigError(f"{schema}: no schema of Airflow's chart, 1.20 or later: it has no workers.celery") from None
    found = [f"{error.json_path}: {error.message}" for error in Draft7Validator(rules).iter_errors(content)]
    found += [f"$.{place}: the chart knows no such value" for place in _unknown(content, rules)]
    sets = content.get("workers", {}).get("celery", {}).get("sets", [])
    for number, one in enumerate(sets):
        places = _unknown(one, {"properties": known})
        found += [f"$.workers.celery.sets[{number}].{place}: a set knows no such value" for place in places]
    return found


def _workers(bay_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "enableDefault": True,
        "queue": "default",
        "replicas": 1,
        "persistence": {"enabled": False},
        "sets": [
            {
                "name": f"proc-{bay_id.replace('_', '-')}",
                "queue": processor_queue(bay_id),
                # One stays: a slot comes every ten minutes, and an image takes longer to start than a batch.
                "keda": {
                    "enabled": True,
                    "minReplicaCount": 1,
                    "maxReplicaCount": _MOST_PROCESSORS,
                    "pollingInterval": 10,
                    "cooldownPeriod": 900,
                },
                "persistence": {"enabled": False},
            }
            for bay_id in bay_ids
        ],
    }


def _unknown(content: Mapping[str, Any], rules: Mapping[str, Any]) -> list[str]:
    known = rules.get("properties")
    if not known or rules.get("additionalProperties"):
        return []
    found = []
    for name, value in content.items():
        if name not in known:
            found.append(name)
        elif isinstance(value, dict):
            found += [f"{name}.{place}" for place in _unknown(value, known[name])]
    return found
