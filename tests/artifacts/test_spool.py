"""The spool: what the store does not take is kept, read back, and never lost to make room."""

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from artifacts import ArtifactStore, Spool
from bay_observation.errors import ArtifactError, ConfigError, SpoolError, StoreUnavailableError
from inference.types import Observation

from .conftest import BAY, batch_name


def test_the_reference_is_the_same_and_leads_to_the_spool(observer, spool, a_capture, tmp_path):
    healthy = ArtifactStore(tmp_path / "healthy").save("capture", BAY, batch_name(9), a_capture(9))
    spooled = observer.save("capture", BAY, batch_name(9), a_capture(9))
    assert spooled == healthy
    assert observer.load(spooled) == a_capture(9)
    assert observer.is_whole(spooled)
    assert observer.find("capture", BAY, batch_name(9)) == spooled
    (path,) = spool.pending(BAY)
    assert path == spool.folder / "pending" / BAY / f"{batch_name(9)}.capture"
    backlog = spool.backlog(BAY)
    assert (backlog.pending, backlog.oldest_batch, backlog.aside) == (1, batch_name(9), 0)
    assert backlog.size == path.stat().st_size
    assert (datetime.now(UTC) - backlog.since).total_seconds() < 60


def test_without_a_spool_it_is_the_store_s_error(broken, a_capture):
    with pytest.raises(StoreUnavailableError, match=r"capture\.pkl: cannot be published"):
        ArtifactStore(broken).save("capture", BAY, batch_name(9), a_capture(9))


def test_only_an_observer_s_stages_are_spooled(broken, spool):
    from shapely import MultiPolygon

    from fusion.types import FusionResult

    observer = ArtifactStore(broken, spool=spool)
    result = FusionResult(batch_name(9), BAY, (), MultiPolygon())
    with pytest.raises(StoreUnavailableError, match="cannot be published"):
        observer.save("fusion", BAY, batch_name(9), result)
    assert spool.bay_ids() == []


def test_what_comes_after_waits_behind_what_waits(observer, broken, spool, a_capture):
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    broken.unlink()  # the store is back
    observer.save("capture", BAY, batch_name(10), a_capture(10))
    observer.save("observation", BAY, batch_name(9), Observation(batch_name(9), BAY, ()))
    observer.save("capture", "4bay", batch_name(10, "4bay"), a_capture(10, bay="4bay"))
    names = [path.name for path in spool.pending(BAY)]
    assert names == [f"{batch_name(9)}.capture", f"{batch_name(9)}.observation", f"{batch_name(10)}.capture"]
    assert spool.pending("4bay") == []  # another bay has nothing to wait for
    assert observer.batch_ids("capture", "4bay") == [batch_name(10, "4bay")]


def test_a_later_run_of_the_same_batch_takes_the_place_of_what_waits(observer, spool, a_capture):
    old = observer.save("capture", BAY, batch_name(9), a_capture(9), replaces="0" * 64)
    new = observer.save("capture", BAY, batch_name(9), a_capture(9, b"new frames"))
    assert observer.find("capture", BAY, batch_name(9)) == new
    with pytest.raises(ArtifactError):
        observer.load(old)
    (path,) = spool.pending(BAY)
    assert spool.entry(path).replaces == tuple(sorted(["0" * 64, old.sha256]))


def test_spooling_the_same_again_changes_nothing(observer, spool, a_capture):
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    (path,) = spool.pending(BAY)
    before = path.stat().st_ino
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    assert path.stat().st_ino == before


def test_the_check_before_the_commit_counts_in_the_spool_too(observer, spool, a_capture):
    def refuse():
        raise ConfigError("not wanted any more")

    with pytest.raises(ConfigError, match="not wanted"):
        observer.save("capture", BAY, batch_name(9), a_capture(9), before_commit=refuse)
    assert spool.pending(BAY) == []
    assert not list(spool.folder.rglob("*.part"))


def test_a_full_spool_refuses_and_keeps_what_waits(broken, tmp_path, a_capture):
    spool = Spool(tmp_path / "spool", limit_bytes=5000, kept=timedelta(hours=1))
    observer = ArtifactStore(broken, spool=spool)
    first = observer.save("capture", BAY, batch_name(9), a_capture(9, bytes(3000)))
    with pytest.raises(SpoolError, match=r"the spool is full: 1 artifacts wait .*SPOOL_LIMIT_MB"):
        observer.save("capture", BAY, batch_name(10), a_capture(10, bytes(3000)))
    assert observer.load(first) == a_capture(9, bytes(3000))
    # What was published makes room.
    spool.move(spool.pending(BAY)[0], "kept")
    observer.save("capture", BAY, batch_name(10), a_capture(10, bytes(3000)))
    assert not list((spool.folder / "kept").glob("*/*"))


