"""Who gets which alerts and events, when and through what: one strict YAML file for the yard.

The file names channels by the id of an Airflow Connection; logins, tokens and addresses that hold one stand there
and never in the file. `docs/alerting.md` goes through it.
"""

import json
import re
from datetime import datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bay_observation import settings
from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import read_regular_file
from bays import NOTICE_KINDS
from bays.loading import faults, read_strictly
from bays.zones import ZoneName

Severity = Literal["critical", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The most severe first."""

_MOST_BYTES = 1_000_000
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_NAME = r"^[a-z0-9][a-z0-9_]{0,40}$"
_ALERT = re.compile(r"[A-Z][A-Za-z0-9]{0,95}")
_DURATION = re.compile(r"([1-9]\d{0,3})([mhd])")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _is_duration(value: str) -> str:
    if _DURATION.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no duration: write 15m, 2h or 1d")
    return value


def _is_clock(value: str) -> str:
    if _CLOCK.fullmatch(value) is None:
        raise ValueError(f'{value!r} is no time of day: write "22:00", in quotes')
    return value


def _is_kind(value: str) -> str:
    if value not in NOTICE_KINDS and _ALERT.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is neither an alert's name (BaySilent) nor a kind of event: {', '.join(NOTICE_KINDS)}"
        )
    return value


def _is_line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("holds a control character")
    return value


Name = Annotated[str, Field(pattern=_NAME)]
Duration = Annotated[str, AfterValidator(_is_duration)]
Clock = Annotated[str, AfterValidator(_is_clock)]
Kind = Annotated[str, AfterValidator(_is_kind)]
Address = Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$", max_length=254)]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]


class _Strict(BaseModel):
    # A value is not repeated in an error: it may be a login that was written into the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MailChannel(_Strict):
    """Mail through the server of an `smtp` Connection; its `extra` may have `disable_ssl` and `disable_tls`."""

    kind: Literal["mail"]
    connection: ConnectionId
    sender: Address
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]


class AppriseChannel(_Strict):
    """Slack, Mattermost, Teams, SMS gateways and whatever else apprise knows; its address is in the Connection."""

    kind: Literal["apprise"]
    connection: ConnectionId


class WebhookChannel(_Strict):
    """A POST of JSON to the `http` Connection's address; its password is sent as a bearer token."""

    kind: Literal["webhook"]
    connection: ConnectionId


class MqttChannel(_Strict):
    """JSON to a topic of the broker that the Connection names."""

    kind: Literal["mqtt"]
    connection: ConnectionId
    topic: Annotated[str, Field(pattern=r"^[^#+\x00-\x1f]{1,200}$")]


Channel = Annotated[MailChannel | AppriseChannel | WebhookChannel | MqttChannel, Field(discriminator="kind")]


class Match(_Strict):
    """What a route takes. What is left out restricts nothing; events are taken only where `kinds` names them.

    Attributes:
        bays: ids; alerts of the whole yard are taken where it is left out.
        kinds: names of alerts and kinds of events.
        severities: of them.
    """

    bays: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    severities: tuple[Severity, ...] = ()

    def takes(self, bay_id: str, kind: str, severity: str) -> bool:
        """Whether it takes a bay's kind. `bay_id` is empty for the whole yard."""
        if kind in NOTICE_KINDS and kind not in self.kinds:
            return False
        return (
            (not self.bays or bay_id in self.bays)
            and (not self.kinds or kind in self.kinds)
            and (not self.severities or severity in self.severities)
        )

    @property
    def event_kinds(self) -> tuple[str, ...]:
        """Kinds of events that it takes."""
        return tuple(kind for kind in self.kinds if kind in NOTICE_KINDS)


class Quiet(_Strict):
    """Hours in which nothing is sent, by the file's zone. What comes is sent at their end.

    Attributes:
        start, end: times of day; they may lie on both sides of midnight.
        but: severities that are sent all the same.
    """

    start: Clock
    end: Clock
    but: tuple[Severity, ...] = ("critical",)

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end are the same: leave `quiet` out, or name the hours")
        return self


class Digest(_Strict):
    """One message at times of the day, by the file's zone, in place of one at once.

    Attributes:
        at: times of day.
        but: severities that are sent at once all the same.
    """

    at: Annotated[tuple[Clock, ...], Field(min_length=1)]
    but: tuple[Severity, ...] = ("critical",)


class Escalation(_Strict):
    """Further channels for an alert that lasts and that no person acknowledged for so long."""

    after: Duration
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]


