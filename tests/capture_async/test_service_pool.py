"""One service per bay for all captures of a process."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from bay_observation.errors import ConfigError
from capture_async import Credentials, close_pool, pooled_service, service_pool, warm_up
from capture_async.http import transports

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def _closed():
    yield
    await close_pool()


def connections():
    found = psutil.Process().net_connections("tcp4")
    return [one for one in found if one.raddr and one.raddr.ip.startswith("127.60.0.") and one.status == "ESTABLISHED"]


async def test_the_next_capture_has_the_same_service_and_the_same_connections(make_farm, credentials):
    async with make_farm(cameras=3) as farm:
        seen = []
        for number in range(3):
            await farm.set_time(SLOT + timedelta(minutes=10 * number))
            async with pooled_service(farm.bay, credentials) as service:
                assert len((await service.capture(SLOT + timedelta(minutes=10 * number))).images) == 3
                seen.append((service, {one.laddr.port for one in connections()}))
        assert seen[0][0] is seen[1][0] is seen[2][0]
        assert seen[0][1] == seen[2][1]
        await close_pool()
        await asyncio.sleep(0.05)
        assert connections() == []


async def test_two_captures_of_a_bay_share_one_and_the_first_to_end_closes_nothing(make_farm, credentials):
    async with make_farm(cameras=2) as farm, pooled_service(farm.bay, credentials) as first:
        async with pooled_service(farm.bay, credentials) as second:
            assert first is second
        assert len((await first.capture(SLOT)).images) == 2


async def test_a_changed_file_or_login_gets_a_new_one_and_the_old_ends_with_its_capture(make_farm, credentials):
    async with make_farm(cameras=2) as farm:
        changed = farm.bay.model_copy(update={"capture_deadline": 7.0})
        async with pooled_service(farm.bay, credentials) as old:
            assert (await old.capture(SLOT)).images
            async with pooled_service(changed, credentials) as new:
                assert new is not old
                assert len((await old.capture(SLOT)).images) == 2  # the one that is under way is left alone
            await close_pool()
            assert len((await old.capture(SLOT)).images) == 2
        await asyncio.sleep(0.05)
        assert connections() == []
        async with (
            pooled_service(farm.bay, credentials) as one,
            pooled_service(farm.bay, Credentials("yard", "other")) as other,
        ):
            assert one is not other


async def test_idle_ones_are_closed(make_farm, credentials):
    async with make_farm(cameras=2) as farm:
        async with pooled_service(farm.bay, credentials, idle_s=0.05) as service:
            await service.capture(SLOT)
        assert connections()
        for _ in range(100):
            if not connections():
                break
            await asyncio.sleep(0.05)
        assert connections() == []


async def test_no_more_than_so_many_are_kept(make_farm, credentials):
    pool = service_pool._Pool(max_bays=3)
    for number in range(8):
        bay = make_farm(cameras=1).bay.model_copy(update={"bay_id": f"bay_{number}"})
        await pool.give_back(pool.lease(bay, credentials), idle_s=60.0)
    assert sorted(pool.leases) == ["bay_5", "bay_6", "bay_7"]
    await pool.close()


async def test_several_bays_at_once(make_farm, credentials):
    async with make_farm(cameras=2, latency_s=0.05) as farm:
        bays = [farm.bay.model_copy(update={"bay_id": f"bay_{number}"}) for number in range(5)]

        async def capture(bay):
            async with pooled_service(bay, credentials) as service:
                return await service.capture(SLOT)

        batches = await asyncio.gather(*map(capture, bays))
    assert [len(batch.images) for batch in batches] == [2] * 5


async def test_unknown_provider():
    with pytest.raises(ConfigError, match="ftp"):
        await warm_up("ftp")


@pytest.mark.slow(1)
def test_a_loop_that_ends_closes_what_was_shared_and_warming_up_does_not_hold_it_up(tmp_path):
    """In a process of its own: nothing is imported yet there, and warnings are errors."""
    code = """
import asyncio, gc, sys, threading
import capture_async
from bays import load_bay
from capture_async.service_pool import load_the_rest
assert not {"aiohttp", "zeep"} & set(sys.modules)

seen = {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("aiohttp", "zeep"):
            seen[name] = threading.current_thread() is threading.main_thread()
sys.meta_path.insert(0, Watch())

async def main():
    async with capture_async.pooled_service(load_bay("demo_bay"), capture_async.Credentials("a", "b")) as service:
        assert "aiohttp" not in sys.modules  # the first capture does not wait for it
        await load_the_rest()
        transports = service._provider._transports
        assert type(transports.transport(is_lenient=False)).__name__ == "AiohttpTransport"
    return transports

transports = asyncio.run(main())
assert transports._strict is None
assert seen == {"aiohttp": False}, seen
gc.collect()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code], check=False, capture_output=True, text=True
    )
    assert (done.returncode, "Unclosed" in done.stderr) == (0, False), done.stderr


async def test_a_full_collection_comes_when_no_camera_is_asked(make_farm, credentials, monkeypatch):
    collected = []
    monkeypatch.setattr(service_pool, "_TIDY_AFTER_S", 0.02)
    monkeypatch.setattr(service_pool.gc, "collect", lambda: collected.append(1))
    bay = make_farm(cameras=1).bay
    other = bay.model_copy(update={"bay_id": "other"})
    async with pooled_service(bay, credentials):
        async with pooled_service(other, credentials):
            pass
        await asyncio.sleep(0.06)
        assert collected == []
    async with pooled_service(other, credentials):  # the next capture puts it off
        await asyncio.sleep(0.06)
        assert collected == []
    await asyncio.sleep(0.06)
    assert collected == [1]


async def test_aiohttp_is_loaded_once_the_first_capture_is_over(make_farm, credentials, monkeypatch):
    monkeypatch.setattr(transports, "_loaded", {})
    monkeypatch.setattr(service_pool, "_TIDY_AFTER_S", 0.0)
    bay = make_farm(cameras=1).bay
    async with pooled_service(bay, credentials) as service:
        await asyncio.sleep(0.02)
        transport = service._provider._transports.transport
        assert type(transport(is_lenient=False)).__name__ == "LenientTransport"
    for _ in range(500):
        if transports.aiohttp_is_loaded():
            break
        await asyncio.sleep(0.01)
    assert type(transport(is_lenient=False)).__name__ == "AiohttpTransport"


@pytest.mark.slow(1)
def test_what_a_capture_loads_is_kept_out_of_full_collections():
    """Walking all of it blocks the loop; in a process of its own, since it cannot be undone."""
    code = """
import asyncio, gc, sys
from capture_async.service_pool import warm_up

asyncio.run(warm_up())
loaded = gc.get_freeze_count()
assert loaded > 20 * len(gc.get_objects()), (loaded, len(gc.get_objects()))
assert gc.get_threshold()[2] == 1000
assert sys.getswitchinterval() == 0.001
"""
    subprocess.run([sys.executable, "-c", code], check=True)
