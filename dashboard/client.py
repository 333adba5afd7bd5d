"""The REST API from Python, for programs that run far from the database.

    with BayClient("https://airflow.yard/", token) as bays:
        for block in bays.floor("3bay_north").blocks:
            print(block.track_id, block.area, block.stage)

A token is Airflow's own: `POST {address}/auth/token` with a login gives one.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from bay_observation.errors import HistoryError, HistoryUnavailableError
from dashboard.api.models import BayDetail, Bays, BlockEvent, Cameras, Events, Floor, Gaps, MissingSlot, Report, Stays

Model = TypeVar("Model", bound=BaseModel)

_TIMEOUT_S = 30.0


class BayClient:
    """Asks a dashboard. Times are aware datetimes; answers are those of the API, in UTC.

    Args:
        address: of Airflow, with the path that it has, if any.
        token: of a person who may read the bays.
        timeout_s: seconds that an answer may take.
        transport: for tests; the network by default.
    """

    def __init__(
        self, address: str, token: str, *, timeout_s: float = _TIMEOUT_S, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client = httpx.Client(
            base_url=f"{address.rstrip('/')}/bay/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def bays(self) -> Bays:
        """Every bay that the token's person may read.

        Raises:
            HistoryError: the API refuses, or has no answer.
            HistoryUnavailableError: it cannot be reached, or its history cannot be used.
        """
        return self._ask(Bays, "bays")

    def bay(self, bay_id: str) -> BayDetail:
        """A bay's floor, areas and cameras; errors as of `bays`."""
        return self._ask(BayDetail, f"bays/{bay_id}")

    def floor(self, bay_id: str, at: datetime | None = None) -> Floor:
        """What stands in a bay, or stood at a time; errors as of `bays`."""
        return self._ask(Floor, f"bays/{bay_id}/floor", at=at)

    def stays(self, bay_id: str, start: datetime, end: datetime) -> Stays:
        """Every stay that overlaps [start, end), of at most eight days; errors as of `bays`."""
        return self._ask(Stays, f"bays/{bay_id}/stays", start=start, end=end)

    def cameras(self, bay_id: str, start: datetime, end: datetime) -> Cameras:
        """How the cameras were within [start, end); errors as of `bays`."""
        return self._ask(Cameras, f"bays/{bay_id}/cameras", start=start, end=end)

    def report(self, bay_id: str, start: datetime, end: datetime) -> Report:
        """What happened within [start, end), in numbers; errors as of `bays`."""
        return self._ask(Report, f"bays/{bay_id}/report", start=start, end=end)

    def events(self, bay_id: str, start: datetime, end: datetime, **wanted: Any) -> Iterator[BlockEvent]:
        """Events within [start, end) in order of time, page by page; errors as of `bays`.

        Args:
            bay_id: the bay.
            start: begin of the period (aware).
            end: its end (aware).
            wanted: `kind` and `area` (lists of names), `track`, `limit` (of one page).
        """
        cursor: str | None = None
        while True:
            found = self._ask(Events, f"bays/{bay_id}/events", start=start, end=end, cursor=cursor, **wanted)
            yield from found.events
            if (cursor := found.next_cursor) is None:
                return

    def gaps(self, bay_id: str, start: datetime, end: datetime) -> Iterator[MissingSlot]:
        """Slots within [start, end) that were due and not tracked, page by page; errors as of `bays`."""
        cursor: str | None = None
        while True:
            found = self._ask(Gaps, f"bays/{bay_id}/gaps", start=start, end=end, cursor=cursor)
            yield from found.gaps
            if (cursor := found.next_cursor) is None:
                return

    def _ask(self, model: type[Model], path: str, **query: Any) -> Model:
        sent = {name: _plain(value) for name, value in query.items() if value is not None}
        try:
            answer = self._client.get(path, params=sent)
        except httpx.HTTPError as error:
            raise HistoryUnavailableError(f"{self._client.base_url}: cannot be reached: {error}") from error
        if answer.is_success:
            try:
                return model.model_validate_json(answer.content)
            except ValidationError as error:
                raise HistoryUnavailableError(
                    f"{answer.url}: no answer of this API: is the address Airflow's, with its path?"
                ) from error
        kind = HistoryUnavailableError if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else HistoryError
        raise kind(f"{answer.url.path}: {answer.status_code}: {_detail(answer)}")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