def test_what_was_published_stays_readable_for_a_while(observer, spool, a_capture):
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    spool.move(spool.pending(BAY)[0], "kept")
    spool.prune()
    assert observer.load(reference) == a_capture(9)
    assert not spool.has_backlog(BAY)
    (kept,) = (spool.folder / "kept").glob("*/*")
    os.utime(kept, (0, 0))
    spool.prune()
    assert not kept.exists()


def test_a_damaged_file_is_not_read(observer, spool, a_capture):
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    (path,) = spool.pending(BAY)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert spool.read(reference) is None
    assert not observer.is_whole(reference)
    path.write_bytes(b"nothing of ours\n")
    assert spool.waiting("capture", BAY, batch_name(9)) is None
    with pytest.raises(ArtifactError, match="damaged"):
        spool.entry(path)


def test_others_cannot_read_it_and_must_not_write_it(observer, spool, a_capture):
    before = os.umask(0o022)
    try:
        observer.save("capture", BAY, batch_name(9), a_capture(9))
    finally:
        os.umask(before)
    (path,) = spool.pending(BAY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, spool.folder)} == {0o750}
    open_to_all = Spool(spool.folder.with_name("open"), limit_bytes=1e6, kept=timedelta(hours=1))
    open_to_all.folder.mkdir()
    open_to_all.folder.chmod(0o777)
    with pytest.raises(SpoolError, match="chmod o-w"):
        ArtifactStore(observer.root, spool=open_to_all).save("capture", BAY, batch_name(9), a_capture(9))


def test_a_spool_that_cannot_be_written_says_so(broken, tmp_path, a_capture):
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool", limit_bytes=1e6, kept=timedelta(hours=1))
    with pytest.raises(SpoolError, match="Not a directory"):
        ArtifactStore(broken, spool=spool).save("capture", BAY, batch_name(9), a_capture(9))
    # It keeps nothing from a store that works.
    healthy = ArtifactStore(tmp_path / "healthy", spool=spool)
    assert healthy.load(healthy.save("capture", BAY, batch_name(9), a_capture(9))) == a_capture(9)


def test_the_environment_names_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "data"))
    assert ArtifactStore().spool is None
    monkeypatch.setenv("SPOOL_PATH", str(tmp_path / "spool"))
    monkeypatch.setenv("SPOOL_LIMIT_MB", "7")
    monkeypatch.setenv("SPOOL_KEPT_HOURS", "2")
    spool = ArtifactStore().spool
    assert (spool.folder, spool.limit_bytes, spool.kept) == (tmp_path / "spool", 7e6, timedelta(hours=2))
    assert ArtifactStore(tmp_path / "other").spool is None
    monkeypatch.setenv("SPOOL_PATH", str(tmp_path / "data" / "spool"))
    with pytest.raises(ConfigError, match="lies in DATA_PATH"):
        ArtifactStore()
    monkeypatch.setenv("SPOOL_PATH", str(tmp_path / "spool"))
    monkeypatch.setenv("SPOOL_LIMIT_MB", "much")
    with pytest.raises(ConfigError, match="SPOOL_LIMIT_MB=much"):
        ArtifactStore()


def test_which_of_two_stands(observer, spool, a_capture):
    observer.save("capture", BAY, batch_name(9), a_capture(9), replaces="1" * 64)
    capture = spool.entry(spool.pending(BAY)[0])
    later, earlier = capture.made_at + timedelta(minutes=1), capture.made_at - timedelta(minutes=1)
    # The first capture of a slot stands, but for one that a cleared task replaces.
    assert capture.stands_back("2" * 64, earlier)
    assert capture.stands_back("2" * 64, later)
    assert not capture.stands_back("1" * 64, later)
    # The later Observation stands: it is the one that fusion was told of.
    observation = replace(capture, reference=replace_stage(capture.reference))
    assert observation.stands_back("2" * 64, later)
    assert not observation.stands_back("2" * 64, earlier)


def replace_stage(reference):
    return replace(reference, stage="observation", path=reference.path.replace("capture.pkl", "result.pkl"))


def test_what_is_deleted_waits_no_longer(observer, spool, a_capture) -> None:
    reference = observer.save("capture", BAY, batch_name(9), a_capture(9))
    assert spool.read(reference) is not None
    spool.discard("capture", BAY, batch_name(9))
    assert spool.read(reference) is None
    spool.discard("capture", BAY, batch_name(9))  # gone already
    assert not spool.has_backlog(BAY)


def test_what_a_killed_writer_left_in_the_spool_goes(observer, spool, a_capture) -> None:
    observer.save("capture", BAY, batch_name(9), a_capture(9))
    left = spool.folder / "pending" / BAY / f".{batch_name(8)}.capture.abc.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    spool.prune()
    assert not left.exists()
    assert len(spool.pending(BAY)) == 1
