"""Kill a process at each of its calls of the file system in turn, and look what the next one makes of it.

python killed_at_every_step.py replicate|replace|spool FOLDER
"""

import json
import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from artifacts import ArtifactStore, Replicator, Spool
from capture_async.types import CaptureBatch, CapturedImage

BAY = "yard"
BATCHES = [f"{BAY}_20250702-{hour:02d}0000" for hour in (9, 10)]


def capture(batch: str, jpeg: bytes) -> CaptureBatch:
    return CaptureBatch(batch, BAY, (CapturedImage("C_2", BAY, datetime(2025, 7, 2, tzinfo=UTC), jpeg),), ())


class Yard:
    def __init__(self, folder: Path, what: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.data = folder / "data"
        self.spool = Spool(folder / "spool", limit_bytes=1e6, kept=timedelta(hours=1))
        self.what = what
        if what == "replace":
            for batch in BATCHES:
                ArtifactStore(self.data).save("capture", BAY, batch, capture(batch, b"old"))
        if what != "spool":
            self.fill()

    def fill(self) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        away = self.data.with_name("away")
        if self.data.exists():
            self.data.rename(away)
        self.data.write_text("no folder")  # the store fails
        for batch in BATCHES:
            old = ArtifactStore(self.data).reference("capture", BAY, batch, capture(batch, b"old")).sha256
            replaces = old if self.what == "replace" else None
            store = ArtifactStore(self.data, spool=self.spool)
            store.save("capture", BAY, batch, capture(batch, b"new"), replaces=replaces)
        self.back(away)

    def back(self, away: Path | None = None) -> None:
        if self.data.is_file():
            self.data.unlink()
        if away is not None and away.exists():
            away.rename(self.data)

    def work(self) -> None:
        if self.what == "spool":
            self.fill()
        else:
            Replicator(self.spool, ArtifactStore(self.data)).once()

    def published(self) -> dict[str, tuple[bytes, int]]:
        """Frame and inode of each published capture."""
        store = ArtifactStore(self.data)
        found = {}
        for batch in store.batch_ids("capture", BAY):
            reference = store.find("capture", BAY, batch)  # raises where it is torn
            path = self.data / reference.path
            found[batch] = (store.load(reference).images[0].jpeg, path.stat().st_ino)
        return found


def killed_at(step: int, yard: Yard) -> bool:
    """Do the work in a child that is killed at its `step`th call; whether it was."""
    child = os.fork()
    if child == 0:
        left = step
        mine = os.getpid()

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in ("open", "fcntl.flock") or event.startswith("os."):
                left -= 1
                if left == -1:  # not again for the kill itself
                    os.kill(mine, signal.SIGKILL)

        sys.addaudithook(count)
        yard.work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def check(yard: Yard) -> None:
    before = yard.published() if not yard.data.is_file() else {}
    new_before = {batch: inode for batch, (jpeg, inode) in before.items() if jpeg == b"new"}
    assert list(new_before) == BATCHES[: len(new_before)], "published out of order"
    if yard.what == "spool":
        # Killed while it spooled: each is there whole, or is not, and the next try spools it.
        waiting = [yard.spool.entry(path) for path in yard.spool.pending(BAY)]
        assert all(yard.spool.read(each.reference) is not None for each in waiting)
        yard.back()
        yard.fill()
    in_child(lambda: Replicator(yard.spool, ArtifactStore(yard.data)).once())
    after = yard.published()
    assert [after[batch][0] for batch in BATCHES] == [b"new", b"new"], "lost"
    for batch, inode in new_before.items():
        assert after[batch][1] == inode, f"{batch} was published twice"
    assert not yard.spool.pending(BAY)


def in_child(work: object) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2]) / "yard"
    step = 0
    while killed_at(step, yard := Yard(folder, what)):
        check(yard)
        step += 1
    check(yard)
    print(json.dumps({"killed": step, "finished": 1}))


if __name__ == "__main__":
    main()
