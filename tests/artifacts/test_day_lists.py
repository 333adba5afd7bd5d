"""Batches by day: found by their bounds, right again after losses, never a source of their own."""

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts import ArtifactStore
from artifacts.day_lists import DayLists
from artifacts.local_folder import LocalFileSystem

BAY = "yard"
START = datetime(2025, 7, 1, 22, 0, tzinfo=UTC)


def name(number: int) -> str:
    return f"{BAY}_{START + timedelta(minutes=10 * number):%Y%m%d-%H%M%S}"


@pytest.fixture
def files(tmp_path: Path) -> LocalFileSystem:
    files = LocalFileSystem(tmp_path)
    for number in range(30):  # 12 on the first day, 18 on the second
        files.write(f"fusion/{BAY}/{name(number)}/result.pkl", b"x")
    return files


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def listed(files: LocalFileSystem, since: str = "", until: str = "") -> list[str]:
    return files.folders(f"fusion/{BAY}", "result.pkl", since, until)


@pytest.mark.parametrize(("begin", "end"), [(0, 30), (3, 9), (11, 13), (12, 12), (29, 40), (-5, 2), (35, 50)])
def test_the_names_between_two_bounds(files, begin, end):
    assert listed(files, name(begin), name(end)) == [name(number) for number in range(max(begin, 0), min(end, 30))]


def test_one_bound_and_none(files):
    assert listed(files, since=name(28)) == [name(28), name(29)]
    assert listed(files, until=name(2)) == [name(0), name(1)]
    assert len(listed(files)) == 30


def test_the_first_and_the_last(files):
    assert files.newest(f"fusion/{BAY}", "result.pkl") == name(29)
    assert files.oldest(f"fusion/{BAY}", "result.pkl") == name(0)
    assert files.newest(f"fusion/{BAY}", "capture.pkl") is None
    assert files.newest("fusion/other", "result.pkl") is None


def test_a_question_with_bounds_reads_the_lists_of_its_days_alone(files, tmp_path, monkeypatch):
    asked: list[str] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: asked.append(Path(path).name) or listdir(path))
    listed(files, name(13), name(20))
    assert asked == [".days", "20250702"]


def test_a_folder_that_another_program_removed_is_not_found(files, tmp_path):
    shutil.rmtree(tmp_path / "fusion" / BAY / name(29))
    assert listed(files, since=name(28)) == [name(28)]
    assert files.newest(f"fusion/{BAY}", "result.pkl") == name(28)


def test_removing_a_file_takes_its_name_off_and_the_day_with_the_last(files, tmp_path):
    for number in range(12):
        files.remove(f"fusion/{BAY}/{name(number)}/result.pkl")
    assert listed(files, until=name(12)) == []
    assert not (tmp_path / "fusion" / BAY / name(0)).exists()
    assert names_in(tmp_path / "fusion" / BAY / ".days") == ["20250702", "complete"]


def test_of_two_files_in_a_folder_the_name_stays_until_both_are_gone(tmp_path):
    files = LocalFileSystem(tmp_path)
    paths = [f"observation/{BAY}/{name(0)}/{file}" for file in ("capture.pkl", "result.pkl")]
    for path in paths:
        files.write(path, b"x")
    files.remove(paths[0])
    assert files.folders(f"observation/{BAY}", "result.pkl", since=name(0)) == [name(0)]
    assert files.folders(f"observation/{BAY}", "capture.pkl", since=name(0)) == []
    files.remove(paths[1])
    assert names_in(tmp_path / "observation" / BAY / ".days") == ["complete"]


def test_what_is_not_there_is_removed_already(files):
    files.remove(f"fusion/{BAY}/{name(99)}/result.pkl")


def test_a_store_without_lists_is_walked_until_they_are_made(files, tmp_path):
    shutil.rmtree(tmp_path / "fusion" / BAY / ".days")
    assert listed(files, name(3), name(5)) == [name(3), name(4)]
    files.write(f"fusion/{BAY}/{name(30)}/result.pkl", b"x")  # listed by itself, the others are not
    assert listed(files, since=name(29)) == [name(29), name(30)]
    assert files.newest(f"fusion/{BAY}", "result.pkl") == name(30)
    assert ArtifactStore(tmp_path).index("fusion", BAY) == 30
    assert DayLists(tmp_path / "fusion" / BAY).are_complete()
    assert listed(files, since=name(29)) == [name(29), name(30)]
    assert ArtifactStore(tmp_path).index("fusion", BAY) == 0


def test_a_lock_before_the_first_batch_leaves_the_lists_complete(tmp_path):
    files = LocalFileSystem(tmp_path)
    with files.lock(f"tracking/{BAY}/.lock", 1.0):
        files.write(f"tracking/{BAY}/{name(0)}/result.pkl", b"x")
    assert DayLists(tmp_path / "tracking" / BAY).are_complete()


def test_a_name_without_a_folder_goes_once_it_is_old(files, tmp_path):
    shutil.rmtree(tmp_path / "fusion" / BAY / name(0))
    shutil.rmtree(tmp_path / "fusion" / BAY / name(1))
    entry = tmp_path / "fusion" / BAY / ".days" / "20250701" / name(0)
    long_ago = time.time() - 7200
    os.utime(entry, (long_ago, long_ago))
    lists = DayLists(tmp_path / "fusion" / BAY)
    assert lists.missing() == []
    assert name(0) not in lists.names()
    assert name(1) in lists.names()  # its writer may be about to make the folder


def test_names_of_another_form_are_found_too(tmp_path):
    files = LocalFileSystem(tmp_path)
    for batch in ("some-batch", name(0)):
        files.write(f"fusion/{BAY}/{batch}/result.pkl", b"x")
    assert files.folders(f"fusion/{BAY}", "result.pkl", since="a") == ["some-batch", name(0)]
