"""The REST API from Python, for programs that run far from the database.

    with BayClient("https://airflow.yard/", token) as bays:
        for block in bays.floor("3bay_north").blocks:
            print(block.track_id, block.area, block.stage)

A token is Airflow's own: `POST {address}/auth/token` with a login gives one.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from bay_observation.errors import HistoryError, HistoryUnavailableError
from dashboard.api.models import (
    AlertRow,
    Alerts,
    AreaOutline,
    BayDetail,
    BayFile,
    Bays,
    BlockCrop,
    BlockCrops,
    BlockEvent,
    BlockWhy,
    Calendar,
    CalibratedCamera,
    Cameras,
    CheckedFile,
    ClickedPoints,
    EndedMute,
    Events,
    Floor,
    Frames,
    Gaps,
    Health,
    MissingSlot,
    MuteRow,
    NewMute,
    NewReview,
    Poses,
    ProposedAreas,
    ProposedFile,
    Report,
    ReviewFigures,
    ReviewRow,
    Reviews,
    Stays,
    TakenAlert,
    TrackDetail,
    Tracks,
    TrackSummary,
    UnseenFloor,
)

Model = TypeVar("Model", bound=BaseModel)
Paged = TypeVar("Paged", Events, Gaps, Reviews, Tracks)

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

    def tracks(self, bay_id: str, start: datetime, end: datetime, *, area: str | None = None) -> Iterator[TrackSummary]:
        """Blocks that stood in a bay, or in an area of it, within [start, end), page by page; errors as of `bays`."""
        for found in self._pages(Tracks, f"bays/{bay_id}/tracks", start=start, end=end, area=area):
            yield from found.tracks

    def track(self, bay_id: str, track_id: str) -> TrackDetail:
        """A block from its first stay to its latest; errors as of `bays`."""
        return self._ask(TrackDetail, f"bays/{bay_id}/tracks/{_part(track_id)}")

    def why(self, bay_id: str, track_id: str, slot: datetime) -> BlockWhy:
        """Which cameras saw a block in a slot, and what the tracker weighed; errors as of `bays`."""
        return self._ask(BlockWhy, f"bays/{bay_id}/tracks/{_part(track_id)}/why", slot=slot)

    def crops(
        self, bay_id: str, track_id: str, start: datetime, end: datetime, *, limit: int = 8
    ) -> list[tuple[BlockCrop, bytes]]:
        """Pictures of a block within [start, end), as JPEG files, in order of time; errors as of `bays`.

        One that is not kept any more by the time it is asked for is left out.
        """
        path = f"bays/{bay_id}/tracks/{_part(track_id)}/crops"
        found = self._ask(BlockCrops, path, start=start, end=end, limit=limit)
        pictures = [(crop, self._crop(bay_id, crop)) for crop in found.crops]
        return [(crop, picture) for crop, picture in pictures if picture is not None]

    def unseen(self, bay_id: str, slot: datetime) -> UnseenFloor:
        """The floor that no working camera could see in a slot; errors as of `bays`."""
        return self._ask(UnseenFloor, f"bays/{bay_id}/unseen", slot=slot)

    def frames(self, bay_id: str, slot: datetime) -> Frames:
        """What each camera saw in a slot, in pixels; errors as of `bays`."""
        return self._ask(Frames, f"bays/{bay_id}/slots/{_slot(slot)}/frames")

    def picture(self, bay_id: str, slot: datetime, camera: str, *, whole: bool = False) -> bytes:
        """A camera's frame as a JPEG file, 480 pixels wide or as it was sent; errors as of `bays`."""
        name = "full" if whole else "thumbnail"
        return self._get(f"bays/{bay_id}/slots/{_slot(slot)}/frames/{_part(camera)}/{name}.jpg").content

    def cameras(self, bay_id: str, start: datetime, end: datetime) -> Cameras:
        """How the cameras were within [start, end); errors as of `bays`."""
        return self._ask(Cameras, f"bays/{bay_id}/cameras", start=start, end=end)

    def health(self, bay_id: str) -> Health:
        """How a bay is now: cameras, observer, queues, store, and what is wrong; errors as of `bays`."""
        return self._ask(Health, f"bays/{bay_id}/health")

    def alerts(self, bay_id: str) -> Alerts:
        """A bay's alerts that last or ended within a day, and its mutes; errors as of `bays`."""
        return self._ask(Alerts, f"bays/{bay_id}/alerts")

    def acknowledge(self, bay_id: str, fingerprint: str) -> AlertRow:
        """Take an alert over, under the name of the token's person, who may edit the bay; errors as of `bays`."""
        return self._send(AlertRow, f"bays/{bay_id}/alerts/acknowledged", TakenAlert(fingerprint=fingerprint))

    def mute(self, bay_id: str, wanted: NewMute) -> MuteRow:
        """Send nothing of a bay, or of one kind of it, for a while; errors as of `bays`."""
        return self._send(MuteRow, f"bays/{bay_id}/mutes", wanted)

    def end_mute(self, bay_id: str, mute_id: str) -> MuteRow:
        """End a mute of a bay now; errors as of `bays`."""
        return self._send(MuteRow, f"bays/{bay_id}/mutes/ended", EndedMute(mute_id=mute_id))

    def poses(self, bay_id: str) -> Poses:
        """How each camera hangs, by the newest batches. Takes seconds; errors as of `bays`."""
        return self._ask(Poses, f"bays/{bay_id}/poses")

    def report(self, bay_id: str, start: datetime, end: datetime) -> Report:
        """What happened within [start, end), in numbers; errors as of `bays`."""
        return self._ask(Report, f"bays/{bay_id}/report", start=start, end=end)

    def report_file(self, bay_id: str, start: datetime, end: datetime, form: Literal["csv", "xlsx"]) -> bytes:
        """The same as a file for a spreadsheet; errors as of `bays`."""
        return self._get(f"bays/{bay_id}/report.{form}", start=start, end=end).content

    def calendar(self, bay_id: str, start: datetime, end: datetime) -> Calendar:
        """Of each date within [start, end), at most 92 days, the slots that are missing; errors as of `bays`."""
        return self._ask(Calendar, f"bays/{bay_id}/calendar", start=start, end=end)

    def reviews(self, bay_id: str, start: datetime, end: datetime, *, track: str | None = None) -> Iterator[ReviewRow]:
        """What people said of events and blocks within [start, end), page by page; errors as of `bays`."""
        for found in self._pages(Reviews, f"bays/{bay_id}/reviews", start=start, end=end, track=track):
            yield from found.reviews

    def review(self, bay_id: str, said: NewReview) -> ReviewRow:
        """Say something of an event or a block, under the name of the token's person; errors as of `bays`.

        The person needs the right to edit the bay.
        """
        return self._send(ReviewRow, f"bays/{bay_id}/reviews", said)

    def review_figures(self, bay_id: str, start: datetime, end: datetime) -> ReviewFigures:
        """How often events within [start, end) were right, as people said; errors as of `bays`."""
        return self._ask(ReviewFigures, f"bays/{bay_id}/reviews/figures", start=start, end=end)

    def file(self, bay_id: str) -> BayFile:
        """The bay's YAML file, for who may edit the bay; errors as of `bays`."""
        return self._ask(BayFile, f"bays/{bay_id}/file")

    def check_file(self, bay_id: str, text: str) -> CheckedFile:
        """What a changed file would be. Nothing is written; errors as of `bays`."""
        return self._send(CheckedFile, f"bays/{bay_id}/file/check", ProposedFile(text=text))

    def events(self, bay_id: str, start: datetime, end: datetime, **wanted: Any) -> Iterator[BlockEvent]:
        """Events within [start, end) in order of time, page by page; errors as of `bays`.

        Args:
            bay_id: the bay.
            start: begin of the period (aware).
            end: its end (aware).
            wanted: `kind` and `area` (lists of names), `track`, `limit` (of one page).
        """
        for found in self._pages(Events, f"bays/{bay_id}/events", start=start, end=end, **wanted):
            yield from found.events

    def gaps(self, bay_id: str, start: datetime, end: datetime) -> Iterator[MissingSlot]:
        """Slots within [start, end) that were due and not tracked, page by page; errors as of `bays`."""
        for found in self._pages(Gaps, f"bays/{bay_id}/gaps", start=start, end=end):
            yield from found.gaps

    def check_areas(self, bay_id: str, areas: Sequence[AreaOutline]) -> CheckedFile:
        """What the bay's file would be with these areas. Nothing is written; errors as of `bays`."""
        return self._send(CheckedFile, f"bays/{bay_id}/areas/check", ProposedAreas(areas=list(areas)))

    def calibrate(self, bay_id: str, camera: str, clicked: ClickedPoints) -> CalibratedCamera:
        """A camera's pose and lens from points. Nothing is written; errors as of `bays`."""
        return self._send(CalibratedCamera, f"bays/{bay_id}/cameras/{_part(camera)}/calibrate", clicked)

    def _pages(self, model: type[Paged], path: str, **query: Any) -> Iterator[Paged]:
        cursor: str | None = None
        while True:
            found = self._ask(model, path, cursor=cursor, **query)
            yield found
            if (cursor := found.next_cursor) is None:
                return

    def _crop(self, bay_id: str, crop: BlockCrop) -> bytes | None:
        path = f"bays/{bay_id}/slots/{_slot(crop.slot)}/frames/{_part(crop.camera)}/crop.jpg"
        left, top, right, bottom = crop.box
        try:
            return self._get(path, left=left, top=top, right=right, bottom=bottom).content
        except HistoryUnavailableError:
            raise
        except HistoryError:
            return None

    def _ask(self, model: type[Model], path: str, **query: Any) -> Model:
        return _read(model, self._get(path, **query))

    def _send(self, model: type[Model], path: str, body: BaseModel) -> Model:
        return _read(model, self._request("POST", path, json=body.model_dump(mode="json")))

    def _get(self, path: str, **query: Any) -> httpx.Response:
        sent = {name: _plain(value) for name, value in query.items() if value is not None}
        return self._request("GET", path, params=sent)

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise HistoryUnavailableError(f"{self._client.base_url}: cannot be reached: {error}") from error
        if answer.is_success:
            return answer
        kind = HistoryUnavailableError if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else HistoryError
        raise kind(f"{answer.url.path}: {answer.status_code}: {_detail(answer)}")


def _read(model: type[Model], answer: httpx.Response) -> Model:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError as error:
        raise HistoryUnavailableError(
            f"{answer.url}: no answer of this API: is the address Airflow's, with its path?"
        ) from error


def _slot(time: datetime) -> str:
    """A slot as an address has it."""
    return f"{time.astimezone(UTC):%Y%m%d-%H%M%S}"


def _part(name: str) -> str:
    """One part of an address, whatever stands in it."""
    return quote(name, safe="")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
