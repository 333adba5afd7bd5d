"""One capture service per bay for all captures of a process: its sessions stay open between them.

    async with pooled_service(bay, credentials) as service:
        batch = await service.capture(slot)

A triggerer runs a new trigger for each slot of each bay. What is known of the cameras
is kept by the process anyway; this keeps the connections, and closes them: after a
quarter of an hour without a capture, when the bay's file or the login changed, and
when the event loop ends (`asyncio.run` does so before it returns).
"""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from bays import BayConfig
from capture_async.credentials import Credentials
from capture_async.http.transports import aiohttp_is_loaded, load_aiohttp

if TYPE_CHECKING:
    from capture_async.service import CaptureService

logger = logging.getLogger(__name__)

_IDLE_S = 900.0
_MAX_BAYS = 256
# A full collection walks all that is known of a thousand cameras, for a tenth of a second: while cameras are asked it
# waits for so many of the next smaller ones. A second after the last camera it harms nothing.
_SMALLER_COLLECTIONS = 1000
_TIDY_AFTER_S = 1.0
# Threads encode and write captures meanwhile. One that computes gives the loop its turn after this time; Python's own
# five milliseconds are waited for at each socket that is read.
_SWITCH_S = 0.001


@asynccontextmanager
async def pooled_service(
    bay: BayConfig, credentials: Credentials | None = None, *, idle_s: float = _IDLE_S
) -> "AsyncIterator[CaptureService]":
    """The running loop's service of that bay, made when there is none for this file and login.

    Several may use it at once. What it needs is imported in a thread first, so that
    the first capture of a process does not hold up the loop.

    Args:
        bay: the bay, as its file is now.
        credentials: login of its cameras.
        idle_s: seconds without a capture after which its connections are closed.

    Raises:
        ConfigError: the bay's `image_provider_config` does not fit its provider.
    """
    await warm_up(bay.image_provider)
    pool = _pools.setdefault(asyncio.get_running_loop(), _Pool())
    await pool.guard()
    lease = pool.lease(bay, credentials)
    try:
        yield lease.service
    finally:
        await pool.give_back(lease, idle_s)


async def close_pool() -> None:
    """Close the running loop's services: at once what is idle, the rest when its capture ends."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.close()


async def warm_up(provider: str = "onvif") -> None:
    """Import what a provider's first capture needs, in a thread.

    aiohttp, which takes several times as long, is imported a second after the first capture: see
    `capture_async.http.transports`. Where another part of the process has it already, at once.

    All that the process has loaded by then is kept out of its garbage collections
    (`gc.freeze`): it stays anyway, and walking it blocks the loop for a tenth of a second
    and more each time that a capture of many cameras leads to a full collection. From then on
    full collections wait until no camera is asked.

    Args:
        provider: a bay's `image_provider`.

    Raises:
        ConfigError: there is no such provider.
    """
    if provider not in _warm:
        await asyncio.to_thread(_load, provider)
        _warm.add(provider)
        # Nothing is collected before, which would be such a block itself: garbage of this moment is kept, once.
        gc.freeze()
        gc.set_threshold(*gc.get_threshold()[:2], _SMALLER_COLLECTIONS)
        sys.setswitchinterval(_SWITCH_S)


async def load_the_rest() -> None:
    """Import what the captures after the first one use, in a thread."""
    if not aiohttp_is_loaded():
        await asyncio.to_thread(load_aiohttp)
        gc.freeze()


def _load(provider: str) -> None:
    from capture_async.providers.factory import ImageProviderFactory
    from capture_async.service import CaptureService  # noqa: F401  imported here, so that the loop finds it loaded

    ImageProviderFactory.provider_class(provider)
    if "aiohttp" in sys.modules:
        load_aiohttp()


@dataclass(slots=True, eq=False)
class _Lease:
    """A service and who uses it."""

    bay: BayConfig
    credentials: Credentials | None
    service: "CaptureService"
    users: int = 0
    retired: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Pool:
    """The services of one loop, by bay."""

    max_bays: int = _MAX_BAYS
    leases: dict[str, _Lease] = field(default_factory=dict)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    guardian: AsyncGenerator[None, None] | None = None
    tidying: asyncio.TimerHandle | None = None

    async def guard(self) -> None:
        """Have `loop.shutdown_asyncgens` close the pool: it ends every generator that is not at its end."""
        if self.guardian is None:
            self.guardian = self._until_the_loop_ends()
            await anext(self.guardian)

    def lease(self, bay: BayConfig, credentials: Credentials | None) -> _Lease:
        """The bay's service. Awaits nothing: two captures that begin together get the same one."""
        lease = self.leases.get(bay.bay_id)
        if lease is not None and (lease.bay != bay or lease.credentials != credentials):
            logger.info("bay %s: its file or login changed; its cameras get new connections", bay.bay_id)
            self._retire(lease)
            lease = None
        if lease is None:
            from capture_async.service import CaptureService

            lease = self.leases[bay.bay_id] = _Lease(bay, credentials, CaptureService(bay, credentials=credentials))
        lease.users += 1
        self._put_off_tidying()
        if lease.timer is not None:
            lease.timer.cancel()
            lease.timer = None
        for idle in [one for one in self.leases.values() if not one.users][: max(0, len(self.leases) - self.max_bays)]:
            self._retire(idle)
        return lease

    async def give_back(self, lease: _Lease, idle_s: float) -> None:
        """A capture ended; the last one of a retired service closes it."""
        lease.users -= 1
        if lease.users:
            return
        if not any(one.users for one in self.leases.values()):
            self._put_off_tidying()
            self.tidying = asyncio.get_running_loop().call_later(_TIDY_AFTER_S, self._tidy)
        if lease.retired:
            await lease.service.close()
        else:
            lease.timer = asyncio.get_running_loop().call_later(idle_s, self._retire, lease)

    async def close(self) -> None:
        """Close what is idle, and leave the rest to its last user."""
        self._put_off_tidying()
        for lease in list(self.leases.values()):
            self._retire(lease)
        if self.under_way:
            await asyncio.wait(self.under_way)
        guardian, self.guardian = self.guardian, None
        if guardian is not None:
            await guardian.aclose()

    def _put_off_tidying(self) -> None:
        if self.tidying is not None:
            self.tidying.cancel()
            self.tidying = None

    def _tidy(self) -> None:
        """No camera is asked: what would hold up a capture is done now."""
        gc.collect()
        if not aiohttp_is_loaded():
            self._start(load_the_rest(), "load aiohttp")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    def _retire(self, lease: _Lease) -> None:
        """No new capture gets it; it is closed now, or by its last user."""
        lease.retired = True
        if self.leases.get(lease.bay.bay_id) is lease:
            del self.leases[lease.bay.bay_id]
        if lease.timer is not None:
            lease.timer.cancel()
            lease.timer = None
        if not lease.users:
            self._start(lease.service.close(), "close idle cameras")

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self.guardian is not None:  # the loop ends; close_pool() has emptied the field before it comes here
                self.guardian = None
                await self.close()


_warm: set[str] = set()
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
