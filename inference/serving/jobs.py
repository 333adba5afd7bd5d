"""The batches of a server: each done once, one at a time, with a bounded queue."""

import asyncio
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from artifacts import ArtifactReference
from bay_observation.errors import InferenceError
from inference.serving.messages import Observed
from inference.serving.observing import Work

_log = logging.getLogger(__name__)

# Finished batches whose outcome the server keeps.
_REMEMBERED = 256


class QueueFullError(InferenceError):
    """The queue is full."""


class StoppingError(InferenceError):
    """The server is stopping; the batch is not done."""


@dataclass
class JobCounts:
    """What became of all requests since the server started."""

    done: int = 0
    failed: int = 0
    joined: int = 0
    refused: int = 0


def job_id(capture: ArtifactReference) -> str:
    """A batch and its exact frames: a repeated capture of the slot is another job."""
    return f"{capture.batch_id}-{capture.sha256[:16]}"


class Jobs:
    """A bounded queue in front of one device.

    Args:
        work: does a batch.
        limit: batches that may wait while one is worked on.
    """

    def __init__(self, work: Work, limit: int) -> None:
        self.limit = limit
        self.counts = JobCounts()
        self.running: str | None = None
        self._work = work
        self._jobs: OrderedDict[str, asyncio.Future[Observed]] = OrderedDict()
        self._waiting: asyncio.Queue[tuple[ArtifactReference, asyncio.Future[Observed]] | None] = asyncio.Queue()
        self._stopping = False
        self._abandoned = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._worker = asyncio.create_task(self._run())

    @property
    def waiting(self) -> int:
        """Batches that wait."""
        return self._waiting.qsize()

    async def submit(self, capture: ArtifactReference) -> asyncio.Future[Observed]:
        """Return the batch's job: the existing one, or a new one at the end of the queue.

        A job that failed, or whose artifact is missing, is repeated.

        Raises:
            QueueFullError: the queue is full.
            StoppingError: the server is stopping.
        """
        name = job_id(capture)
        known = self._jobs.get(name)
        if known is not None and await self._serves(known):
            self.counts.joined += 1
            return known
        if self._stopping:
            raise StoppingError("the inference server is stopping")
        # Another request may have added the job while this one checked the file.
        if (rival := self._jobs.get(name)) is not None and rival is not known:
            self.counts.joined += 1
            return rival
        if self.waiting >= self.limit:
            self.counts.refused += 1
            raise QueueFullError(
                f"{self.waiting} batches wait for the inference server and its queue is full: its device is too slow"
                " for its bays (start another server for some of them), or a batch hangs"
                " (bay-observation models health BAY)"
            )
        job: asyncio.Future[Observed] = asyncio.get_running_loop().create_future()
        self._jobs[name] = job
        self._waiting.put_nowait((capture, job))
        self._forget_old()
        return job

    async def stop(self, grace_s: float) -> None:
        """Accept no more jobs, drop those that wait, and abandon the running one after `grace_s`.

        An abandoned batch publishes nothing; it ends after its current model call.
        """
        self._stopping = True
        while not self._waiting.empty() and (item := self._waiting.get_nowait()) is not None:
            capture, job = item
            _log.info("%s is dropped: the server is stopping", job_id(capture))
            _fail(job, StoppingError("the inference server stopped before it began this batch"))
        self._waiting.put_nowait(None)  # after the last one
        _, unfinished = await asyncio.wait([self._worker], timeout=grace_s)
        if unfinished:
            _log.warning("%s is abandoned: not done within %g s", self.running, grace_s)
            self._abandoned.set()
        await self._worker
        self._thread.shutdown()

    async def _serves(self, job: asyncio.Future[Observed]) -> bool:
        if not job.done():
            return True
        if job.exception() is not None:
            return False
        return await asyncio.to_thread(self._work.is_published, job.result())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while (item := await self._waiting.get()) is not None:
            capture, job = item
            self.running = job_id(capture)
            try:
                observed = await loop.run_in_executor(self._thread, self._work.observe, capture, self._check_abandoned)
            except Exception as error:  # noqa: BLE001  (the clients get the error; the next batch goes on)
                self.counts.failed += 1
                _log.error("%s: %s", self.running, error, exc_info=not isinstance(error, InferenceError))
                _fail(job, error)
            else:
                self.counts.done += 1
                _log.info("%s: %d objects in %.2f s", self.running, observed.objects, observed.seconds)
                job.set_result(observed)
            finally:
                self.running = None

    def _check_abandoned(self) -> None:
        if self._abandoned.is_set():
            raise StoppingError("the inference server stopped before this batch was done")

    def _forget_old(self) -> None:
        for name in [name for name, job in self._jobs.items() if job.done()][:-_REMEMBERED]:
            del self._jobs[name]


def _fail(job: asyncio.Future[Observed], error: Exception) -> None:
    job.set_exception(error)
    job.exception()  # retrieved: asyncio need not warn when no client waits
