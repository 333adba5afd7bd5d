import asyncio

import pytest

from capture_async import limits
from capture_async.limits import Place


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(limits, "_PLACES", 4)
    monkeypatch.setattr(limits, "_A_TURN", 2)


async def test_no_more_are_under_way_than_there_are_places():
    under_way, most = 0, 0

    async def ask():
        nonlocal under_way, most
        async with Place():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1

    await asyncio.gather(*(ask() for _ in range(30)))
    assert (under_way, most) == (0, 4)


async def test_a_few_begin_in_one_turn_of_the_loop():
    begun = []

    async def ask(number):
        async with Place():
            begun.append(number)
            await asyncio.sleep(10)

    tasks = [asyncio.create_task(ask(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert begun == [0, 1]
    while len(begun) < 4:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert begun == [0, 1, 2, 3]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_that_hang_keep_nobody_waiting_for_long(monkeypatch):
    monkeypatch.setattr(limits, "_HELD_S", 0.02)
    hang = asyncio.Event()

    async def ask(event):
        async with Place():
            await event.wait()

    hanging = [asyncio.create_task(ask(hang)) for _ in range(9)]
    done = asyncio.Event()
    done.set()
    await asyncio.wait_for(ask(done), 10)
    hang.set()
    await asyncio.gather(*hanging)
    # Every place was given back once, not twice.
    assert limits._paces[asyncio.get_running_loop()]._free == 4


async def test_who_gives_up_while_waiting_takes_no_place_along():
    hang = asyncio.Event()

    async def ask():
        async with Place():
            await hang.wait()

    tasks = [asyncio.create_task(ask()) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in tasks[4:]:
        task.cancel()
    await asyncio.gather(*tasks[4:], return_exceptions=True)
    hang.set()
    await asyncio.gather(*tasks[:4])
    assert limits._paces[asyncio.get_running_loop()]._free == 4
    await asyncio.wait_for(ask(), 10)
