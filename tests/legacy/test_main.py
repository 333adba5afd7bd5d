import json

import pytest

from .conftest import CAMERAS, SLOT, STEP, block, floor, floor_key, frame, key


@pytest.fixture
def dump(tmp_path, bay):
    """A dump of two slots with every camera and one block."""
    path = tmp_path / "dump.json"
    hashes = {}
    for slot in (SLOT, SLOT + STEP):
        hashes[key(slot)] = {camera.name: frame(camera.name, slot) for camera in bay.cameras}
        hashes[floor_key(slot)] = floor(block())
    path.write_text(json.dumps(hashes))
    return path


def test_a_dump_that_fits(legacy, dump, bay):
    status, out, _ = legacy("check", dump)
    assert status == 0
    count = len(bay.cameras)
    assert (
        f"yard: 2 batches from 2025-07-02 01:00 to 2025-07-02 01:10 UTC, {2 * count} frames of {count} cameras" in out
    )
    assert "the mapping fits" in out


def test_what_does_not_fit_is_counted_and_shown_once(legacy, tmp_path):
    hashes = {
        key(SLOT + n * STEP): {camera: frame(camera, detections=[{}, {}]) for camera in CAMERAS} for n in range(3)
    }
    (tmp_path / "dump.json").write_text(json.dumps(hashes))
    status, out, _ = legacy("check", "--json", tmp_path / "dump.json")
    report = json.loads(out)
    assert (status, report["fits"]) == (1, False)
    assert {problem["what"]: problem["count"] for problem in report["problems"]}["object.box: there is no bbox"] == 12
    assert any("has no frame in any batch" in problem["what"] for problem in report["problems"])


def test_a_wrong_zone_shows_in_the_operating_hours(legacy, make_bay, dump):
    make_bay("yard", operating_hours=["19:00-20:00"], skip_times=[])
    status, out, _ = legacy("check", dump)
    assert status == 1
    assert "is batch_id.time_zone right?" in out


def test_a_slot_off_the_schedule_is_named(legacy, tmp_path):
    (tmp_path / "dump.json").write_text(json.dumps({floor_key(SLOT.replace(minute=3)): floor(block())}))
    assert "is no slot of the bay's schedule" in legacy("check", tmp_path / "dump.json")[1]


def test_a_dump_without_a_key_of_the_mapping_fits_not(legacy, tmp_path):
    (tmp_path / "dump.json").write_text("{}")
    status, out, _ = legacy("check", tmp_path / "dump.json")
    assert status == 1
    assert "nothing was read" in out


def test_without_a_source_and_without_a_redis_the_remedy_is_said(legacy):
    status, _, err = legacy("check")
    assert status == 2
    assert "LEGACY_REDIS is not set" in err


@pytest.mark.parametrize("url", ["redis://:s3cret@h/0", "redis://u:s3cret@h/0", "redis://h/0?password=s3cret"])
def test_a_login_in_the_address_is_refused_and_not_repeated(legacy, monkeypatch, url):
    monkeypatch.setenv("LEGACY_REDIS", url)
    status, _, err = legacy("check")
    assert status == 2
    assert "s3cret" not in err
    assert "LEGACY_REDIS_PASSWORD" in err


@pytest.mark.parametrize("url", ["nonsense", "http://h/0", "redis://", "redis://h:port/0"])
def test_what_is_no_address_is_refused(legacy, monkeypatch, url):
    monkeypatch.setenv("LEGACY_REDIS", url)
    status, _, err = legacy("check")
    assert status == 2
    assert "is no address" in err


def test_the_broker_is_refused_by_its_address(legacy, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://:pw@main:6379/0")
    monkeypatch.setenv("LEGACY_REDIS", "redis://main:6379/1")
    status, _, err = legacy("check")
    assert status == 2
    assert "is Airflow's broker" in err


def test_a_redis_that_does_not_answer_is_named(legacy, monkeypatch):
    monkeypatch.setenv("LEGACY_REDIS", "redis://127.0.0.1:1/0")
    status, _, err = legacy("check")
    assert status == 3
    assert "redis://127.0.0.1:1/0: " in err
