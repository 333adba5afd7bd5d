"""The client of a bay's inference server, for a worker or a triggerer on the same host."""

import asyncio
from collections.abc import Mapping
from typing import Any

from artifacts import ArtifactReference
from bay_observation.errors import InferenceError
from inference.serving.messages import LONGEST_LINE, Reply, from_line, to_line
from inference.serving.sockets import belongs_to_us, socket_path

# A request that needs no model is answered at once.
_PATIENCE_S = 10.0


class NoServerError(InferenceError):
    """No server answers for the bay, or it ended before it answered."""


class InferenceClient:
    """Sends requests to the server of a bay; one connection for each."""

    def __init__(self, bay_id: str) -> None:
        self.bay_id = bay_id

    async def submit(self, capture: ArtifactReference) -> Reply:
        """Submit a batch without waiting: `accepted`, or `done` if it is done already.

        Raises:
            NoServerError: no server answers.
        """
        return await self._observe(capture, wait=False)

    async def observe(self, capture: ArtifactReference) -> Reply:
        """Submit a batch and wait for its result; a batch that is submitted twice is done once.

        The server finishes the batch even if this call is cancelled.

        Raises:
            NoServerError: no server answers, or it ended before it answered.
        """
        return await self._observe(capture, wait=True)

    async def health(self) -> dict[str, Any]:
        """How the server is: its bays, its jobs, its memory.

        Raises:
            NoServerError: no server answers.
        """
        return await self._ask({"ask": "health"}, _PATIENCE_S)

    async def _observe(self, capture: ArtifactReference, *, wait: bool) -> Reply:
        request = {"ask": "observe", "capture": capture.to_dict(), "wait": wait}
        answer = await self._ask(request, None if wait else _PATIENCE_S)
        return Reply.from_dict(answer, capture=capture)

    async def _ask(self, request: Mapping[str, Any], patience_s: float | None) -> dict[str, Any]:
        path = socket_path(self.bay_id)
        if not belongs_to_us(path):
            raise NoServerError(f"{path}: no server has the models of bay {self.bay_id}")
        try:
            async with asyncio.timeout(patience_s):
                line = await _exchange(str(path), to_line(request))
        except TimeoutError:
            raise NoServerError(f"{path}: the server does not answer within {patience_s:g} s") from None
        except (OSError, ValueError) as error:  # ValueError: the line is longer than a message can be
            raise NoServerError(f"{path}: {error}") from error
        if not line.endswith(b"\n"):
            raise NoServerError(f"{path}: the server ended before it answered")
        return from_line(line)


async def _exchange(path: str, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
    try:
        writer.write(line)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
