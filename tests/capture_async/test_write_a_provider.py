"""The page docs/write_a_provider.md: its provider is taken from there and run."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bay_observation.errors import ConfigError
from bays import BayConfig, load_bay, models
from capture_async import CaptureService, FailureReason, ImageProviderFactory

PAGE = Path(__file__).parents[2] / "docs" / "write_a_provider.md"
SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


@pytest.fixture
def registered(monkeypatch):
    """Run the page's code, and undo what it registers."""
    monkeypatch.setattr(ImageProviderFactory, "_providers", dict(ImageProviderFactory._providers))
    monkeypatch.setattr(models, "known_providers", set(models.known_providers))
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})


async def test_the_page_s_provider_captures_a_bay(registered, tmp_path, frame_source):
    bay = load_bay("demo_bay").model_dump(by_alias=True)
    bay |= {"operating_hours": [], "skip_times": [], "image_provider": "night_archive"}
    bay = BayConfig.model_validate(bay | {"image_provider_config": {"folder": str(tmp_path)}})
    (tmp_path / "2025070207").mkdir()
    for camera in bay.cameras[1:]:
        (tmp_path / "2025070207" / f"{camera.name}.jpg").write_bytes(frame_source(camera.name, SLOT))
    bay = bay.model_copy(update={"capture_attempts": 1})
    async with CaptureService(bay) as service:
        batch = await service.capture(SLOT)
    assert [image.jpeg for image in batch.images] == [frame_source(image.camera_name, SLOT) for image in batch.images]
    assert len(batch.images) == 11
    assert [(failure.camera_name, failure.reason) for failure in batch.failures] == [("C_2", FailureReason.UNREACHABLE)]


@pytest.mark.parametrize(
    ("config", "named"), [({"folder": "here"}, "folder: here"), ({"foldr": "/x"}, "its keys are: folder")]
)
def test_its_configuration_is_checked(registered, config, named):
    with pytest.raises(ConfigError, match=named):
        ImageProviderFactory.create("night_archive", **config)


def test_a_provider_takes_about_twenty_lines():
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    written = [line for line in code.split("class ", 1)[1].splitlines() if line.strip()]
    assert len(written) <= 20
