"""Who owns a bay decides what runs, and where its frames come from."""

import pytest
import yaml

from bay_observation.errors import ConfigError
from bays import enabled_bays, load_bay
from bays.editing import with_owner, write_owner
from bays.loading import bay_file

FRAMES = {"base_path": "/old", "time_zone": "Asia/Seoul", "tolerance_s": 60.0, "wait_s": 90.0}


def test_a_bay_without_the_key_is_this_system_s(make_bay):
    bay = make_bay()
    assert (bay.migration, bay.notifies) == (None, True)


def test_an_old_bay_does_not_run_whatever_else_says(make_bay, monkeypatch):
    assert make_bay(migration={"owner": "old"}).enabled is False
    monkeypatch.setenv("BAYS_ENABLED", "yard")
    assert enabled_bays() == {}


def test_a_shadow_reads_the_old_frames_and_notifies_nobody(make_bay):
    bay = make_bay(migration={"owner": "shadow", "frames": FRAMES}, image_provider="onvif", image_provider_config={})
    assert (bay.enabled, bay.image_provider, bay.notifies) == (True, "file", False)
    assert bay.image_provider_config == {
        "base_path": "/old",
        "time_tolerance_hours": 60 / 3600,
        "time_zone": "Asia/Seoul",
        "growing": True,
    }
    assert (bay.capture_deadline, bay.capture_attempts) == (360.0, 10)


def test_a_bay_of_ours_runs_as_its_file_says(make_bay):
    bay = make_bay(migration={"owner": "new", "frames": FRAMES}, image_provider="onvif", image_provider_config={})
    assert (bay.image_provider, bay.notifies) == ("onvif", True)


@pytest.mark.parametrize(
    ("migration", "said"),
    [
        ({"owner": "both"}, "'old', 'shadow' or 'new'"),
        ({"owner": "shadow"}, "name the folder of the old system's frames"),
        ({"owner": "old", "frames": {"base_path": "/old", "wait_s": 1000}}, "less than or equal to 135"),
        ({"owner": "old", "pasword": "x"}, "Extra inputs"),
        ({}, "owner: Field required"),
        (7, "migration"),
    ],
)
def test_a_wrong_key_is_refused_by_its_line(make_bay, migration, said):
    with pytest.raises(ConfigError) as refused:
        make_bay(migration=migration)
    assert "migration" in str(refused.value)
    assert said in str(refused.value)


def test_a_zone_of_the_frames_that_is_none_is_refused(make_bay):
    with pytest.raises(ConfigError, match="IANA"):
        make_bay(migration={"owner": "shadow", "frames": FRAMES | {"time_zone": "Seoul"}})


@pytest.mark.parametrize(
    "form",
    [
        "migration: {owner: shadow, frames: {base_path: /old}}",
        "migration:\n  owner: shadow # why\n  frames: {base_path: /old}",
    ],
)
def test_the_owner_is_changed_and_all_else_stays(make_bay, form):
    make_bay()
    path = bay_file("yard")
    path.write_text(path.read_text() + form + "\n# the end\n")
    write_owner("yard", "new")
    assert load_bay("yard").migration.owner == "new"
    assert path.read_text().replace("owner: new", "owner: shadow").endswith(form + "\n# the end\n")
    before = path.read_text()
    write_owner("yard", "new")
    assert path.read_text() == before


def test_what_would_be_wrong_is_refused(make_bay):
    make_bay(migration={"owner": "old"})
    text = bay_file("yard").read_text()
    with pytest.raises(ConfigError, match="old system's frames"):
        with_owner(text, "yard", "shadow")
    make_bay()
    with pytest.raises(ConfigError, match="has no key migration"):
        with_owner(bay_file("yard").read_text(), "yard", "new")
    shared = yaml.safe_load(text)
    shared["migration"] = {"owner": "old"}
    assert with_owner(yaml.safe_dump(shared), "yard", "new").count("owner: new") == 1
