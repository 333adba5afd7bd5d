"""One slot of a yard as a discrete-event model: who waits for whom, from the slot's time until all bays are tracked.

Every bay's batch is the seven tasks of its DAGs. A start of a task's process is taken up by a scheduler, and asks an
API server, which asks PostgreSQL; both need cores of the main server. The task's own process needs cores of its
host: an observer has its own, processors share theirs. Cores are shared fairly, in slices.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace

import simpy

from lab.capacity.measured import BatchCost, Task

QUESTIONS = 6
"""Requests of a task's process to the API server in one start (docs/speed.md)."""

_SLICE_S = 0.02
_IDLE_EVERY_S = 0.1
_ON_PROCESSORS = ("process_fusion", "trigger_tracking", "process_tracking")
_CAPTURE = "capture_images"
_PARTS_IN_LOCK = 0.5
"""Of a scheduler's work on a task: schedulers take turns where they hand tasks to queues."""

Steps = Generator[simpy.Event, object, None]


@dataclass(frozen=True)
class Yard:
    """Bays and machines.

    Attributes:
        bays: whose slots begin at the same moment.
        schedulers, api_servers: processes on the main server.
        main_cores: of the main server, with PostgreSQL and Redis.
        processor_cores: of all hosts of processors together.
        observer_cores: of each bay's observer.
        one_machine: everything shares the cores of the main server.
    """

    bays: int
    schedulers: int = 1
    api_servers: int = 1
    main_cores: int = 2
    processor_cores: int = 2
    observer_cores: int = 2
    one_machine: bool = False


@dataclass
class Slot:
    """How a slot went.

    Attributes:
        asked_s: seconds after the slot's time at which each bay's cameras were asked.
        tracked_s: and at which its batch was tracked.
        main_busy_s, processors_busy_s: seconds of CPU that were used.
    """

    asked_s: list[float] = field(default_factory=list)
    tracked_s: list[float] = field(default_factory=list)
    main_busy_s: float = 0.0
    processors_busy_s: float = 0.0


@dataclass(frozen=True)
class Model:
    """The model, with what of a measured batch is neither work nor CPU: rounds and ways.

    Attributes:
        cost: of a batch.
        rounds_s: seconds for each start of a task in which everyone waits for the next round.
    """

    cost: BatchCost
    rounds_s: float = 0.0

    @classmethod
    def fitted(cls, cost: BatchCost) -> "Model":
        """The model that takes as long as the cluster for one bay alone; more bays are its prediction."""
        model = cls(cost)
        missing = cost.totals_s[1] - max(model.slot(_cluster(cost, 1)).tracked_s)
        return replace(model, rounds_s=max(0.0, missing / cost.starts))

    def of_the_cluster(self, bays: int) -> float:
        """Seconds from the slot until all are tracked, where everything shares the machine of the measurement."""
        return max(self.slot(_cluster(self.cost, bays)).tracked_s)

    def slot(self, yard: Yard) -> Slot:
        """Let one slot of a yard go by."""
        return _Run(self, yard).slot


def _cluster(cost: BatchCost, bays: int) -> Yard:
    return Yard(bays, main_cores=cost.cores, one_machine=True)


class _Cores:
    """Cores of one machine."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self._env = env
        self._cores = simpy.Resource(env, count)
        self.busy_s = 0.0

    def compute(self, seconds: float) -> Steps:
        """Use one core for so long, in slices, in turn with who else wants it."""
        left = seconds
        while left > 1e-9:
            part = min(left, _SLICE_S)
            with self._cores.request() as turn:
                yield turn
                yield self._env.timeout(part)
            self.busy_s += part
            left -= part


class _Run:
    def __init__(self, model: Model, yard: Yard) -> None:
        self._cost, self._rounds_s = model.cost, model.rounds_s
        self._env = env = simpy.Environment()
        self._main = _Cores(env, yard.main_cores)
        self._processors = self._main if yard.one_machine else _Cores(env, yard.processor_cores)
        self._schedulers = simpy.Resource(env, yard.schedulers)
        self._lock = simpy.Resource(env, 1)
        self._api = simpy.Resource(env, yard.api_servers)
        cost = model.cost
        self._idle_cores = cost.all_idle_cores if yard.one_machine else cost.idle_cores
        # Cameras that are simulated on the machine of the measurement are elsewhere in a yard.
        self._capture_s = cost.triggerer_s + (cost.simulated_s if yard.one_machine else 0.0)
        self.slot = Slot()
        batches = [
            env.process(self._batch(self._main if yard.one_machine else _Cores(env, yard.observer_cores)))
            for _ in range(yard.bays)
        ]
        env.process(self._idling())
        env.run(until=env.all_of(batches))
        self.slot.main_busy_s, self.slot.processors_busy_s = self._main.busy_s, self._processors.busy_s

    def _idling(self) -> Steps:
        while True:
            began = self._env.now
            yield from self._main.compute(self._idle_cores * _IDLE_EVERY_S)
            yield self._env.timeout(max(0.0, began + _IDLE_EVERY_S - self._env.now))

    def _batch(self, observer: _Cores) -> Steps:
        for task in self._cost.tasks:
            host = self._processors if task.name in _ON_PROCESSORS else observer
            yield from self._task(task, host)
        self.slot.tracked_s.append(self._env.now)

    def _task(self, task: Task, host: _Cores) -> Steps:
        for number in range(task.starts):
            yield from self._start(host)
            if task.name != _CAPTURE:
                yield from host.compute(task.work_s)
            elif number == 0:  # deferred: the cameras are waited for
                self.slot.asked_s.append(self._env.now)
                yield from host.compute(self._capture_s)
                yield self._env.timeout(max(0.0, task.work_s - self._capture_s))

    def _start(self, host: _Cores) -> Steps:
        cost = self._cost
        with self._schedulers.request() as turn:
            yield turn
            yield from self._main.compute(cost.scheduler_s * (1 - _PARTS_IN_LOCK))
            with self._lock.request() as alone:
                yield alone
                yield from self._main.compute(cost.scheduler_s * _PARTS_IN_LOCK + cost.database_s / 2)
        yield self._env.timeout(self._rounds_s)
        for _ in range(QUESTIONS):
            yield from host.compute(cost.worker_s / QUESTIONS)
            with self._api.request() as turn:
                yield turn
                yield from self._main.compute((cost.api_s + cost.database_s / 2) / QUESTIONS)
