"""Who may ask: Airflow's login for everything, and for a bay the rights on its DAGs.

Reading a bay is GET on its tracking DAG, writing is PUT. A bay that a person may not read is
refused in the same words whether it exists or not.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Path, Request

from bay_observation.errors import ConfigError
from bay_observation.settings import BAYS_ENABLED
from bays import BayConfig, bay_ids, dag_id, load_bay
from bays.loading import bay_file
from bays.naming import BAY_ID

Right = Literal["GET", "PUT"]
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_JSON = re.compile(r"application/json\b.*", re.IGNORECASE)

User = Annotated[Any, Depends(get_user)]
"""The person who is logged in. 401 without a login, 403 for a token that is none."""

BayId = Annotated[str, Path(pattern=f"^{BAY_ID.pattern}$", description="Name of the bay's YAML file")]


def may(user: Any, method: Right, bay_id: str) -> bool:
    """Whether a person may read (`GET`) or correct (`PUT`) a bay."""
    tracking = dag_id("tracking", bay_id)
    details = DagDetails(id=tracking, team_name=DagModel.get_team_name(tracking))
    return bool(get_auth_manager().is_authorized_dag(method=method, details=details, user=user))


def readable_bays(user: Any) -> tuple[list[BayConfig], dict[str, str]]:
    """The enabled bays that a person may read, in order, and what is wrong with the files of others."""
    bays, faults = [], {}
    for bay_id in bay_ids():
        if BAY_ID.fullmatch(bay_id) is None or not may(user, "GET", bay_id):
            continue
        try:
            bay = current_bay(bay_id)
        except ConfigError as error:
            faults[bay_id] = str(error)
            continue
        if bay.enabled:
            bays.append(bay)
    return bays, faults


def readable_bay(bay_id: BayId, user: User) -> BayConfig:
    """The bay of the address, for a person who may read it."""
    return _bay_for(bay_id, user, "GET")


def writable_bay(bay_id: BayId, user: User) -> BayConfig:
    """The bay of the address, for a person who may correct it."""
    return _bay_for(bay_id, user, "PUT")


Bay = Annotated[BayConfig, Depends(readable_bay)]
WritableBay = Annotated[BayConfig, Depends(writable_bay)]


def current_bay(bay_id: str) -> BayConfig:
    """A bay by its file, which is read again when it changes.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    try:
        status = bay_file(bay_id).stat()
    except OSError:
        return load_bay(bay_id)  # says what is wrong
    return _loaded(bay_id, str(bay_file(bay_id)), status.st_mtime_ns, status.st_size, BAYS_ENABLED.read())


def refuse_foreign_writes(request: Request) -> None:
    """Another site must not write with a person's cookie.

    A request that changes something names its origin, which is this server's; a program that
    brings its token in the header has none. The body is JSON, which no form can send.
    """
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    if origin is None:
        if not request.headers.get("authorization"):
            raise HTTPException(403, "a change needs the header Origin, or a token in Authorization")
    elif urlsplit(origin).netloc.lower() not in _own_hosts(request):
        raise HTTPException(403, "a change must come from this server's own pages")
    if _JSON.fullmatch(request.headers.get("content-type", "")) is None:
        raise HTTPException(415, "send application/json")


def _own_hosts(request: Request) -> set[str]:
    from airflow.configuration import conf

    configured = urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
    return {host.lower() for host in (configured, request.headers.get("host", "")) if host}


def _bay_for(bay_id: str, user: Any, method: Right) -> BayConfig:
    if not may(user, method, bay_id):
        raise HTTPException(403, f"no right to {'read' if method == 'GET' else 'correct'} bay {bay_id}")
    if bay_id not in bay_ids():
        raise HTTPException(404, f"there is no bay {bay_id}")
    bay = current_bay(bay_id)
    if not bay.enabled:
        raise HTTPException(404, f"bay {bay_id} is not enabled")
    return bay


@lru_cache(maxsize=256)
def _loaded(bay_id: str, _path: str, _changed: int, _size: int, _enabled: tuple[str, ...] | None) -> BayConfig:
    return load_bay(bay_id)
