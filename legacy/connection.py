"""The old system's Redis: the way to it, and the script by which both sides publish.

Login and password come from the environment or a file; an address that holds one is refused. Airflow's
broker is refused as well: by its address, and by what Celery keeps in it.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bay_observation import settings
from bay_observation.errors import BayObservationError, ConfigError
from legacy.records import Problems

SCRIPT = Path(__file__).parent / "publish.lua"
"""The publication that both sides share; the old producer has a copy of it."""

_TIMEOUT_S = 5.0
_SCANNED = 500
_MOST_VALUE_BYTES = 16 * 2**20
_BROKER = "AIRFLOW__CELERY__BROKER_URL"
_CELERY = b"_kombu.binding."
# By what names a refusal: the error's class, or a word of the server's.
_REMEDIES = {
    "WRONGTYPE": "a key of the mapping (redis.owner_key, redis.last_key) holds something else: name another one",
    "ReadOnlyError": "it is a replica: LEGACY_REDIS is the one that is written to",
    "NoPermissionError": "its user (LEGACY_REDIS_USER) may not do this: docs/migration.md lists the commands",
    "OutOfMemoryError": "its memory is full (maxmemory)",
    "MISCONF": "it cannot write its own files",
    "ResponseError": "it refuses this",
}

HELD_S = 60.0
"""Seconds for which `OldSide.alone` holds a lock."""


class LegacyRedisError(BayObservationError):
    """The old system's Redis does not answer, or refuses: the message names its address and the remedy."""


@dataclass(frozen=True)
class Publication:
    """One batch as the old consumers get it.

    Attributes:
        slot: YYYYmmdd-HHMMSS, UTC.
        owner_key, last_key: of the owner and the last slot.
        hashes: fields and their values, by key of the hash.
        channel: of the message.
        message: as JSON.
        consumers: that must listen.
        expires_s: seconds for which a hash stays; 0: for ever.
        is_whole: whether a hash holds this batch and no other, so that what stood in it goes.
    """

    slot: str
    owner_key: str
    last_key: str
    hashes: Mapping[str, Mapping[str, str]]
    channel: str
    message: str
    consumers: int
    expires_s: int
    is_whole: bool


