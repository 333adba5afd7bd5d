"""More cameras than the process may open files for: all frames come, in waves, and the log says why."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.slow(2)

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
CAPTURE = """
import asyncio, json, logging, resource, sys
from datetime import datetime
from bays import BayConfig
from capture_async import CaptureService, Credentials, ImageProviderFactory

bay = BayConfig.model_validate_json(sys.stdin.readline())
logging.basicConfig(level=logging.WARNING)
ImageProviderFactory.provider_class(bay.image_provider)  # what it imports is loaded before files are short
resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

async def main():
    async with CaptureService(bay, credentials=Credentials("yard", sys.argv[2])) as service:
        return await service.capture(datetime.fromisoformat(sys.argv[1]))

batch = asyncio.run(main())
print(json.dumps([len(batch.images), [failure.detail for failure in batch.failures]]))
"""


async def test_a_hundred_cameras_and_sixty_files(make_farm, credentials):
    bay = make_farm(cameras=1).bay
    cameras = tuple(
        bay.cameras[0].model_copy(update={"name": f"C_{number}", "host": bay.cameras[0].host + number})
        for number in range(100)
    )
    network = bay.network.model_copy(update={"camera_subnet": "127.60.0.0/16"})
    async with make_farm(bay=bay.model_copy(update={"cameras": cameras, "network": network})) as farm:
        await farm.set_time(SLOT)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CAPTURE, SLOT.isoformat(), credentials.password),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await child.communicate(farm.bay.model_dump_json(by_alias=True).encode() + b"\n")
    frames, failures = json.loads(out)
    assert (frames, failures) == (100, [])
    assert error.count(b"more cameras at once than this process may open files for") == 1
