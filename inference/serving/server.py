"""The server process: sockets, requests, answers, an orderly shutdown."""

import asyncio
import logging
import os
import resource
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from artifacts import ArtifactReference
from bay_observation.errors import ArtifactError, BayObservationError, ConfigError, InferenceError
from bays import load_bay
from inference.serving.jobs import Jobs, QueueFullError, StoppingError
from inference.serving.messages import LONGEST_LINE, Reply, from_line, to_line
from inference.serving.observing import StoredBatches, Work
from inference.serving.sockets import BaySocket

_log = logging.getLogger(__name__)

_REQUEST_LIMIT_S = 10.0


def serve(bay_ids: Sequence[str], *, device: str | None, limit: int, grace_s: float) -> None:
    """Load the bays' models and answer until SIGTERM or SIGINT.

    The sockets appear when the models are loaded: until then, tasks find no server and run
    the models themselves.

    Args:
        bay_ids: the bays; bays with the same models share them.
        device: torch's name of the device; None takes the first GPU, or the CPU without one.
        limit: batches that may wait.
        grace_s: seconds that the running batch gets at shutdown.

    Raises:
        ConfigError: a bay's file is wrong, or another server has the bay.
        InferenceError: a checkpoint cannot be used.
    """
    with ExitStack() as stack:
        sockets = {bay_id: stack.enter_context(BaySocket(bay_id)) for bay_id in dict.fromkeys(bay_ids)}
        began = time.monotonic()
        _load(list(sockets), device)
        _log.info("models of %s loaded in %.1f s", ", ".join(sockets), time.monotonic() - began)
        asyncio.run(answer_until_stopped(sockets, StoredBatches(device), limit, grace_s))


async def answer_until_stopped(sockets: dict[str, BaySocket], work: Work, limit: int, grace_s: float) -> None:
    """Listen on these sockets until SIGTERM or SIGINT; arguments as for `serve`."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = InferenceServer(list(sockets), work, limit)
    for socket in sockets.values():
        await server.listen(socket)
        _log.info("listening on %s", socket.path)
    await stop.wait()
    _log.info("stopping")
    await server.stop(grace_s)


class InferenceServer:
    """Answers requests for its bays; see `inference.serving.messages` for the protocol.

    Args:
        bays: the bays that it has the models of.
        work: does the batches.
        limit: batches that may wait.
    """

    def __init__(self, bays: Sequence[str], work: Work, limit: int) -> None:
        self.bays = tuple(bays)
        self.jobs = Jobs(work, limit)
        self._work = work
        self._started = time.time()
        self._listening: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, socket: BaySocket) -> None:
        """Answer on a socket from now on."""
        server = await asyncio.start_unix_server(self._accept, sock=socket.bind(), limit=LONGEST_LINE)
        self._listening.append(server)

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, end the jobs as `Jobs.stop` does, and answer every waiting client."""
        for listening in self._listening:
            listening.close()
        await self.jobs.stop(grace_s)
        if self._connections:
            await asyncio.wait(self._connections, timeout=_REQUEST_LIMIT_S)

    def health(self) -> dict[str, Any]:
        """How the server is; memory in MiB, of this process."""
        counts = self.jobs.counts
        return {
            "status": "well",
            "bays": list(self.bays),
            "pid": os.getpid(),
            "up_s": round(time.time() - self._started, 1),
            "running": self.jobs.running,
            "waiting": self.jobs.waiting,
            "may_wait": self.jobs.limit,
            "done": counts.done,
            "failed": counts.failed,
            "joined": counts.joined,
            "refused": counts.refused,
            "loads": self._work.loads(),
            "memory_mib": round(_resident_mib(), 1),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        if connection is not None:  # asyncio runs this coroutine as a task
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)
        try:
            answer = await self._answer(reader)
            writer.write(to_line(answer))
            await writer.drain()
        except ConnectionError:
            _log.info("a client disconnected before its answer")
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_REQUEST_LIMIT_S):
                request = from_line(await reader.readline())
        except (InferenceError, ValueError, TimeoutError) as error:  # ValueError: the line is too long
            return Reply("failed", error=f"not a request that this server knows: {error}", retry=False).to_dict()
        if request.get("ask") == "health":
            return self.health()
        if request.get("ask") != "observe":
            return Reply("failed", error=f"unknown request {request.get('ask')!r}", retry=False).to_dict()
        return (await self._observe(request)).to_dict()

    async def _observe(self, request: dict[str, Any]) -> Reply:
        try:
            capture = self._capture(request.get("capture"))
            job = await self.jobs.submit(capture)
            if not job.done() and request.get("wait") is not True:
                return Reply("accepted")
            # The batch goes on when its client disconnects: other clients may wait for it.
            return Reply("done", await asyncio.shield(job))
        except QueueFullError as error:
            return Reply("busy", error=str(error))
        except StoppingError as error:
            return Reply("stopping", error=str(error))
        except ConfigError as error:
            return Reply("failed", error=str(error), retry=False)
        except BayObservationError as error:
            return Reply("failed", error=str(error))
        except Exception as error:  # noqa: BLE001  (logged with its traceback where it was raised)
            return Reply("failed", error=f"{type(error).__name__}: {error}")

    def _capture(self, values: object) -> ArtifactReference:
        try:
            capture = ArtifactReference.from_dict(values)  # type: ignore[arg-type]  # checked there
        except ArtifactError as error:
            raise ConfigError(f"not a reference: {error}") from error
        if capture.stage != "capture" or capture.bay_id not in self.bays:
            raise ConfigError(f"{capture.path}: this server has the models of {', '.join(self.bays)} only")
        return capture


def _load(bay_ids: Sequence[str], device: str | None) -> None:
    from inference.service import InferenceService

    for bay_id in bay_ids:
        InferenceService.for_bay(load_bay(bay_id), device)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