class Route(_Strict):
    """Who gets what.

    Attributes:
        name: the history records by it what was sent: a route with a new name starts with what comes then.
        channels: where it is sent to.
        match: what is sent.
        quiet: hours without messages.
        digest: times of collected messages.
        escalate: what follows while an alert is not acknowledged, one after the other.
        ended: send the end of an alert, too.
    """

    name: Name
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    match: Match = Match()
    quiet: Quiet | None = None
    digest: Digest | None = None
    escalate: tuple[Escalation, ...] = ()
    ended: bool = True

    @property
    def all_channels(self) -> tuple[str, ...]:
        """Where it is sent to, now or when it is escalated."""
        return tuple(dict.fromkeys([*self.channels, *(name for step in self.escalate for name in step.channels)]))

    @model_validator(mode="after")
    def _escalates_later_each_time(self) -> Self:
        waits = [duration(step.after) for step in self.escalate]
        if any(later <= sooner for sooner, later in pairwise(waits)):
            raise ValueError("escalate: each step comes after the one before: let `after` grow")
        return self


class Routes(_Strict):
    """The file.

    Attributes:
        zone: of its times of day, and of the times in messages that are of no bay.
        dashboard: address of Airflow's UI, as people open it, for links; empty for none.
        docs: address of the documentation's site, for links; empty for the page's name.
        channels: by name.
        routes: all that take a thing send it.
        without_history: channels that are notified when the history, which records the rest, is away.
    """

    zone: ZoneName
    dashboard: AnyHttpUrl | None = None
    docs: AnyHttpUrl | None = None
    channels: dict[Name, Channel]
    routes: tuple[Route, ...]
    without_history: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [route.name for route in self.routes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"routes: {', '.join(twice)} stands twice")
        named = {f"route {route.name}": set(route.all_channels) for route in self.routes}
        for where, channels in (named | {"without_history": set(self.without_history)}).items():
            if unknown := sorted(channels - self.channels.keys()):
                raise ValueError(
                    f"{where}: there is no channel {', '.join(unknown)}; there are {', '.join(self.channels) or 'none'}"
                )
        for address in (self.dashboard, self.docs):
            if address is not None and (address.username or address.password):
                raise ValueError("an address with a login: leave the login out")
        return self

    @property
    def clock(self) -> ZoneInfo:
        """The zone of the times of day."""
        return ZoneInfo(self.zone)


def load_routes(path: Path | None = None) -> Routes:
    """Read the file: `path`, else the one that `ALERT_ROUTES` names.

    Raises:
        ConfigError: none is named, or it is wrong; every fault is listed with line, key and reason.
    """
    path = path or settings.ALERT_ROUTES.read()
    if path is None:
        raise ConfigError("ALERT_ROUTES is not set: name the file of the routes (docs/alerting.md)")
    try:
        text = read_regular_file(path, _MOST_BYTES).decode("utf-8")
    except ArtifactError as error:  # no regular file, or too large a one
        raise ConfigError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    tree, raw = read_strictly(path, text)
    try:
        return Routes.model_validate_json(json.dumps(raw, allow_nan=False), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(faults(path, tree, error))) from error
    except (TypeError, ValueError) as error:  # a date, say, which JSON has not
        raise ConfigError(f"{path}: {error}: write texts in quotes") from error


def duration(text: str) -> timedelta:
    """Of `15m`, `2h` or `1d`.

    Raises:
        ValueError: it is no such text.
    """
    _is_duration(text)
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def due(route: Route, zone: ZoneInfo, severity: str, now: datetime) -> datetime:
    """When a route sends what comes now (aware): at once, at its next digest, or when its quiet hours end."""
    at = now
    if route.digest is not None and severity not in route.digest.but:
        at = min(_next(clock, zone, now) for clock in route.digest.at)
    if route.quiet is not None and severity not in route.quiet.but and _within(route.quiet, at.astimezone(zone).time()):
        at = _next(route.quiet.end, zone, at)
    return at


def _within(quiet: Quiet, clock: time) -> bool:
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    return start <= clock < end if start < end else clock >= start or clock < end


def _next(clock: str, zone: ZoneInfo, now: datetime) -> datetime:
    """The next time after `now` at which the zone's clocks show this."""
    local = now.astimezone(zone)
    at = datetime.combine(local.date(), time.fromisoformat(clock), zone)
    if at.timestamp() <= now.timestamp():
        at = datetime.combine(local.date() + timedelta(days=1), time.fromisoformat(clock), zone)
    return at.astimezone(now.tzinfo)
