"""Airflow's triggerer with rounds of a part of a second; see `triggers.short_rounds`.

The two processes of a triggerer talk once a round. Between Airflow's own rounds, which stay a second long, the
database is asked one question: whether a trigger waits that no triggerer has. Everything else is Airflow's.
"""

import asyncio
import time
from contextlib import suppress

import anyio
import attrs
from airflow.jobs import triggerer_job_runner
from airflow.jobs.triggerer_job_runner import TriggerRunner, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import select

_FULL_ROUND_S = 1.0
_STATUS_EVERY_S = 60.0
_round_s = _FULL_ROUND_S


def take_place(round_s: float) -> None:
    """Let this process's triggerer have rounds of `round_s` seconds, at most Airflow's own second."""
    global _round_s  # noqa: PLW0603 - a process has one triggerer, and Airflow makes its parts from their classes
    _round_s = min(round_s, _FULL_ROUND_S)
    triggerer_job_runner.TriggerRunnerSupervisor = QuickSupervisor  # type: ignore[misc]


class QuickRunner(TriggerRunner):
    """The process that runs the triggers."""

    async def arun(self) -> None:
        """As Airflow's own, with another time between two rounds; a test compares the two."""
        await self.init_comms()
        watchdog = asyncio.create_task(self.block_watchdog())
        stop_event = self._stop_event = anyio.Event()
        last_status = time.monotonic()
        try:
            while not self.stop:
                if watchdog.done():
                    watchdog.result()
                reader = self.comms_decoder._reader_task
                if reader is not None and reader.done():
                    reader.result()
                    raise RuntimeError("Supervisor connection lost")
                finished_ids = await self.cleanup_finished_triggers()
                await self.sync_state_to_supervisor(finished_ids)
                await self.create_triggers()
                await self.cancel_triggers()
                with anyio.move_on_after(_round_s):
                    await stop_event.wait()
                if (now := time.monotonic()) - last_status >= _STATUS_EVERY_S:
                    watchers = sum(trigger["is_watcher"] for trigger in self.triggers.values())
                    self.log.info("%i triggers currently running", len(self.triggers) - watchers)
                    self.log.info("%i watchers currently running", watchers)
                    last_status = now
        except Exception:
            with suppress(BrokenPipeError):
                await triggerer_job_runner.log.aexception("Trigger runner failed")
            self.stop = True
            raise
        finally:
            if (reader := self.comms_decoder._reader_task) is not None:
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader
            await self._shared_streams.stop_all()
        await watchdog


@attrs.define(kw_only=True)
class QuickSupervisor(TriggerRunnerSupervisor):
    """The process that talks to the database."""

    _full_round_at: float = attrs.field(init=False, default=0.0)

    @classmethod
    def run_in_process(cls) -> None:
        """What the other process does."""
        QuickRunner().run()

    def run_once(self) -> None:
        """One round: a full one once a second, as Airflow's own; else what is new, and events."""
        self._service_subprocess(_round_s)
        is_full = time.monotonic() >= self._full_round_at
        if is_full or self._trigger_waits():
            self.load_triggers()
        self.handle_events()
        self.handle_failed_triggers()
        if is_full:
            self.clean_unused()
            self.emit_metrics()
            self._full_round_at = time.monotonic() + _FULL_ROUND_S
        self.heartbeat()

    def _trigger_waits(self) -> bool:
        """Whether no triggerer has a trigger of this one's queues."""
        mine = Trigger.queue.in_(self.queues) if self.queues else Trigger.queue.is_(None)
        with create_session() as session:
            return session.scalar(select(Trigger.id).where(Trigger.triggerer_id.is_(None), mine).limit(1)) is not None