class OldSide:
    """The old system's Redis. Nothing is opened before it is asked for something.

    Args:
        url: `redis://HOST:PORT/DB`; `LEGACY_REDIS` by default.
        timeout_s: seconds that one call may take.

    Raises:
        ConfigError: there is no address, it holds a login, or it is the broker's.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = _TIMEOUT_S) -> None:
        url = url or settings.LEGACY_REDIS.read()
        if url is None:
            raise ConfigError("LEGACY_REDIS is not set: give the old system's Redis as redis://HOST:PORT/DB")
        self.address = _checked(url)
        self._client = redis.Redis.from_url(
            url,
            username=settings.LEGACY_REDIS_USER.read(),
            password=_password(),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            health_check_interval=30,
            client_name="bay-observation",
            # A connection that the server closed while it was idle; whoever asks waits by himself for one that is down.
            retry=Retry(NoBackoff(), 1),
        )
        self._publish = self._client.register_script(SCRIPT.read_bytes())
        self._is_no_broker = False

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, ask: Callable[["redis.Redis"], Any]) -> Any:
        """What the server answers.

        Raises:
            LegacyRedisError: it does not, or refuses.
            ConfigError: it is Airflow's broker.
        """
        try:
            if not self._is_no_broker:
                self._refuse_broker()
            return ask(self._client)
        except redis.AuthenticationError as error:
            raise LegacyRedisError(
                f"{self.address}: login refused: set LEGACY_REDIS_USER, and LEGACY_REDIS_PASSWORD or _PASSWORD_FILE"
            ) from error
        except (redis.RedisError, OSError) as error:
            raise LegacyRedisError(f"{self.address}: {_reason(error)}") from error

    def get(self, key: str) -> str | None:
        """A key's text; None where it is not there."""
        found = self.call(lambda client: client.get(key))
        return None if found is None else found.decode("utf-8", "replace")

    def publish(self, side: str, what: "Publication") -> str:
        """Run `publish.lua`, and have its answer."""
        arguments: list[str | int] = [
            side,
            what.slot,
            what.channel,
            what.message,
            what.consumers,
            what.expires_s,
            "own" if what.is_whole else "shared",
        ]
        for fields in what.hashes.values():
            arguments += [2 * len(fields), *(part for pair in fields.items() for part in pair)]
        keys = [what.owner_key, what.last_key, *what.hashes]
        return bytes(self.call(lambda _: self._publish(keys=keys, args=arguments))).decode()

    def hashes(
        self, problems: Problems, most_fields: int, wanted: Callable[[str], bool]
    ) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Every hash whose key is wanted, once, in no order; one that goes meanwhile is left out."""
        # A scan may come upon a key more than once.
        for raw in self.call(lambda client: list(dict.fromkeys(client.scan_iter(count=_SCANNED)))):
            key = raw.decode("utf-8", "surrogateescape")
            if wanted(key):
                found = self.call(partial(_hash, raw=raw, most_fields=most_fields))
                if not found:
                    continue
                if isinstance(found, str):
                    problems.add(found, f"{self.address} {key[:200]}")
                else:
                    yield key, {name.decode("utf-8", "surrogateescape"): value for name, value in found.items()}

    @contextmanager
    def alone(self, key: str) -> Iterator[Callable[[], None]]:
        """Be the only one that holds a lock, whatever the host. What is handed out holds it for `HELD_S` more.

        Raises:
            ConfigError: another one holds it.
            LegacyRedisError: the server does not answer, or has lost the lock.
        """
        lock = self._client.lock(key, timeout=HELD_S, blocking=False)
        if not self.call(lambda _: lock.acquire()):
            raise ConfigError(
                f"{self.address}: {key} is held: another such command runs, or one was killed in the last"
                f" {HELD_S:g} s: end it, or wait"
            )
        try:
            yield lambda: self.call(lambda _: lock.reacquire())
        finally:
            with suppress(LegacyRedisError):  # it ends by itself
                self.call(lambda _: lock.release())

    def listen(self, channel: str, seconds: float) -> Iterator[bytes]:
        """Messages of a channel that come within some seconds."""
        end = time.monotonic() + seconds
        subscription = self.call(_subscription)
        try:
            self.call(lambda _: subscription.subscribe(channel))
            while (left := end - time.monotonic()) > 0:
                message = self.call(partial(_next_message, subscription, min(left, 1.0)))
                if message is not None:
                    yield bytes(message["data"])
        finally:
            subscription.close()

    def _refuse_broker(self) -> None:
        for key in self._client.scan_iter(match=_CELERY + b"*", count=_SCANNED):
            raise ConfigError(
                f"{self.address}: holds {key.decode(errors='replace')}, as Airflow's broker does:"
                " LEGACY_REDIS is the old system's Redis"
            )
        self._is_no_broker = True


def _reason(error: Exception) -> str:
    """What a server, or the way to it, is at fault for, with the remedy."""
    said = " ".join(str(error).split())[:200]
    named = f"{type(error).__name__} {said}"
    remedies = (remedy for word, remedy in _REMEDIES.items() if word in named)
    return f"{said or type(error).__name__}: {next(remedies, 'is the old Redis up, and its address right?')}"


def _hash(client: "redis.Redis", raw: bytes, most_fields: int) -> dict[bytes, bytes] | str:
    """A hash, empty where it is gone, or what speaks against reading it."""
    kind = client.type(raw)
    if kind == b"none":
        return {}
    if kind != b"hash":
        return "a key is no hash"
    if int(client.hlen(raw)) > most_fields:
        return f"a hash of more than {most_fields} fields is not read"
    return cast(dict[bytes, bytes], client.hgetall(raw))


def _subscription(client: "redis.Redis") -> Any:
    return client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]


def _next_message(subscription: Any, timeout: float, _: "redis.Redis") -> Any:
    return subscription.get_message(timeout=timeout)


def _checked(url: str) -> str:
    """The address for people.

    Raises:
        ConfigError: it is none, holds a login, or is the broker's.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError:
        raise ConfigError("LEGACY_REDIS is no address: give redis://HOST:PORT/DB") from None
    if parts.username or parts.password or "password" in parts.query or "username" in parts.query:
        # Not repeated: it holds what must not be seen.
        raise ConfigError(
            "LEGACY_REDIS holds a login: give it without one, and LEGACY_REDIS_USER with LEGACY_REDIS_PASSWORD(_FILE)"
        )
    database = parts.path.strip("/")
    if parts.scheme not in ("redis", "rediss") or not host or parts.query or not (database or "0").isdecimal():
        raise ConfigError("LEGACY_REDIS is no address: give redis://HOST:PORT/DB")
    broker = urlsplit(os.environ.get(_BROKER, ""))
    if broker.hostname and (broker.hostname, broker.port or 6379) == (host, port):
        raise ConfigError(f"LEGACY_REDIS is Airflow's broker ({_BROKER}): give the old system's Redis")
    return f"{parts.scheme}://{host}:{port}/{database or '0'}"


def _password() -> str | None:
    path = settings.LEGACY_REDIS_PASSWORD_FILE.read()
    if path is None:
        return settings.LEGACY_REDIS_PASSWORD.read()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"LEGACY_REDIS_PASSWORD_FILE {path}: cannot be read: {error}") from error
