import pytest
import yaml

from bay_observation.errors import ConfigError
from legacy.mapping import Mapping, load_mapping, mapping_path

from .conftest import SHIPPED, merged


def test_the_shipped_mapping_is_valid_and_names_the_channel_of_the_specification():
    mapping = load_mapping(SHIPPED)
    assert mapping.redis.channel == "cctv_image_state_updates"
    assert (mapping.message.batch_id, mapping.message.status, mapping.message.count) == ("batch_id", "status", "count")
    assert mapping_path() == SHIPPED


def test_the_environment_names_another(tmp_path, monkeypatch):
    monkeypatch.setenv("LEGACY_MAPPING", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        load_mapping()


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("changes", "line_key", "reason"),
    [
        ({"colour": 1}, "colour", "Extra inputs"),
        ({"redis": {"key": "state"}}, "redis", "name no batch"),
        ({"redis": {"key": "state:{frame}"}}, "redis.key", "{frame} is none"),
        ({"redis": {"key": "state:{batch_id}:{batch_id}"}}, "redis.key", "each once"),
        ({"redis": {"key": "state:{batch_id"}}, "redis.key", "placeholders are"),
        ({"redis": {"key": "state", "field": "{batch_id}"}}, "redis", "must not expire"),
        ({"redis": {"owner_key": "owner"}}, "redis", "owner_key: {bay}"),
        ({"batch_id": {"form": "{time}"}}, "batch_id", "{bay} and {time}"),
        ({"batch_id": {"time": "%H%M"}}, "batch_id", "a slot needs"),
        ({"batch_id": {"time_zone": "Seoul"}}, "batch_id.time_zone", "IANA"),
        ({"units": {"length": "inch"}}, "units.length", "'m', 'cm'"),
        ({"units": {"time": "unix"}}, "units", "none of iso"),
        ({"frame": {"camera": None}, "redis": {"field": "all"}}, "", "names the camera"),
        ({"bays": {"3bay_north": {"cameras": {"a": "C_4", "b": "C_4"}}}}, "bays.3bay_north", "stand for C_4"),
        ({"bays": {"3bay_north": {"floor": {"along": "+y"}}}}, "bays.3bay_north.floor", "same axis"),
        ({"bays": {"3bay_north": {"name": "b"}, "b": {}}}, "", "two of them have the old name b"),
        ({"compare": {"slots_both": 1.5}}, "compare.slots_both", "less than or equal"),
        ({"bridge": {"backlog": 0}}, "bridge.backlog", "greater than"),
        ({"bridge": {"wait_s": 1e300}}, "bridge.wait_s", "less than"),
        ({"redis": {"expires_s": 10**12}}, "redis.expires_s", "less than"),
        ({"redis": {"last_key": "bay_observation:owner:{bay}"}}, "redis", "owner_key is the same key"),
        ({"redis": {"old_side": "both"}}, "redis.old_side", "'script' or 'by_hand'"),
        ({"redis": {"field": "all"}}, "", "the frames of a batch have one place"),
        ({"frame": {"frames": "images"}}, "", "is no camera's"),
        ({"batch_id": {"time": "%Y%m%d-%H%M%-S"}}, "batch_id", "does not read back"),
        ({"batch_id": {"time": "%Y%m%d-%H%M %Q"}}, "batch_id", "does not read back"),
        ({"units": {"time": "%H:%M"}}, "units", "names no whole time"),
        ({"units": {"time": "%Q"}}, "units", "names no whole time"),
        ({"message": {"status": "batch_id"}}, "message", "batch_id is the same place as batch_id"),
        ({"message": {"constants": {"status.text": "x"}}}, "message", "status.text is the same place as status"),
        ({"frame": {"captured_at": "camera_name.at"}}, "frame", "or lies within it"),
        ({"object": {"stage_confidence": "confidence"}}, "object", "write null"),
    ],
)
def test_a_wrong_mapping_is_refused_with_line_key_and_reason(tmp_path, changes, line_key, reason):
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(SHIPPED.read_text()), changes)))
    with pytest.raises(ConfigError) as refused:
        load_mapping(path)
    assert str(refused.value).startswith(f"{path}:")
    assert line_key in str(refused.value)
    assert reason in str(refused.value)


def test_a_value_is_not_repeated_in_a_refusal(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text(SHIPPED.read_text() + "password: s3cret\n")
    with pytest.raises(ConfigError) as refused:
        load_mapping(path)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a: {", b"a: 1\na: 2\n", b"\xff\xfe", b"a: 2025-01-01\n"])
def test_what_is_no_mapping_at_all_is_refused_by_name(tmp_path, content):
    path = tmp_path / "mapping.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mapping\.yaml"):
        load_mapping(path)


def test_a_bay_that_is_not_named_has_no_old_name():
    mapping: Mapping = load_mapping(SHIPPED)
    assert mapping.old_name("3bay_north") == "3bay_north"
    with pytest.raises(ConfigError, match="add it under bays"):
        mapping.old_name("9bay")
