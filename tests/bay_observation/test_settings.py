import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bay_observation import settings
from bay_observation.errors import ConfigError

PROJECT = Path(__file__).parents[2]
PRODUCT = (
    "bay_observation", "bays", "artifacts", "capture_async", "inference", "fusion", "tracking", "triggers", "operators",
    "dags", "dashboard",
)  # fmt: skip
# They set variables that a library reads when it is imported; they read none for themselves.
SETTING_FOR_LIBRARIES = {"inference/runtime.py", "capture_async/rtsp/key_frame.py", "bay_observation/cli.py"}


def test_the_page_is_what_the_settings_say():
    page = (PROJECT / "docs" / "configuration.md").read_text("utf-8")
    assert page == settings.document(), "python -m bay_observation.settings > docs/configuration.md"


def test_the_page_lists_every_setting():
    declared = {value.name for value in vars(settings).values() if isinstance(value, settings.Setting)}
    assert declared <= {one.name for group in settings.GROUPS.values() for one in group}


@pytest.mark.slow(1)
def test_no_other_file_of_the_product_reads_the_environment():
    found = set()
    for package in PRODUCT:
        for path in (PROJECT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
                    found.add(path.relative_to(PROJECT).as_posix())
    assert found <= {"bay_observation/settings.py", *SETTING_FOR_LIBRARIES}


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (settings.STORE_TIMEOUT, None, 20.0),
        (settings.STORE_TIMEOUT, "", 20.0),
        (settings.STORE_TIMEOUT, "1.5", 1.5),
        (settings.STORE_MARKER, "required", True),
        (settings.STORE_MARKER, "off", False),
        (settings.BAYS_ENABLED, None, None),
        (settings.BAYS_ENABLED, "", ()),
        (settings.BAYS_ENABLED, "a, b c", ("a", "b", "c")),
        (settings.BAYS_SCHEDULE, None, True),
        (settings.BAYS_SCHEDULE, "off", False),
        (settings.BAYS_SCHEDULE, "until 2025-07-02T08:00+00:00", datetime(2025, 7, 2, 8, tzinfo=UTC)),
        (settings.HISTORY_DB, None, None),
        (settings.camera_connection("3bay_north"), "{}", "{}"),
    ],
)
def test_a_value(setting, text, value):
    assert setting.read({} if text is None else {setting.name: text}) == value


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (settings.STORE_TIMEOUT, "0"),
        (settings.STORE_TIMEOUT, "-1"),
        (settings.STORE_TIMEOUT, "inf"),
        (settings.STORE_TIMEOUT, "nan"),
        (settings.STORE_TIMEOUT, "soon"),
        (settings.STORE_MARKER, "yes"),
        (settings.BAYS_SCHEDULE, "until 2025-07-02T08:00"),
        (settings.BAYS_SCHEDULE, "until soon"),
        (settings.BAYS_SCHEDULE, "daily"),
    ],
)
def test_another_text_is_refused_by_name(setting, text):
    with pytest.raises(ConfigError, match=rf"^{setting.name}={text}: (give|write) "):
        setting.read({setting.name: text})


def test_the_process_own_environment_is_read_when_it_is_asked(monkeypatch):
    monkeypatch.setenv("STORE_TIMEOUT", "7")
    assert settings.STORE_TIMEOUT.read() == 7
