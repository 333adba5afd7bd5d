import fcntl
import os
import stat
import time
from pathlib import Path

import pytest

from bay_observation import files
from bay_observation.errors import ArtifactError
from bay_observation.files import file_lock, read_regular_file, write_atomically


def test_a_file_appears_whole_with_its_mode_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"content", mode=0o600)
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_what_is_raised_before_the_commit_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def refuse():
        assert path.read_bytes() == b"old"
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        write_atomically(path, b"new", before_commit=refuse)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_new_file_replaces_none(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"first", new=True)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", new=True)
    assert path.read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_first_error_is_the_one_that_is_reported(tmp_path, monkeypatch):
    """Where the disk fails to write and to remove, the write's error says what happened."""

    def full(_):
        raise OSError(28, "No space left on device")

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", full)
    monkeypatch.setattr(files.Path, "unlink", broken)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "file", b"content")


def test_only_old_leftovers_of_the_same_file_are_removed(tmp_path):
    path = tmp_path / "file"
    old, young, foreign = (tmp_path / name for name in (".file.a.part", ".file.b.part", ".other.a.part"))
    for one in (old, young, foreign):
        one.touch()
    for one in (old, foreign):
        os.utime(one, (time.time() - 7200, time.time() - 7200))
    write_atomically(path, b"content")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".file.b.part", ".other.a.part", "file"]


def test_a_lock_has_one_holder(tmp_path):
    path = tmp_path / "lock"
    with file_lock(path, 0), pytest.raises(ArtifactError, match=f"{path}: held by another process for 0 s"):  # noqa: SIM117
        with file_lock(path, 0):
            pass
    with file_lock(path, 0):
        pass


def test_shared_holders_share_it(tmp_path):
    path = tmp_path / "lock"
    with file_lock(path, 0, shared=True), file_lock(path, 0, shared=True), pytest.raises(ArtifactError):  # noqa: SIM117
        with file_lock(path, 0):
            pass


def test_a_lock_is_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    other = path.open("w")
    fcntl.flock(other, fcntl.LOCK_EX)
    monkeypatch.setattr(files.time, "sleep", lambda _: other.close())
    with file_lock(path, 60):
        assert other.closed  # it was let go while this one waited


def test_a_folder_that_is_removed_in_that_moment_is_made_again(tmp_path, monkeypatch):
    path, made = tmp_path / "batch" / "result.pkl", []

    def removes_it_first(**options):
        made.append(options)
        if len(made) == 1:
            options["dir"].rmdir()
        return mkstemp(**options)

    mkstemp = files.mkstemp
    monkeypatch.setattr(files, "mkstemp", removes_it_first)
    files.write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert len(made) == 2


def test_a_folder_that_stays_away_is_an_error(tmp_path, monkeypatch):
    def removes_it(**options):
        options["dir"].rmdir()
        return mkstemp(**options)

    mkstemp = files.mkstemp
    monkeypatch.setattr(files, "mkstemp", removes_it)
    with pytest.raises(FileNotFoundError):
        files.write_atomically(tmp_path / "batch" / "result.pkl", b"whole")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_refused_by_its_name_and_left_closed(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ArtifactError, match=f"{path}: no regular file"):
        read_regular_file(path, 1000)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
