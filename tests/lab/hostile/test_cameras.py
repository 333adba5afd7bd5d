import logging
import signal

import pytest

from lab.hostile import cameras
from lab.simulation.faults import Fault

pytestmark = pytest.mark.slow(1)


async def test_one_way_of_each_kind(monkeypatch):
    answers = {name: cameras.raw_answers()[name] for name in ("status 204", "an empty SOAP body", "challenge 0")}
    monkeypatch.setattr(cameras, "raw_answers", lambda: answers)
    monkeypatch.setattr(cameras, "Fault", [Fault.OFFLINE])
    level, handler = logging.getLogger("capture_async").level, signal.getsignal(signal.SIGALRM)
    beside = await cameras.captures()
    assert logging.getLogger("capture_async").level == level  # or later tests see no warning
    assert signal.getsignal(signal.SIGALRM) == handler
    assert len(beside) == 1 + 3 * 7
    assert [one for one in beside if one.lost] == []


async def test_a_lost_frame_is_seen(monkeypatch):
    monkeypatch.setattr(cameras, "raw_answers", dict)
    monkeypatch.setattr(cameras, "Fault", [Fault.OFFLINE])

    async def nothing(*_):
        raise OSError("no capture")

    monkeypatch.setattr(cameras.CaptureService, "capture", nothing)
    (beside,) = await cameras.captures()
    assert len(beside.lost) == 11
