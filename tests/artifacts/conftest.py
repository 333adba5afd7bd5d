"""Captures of an observer, its spool, and stores that fail."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts import ArtifactStore, Spool
from artifacts.hang_guard import _guards
from capture_async.types import CaptureBatch, CapturedImage

BAY = "3bay_north"


def batch_name(hour: int, bay: str = BAY) -> str:
    return f"{bay}_20250702-{hour:02d}0000"


@pytest.fixture
def a_capture() -> Callable[..., CaptureBatch]:
    """a_capture(9, jpeg=b"..."): the capture of nine o'clock."""

    def make(hour: int, jpeg: bytes = b"\xff\xd8 frame \xff\xd9", bay: str = BAY) -> CaptureBatch:
        image = CapturedImage("C_2", bay, datetime(2025, 7, 2, hour, tzinfo=UTC), jpeg)
        return CaptureBatch(batch_name(hour, bay), bay, (image,), ())

    return make


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", limit_bytes=1e6, kept=timedelta(hours=1))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A root at which no folder can be made: a file lies there. Delete it, and the store is back."""
    root = tmp_path / "data"
    root.write_text("no folder")
    return root


@pytest.fixture
def observer(broken: Path, spool: Spool) -> ArtifactStore:
    """An observer whose store fails."""
    return ArtifactStore(broken, spool=spool)


@pytest.fixture(autouse=True)
def no_store_hung_before() -> Iterator[None]:
    yield
    _guards.clear()
