"""Which way requests are sent: by aiohttp where it is loaded and understands the camera, else leniently.

aiohttp takes a process a third of a second to import. The first capture does not wait for it, and it is
imported in a thread once no camera is asked.
"""

from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

from capture_async.http.lenient import LenientTransport
from capture_async.http.request import Transport

if TYPE_CHECKING:
    from capture_async.http.by_aiohttp import AiohttpTransport


def load_aiohttp() -> None:
    """Import it, so that requests are sent by it from now on. Blocks: call it in a thread."""
    from capture_async.http import by_aiohttp

    _loaded["aiohttp"] = by_aiohttp


def aiohttp_is_loaded() -> bool:
    """Whether `load_aiohttp` has returned."""
    return bool(_loaded)


class Transports:
    """A provider's connections, of either way. They belong to the loop of the first request, and end with `close`."""

    def __init__(self) -> None:
        self._lenient = LenientTransport()
        self._strict: AiohttpTransport | None = None

    def transport(self, *, is_lenient: bool) -> Transport:
        """The way to send a request; `is_lenient` for a camera that aiohttp does not understand."""
        if is_lenient or not _loaded:
            return self._lenient
        if self._strict is None:
            self._strict = _loaded["aiohttp"].AiohttpTransport()
        return self._strict

    async def close(self) -> None:
        """Close every connection."""
        strict, self._strict = self._strict, None
        if strict is not None:
            await strict.close()
        await self._lenient.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


_loaded: dict[str, ModuleType] = {}
