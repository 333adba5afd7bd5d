import asyncio
import logging
import os
import resource
from types import SimpleNamespace

import pytest

from capture_async.limits import AdmissionQueue, Pace, most_at_once


async def run(queue, number, seconds=0.0, begun=None):
    await queue.admit()
    try:
        if begun is not None:
            begun.append(number)
        await asyncio.sleep(seconds)
    finally:
        queue.leave()


async def test_no_more_are_under_way_than_files_can_be_opened(caplog):
    queue = AdmissionQueue(Pace(per_turn=2), most=4)
    seen = []

    async def ask():
        await queue.admit()
        seen.append((queue._under_way, queue.crowded))
        await asyncio.sleep(0.01)
        queue.leave()

    with caplog.at_level(logging.WARNING):
        await asyncio.gather(*(ask() for _ in range(30)))
    assert max(under_way for under_way, _ in seen) == 4
    assert seen[5][1]
    assert not queue.crowded
    assert [record.getMessage() for record in caplog.records if "LimitNOFILE" in record.getMessage()][1:] == []
    assert "4 are asked at a time" in caplog.text


async def test_a_few_begin_in_one_turn_of_the_loop():
    queue = AdmissionQueue(Pace(per_turn=2, turn_s=0.001), most=100)
    begun = []
    tasks = [asyncio.create_task(run(queue, number, 10, begun)) for number in range(4)]
    await asyncio.sleep(0)
    assert begun == [0, 1]
    while len(begun) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert begun == [0, 1, 2, 3]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert queue._under_way == 0


async def test_one_begins_in_a_turn_that_comes_late():
    loop = asyncio.get_running_loop()
    queue = AdmissionQueue(Pace(per_turn=4, turn_s=60, late_s=0.02), most=100)
    tasks = [asyncio.create_task(run(queue, number, 10)) for number in range(20)]
    await asyncio.sleep(0)
    assert queue._under_way == 4

    def turn(late):
        queue._turn.cancel()
        queue._turn = SimpleNamespace(when=lambda: loop.time() - late)
        queue._next_turn()
        return queue._under_way

    assert [turn(late) for late in (0.03, 0.5, 0.01, 0.0)] == [5, 6, 10, 14]
    queue._turn.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_after_the_burst_they_begin_no_faster_than_frames_can_be_read():
    loop = asyncio.get_running_loop()
    queue = AdmissionQueue(Pace(burst=10, per_second=200.0), most=1000)
    began = loop.time()
    await asyncio.gather(*(run(queue, number) for number in range(30)))
    assert 0.09 < loop.time() - began < 2


async def test_those_that_hang_delay_no_other():
    queue = AdmissionQueue(most=1000)
    hanging = [asyncio.create_task(run(queue, number, 60)) for number in range(300)]
    await asyncio.wait_for(run(queue, 300), 10)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert queue._under_way == 0


async def test_one_that_gives_up_while_waiting_takes_no_place_along():
    queue = AdmissionQueue(most=4)
    tasks = [asyncio.create_task(run(queue, number, 60)) for number in range(8)]
    await asyncio.sleep(0.05)
    for task in tasks[4:]:
        task.cancel()
    await asyncio.gather(*tasks[4:], return_exceptions=True)
    assert queue._under_way == 4
    for task in tasks[:4]:
        task.cancel()
    await asyncio.gather(*tasks[:4], return_exceptions=True)
    await asyncio.wait_for(run(queue, 8), 10)
    assert queue._under_way == 0


def test_the_bound_is_what_the_operating_system_allows():
    allowed, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
        assert most_at_once() == pytest.approx(76, abs=4)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        assert most_at_once() == 4
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
