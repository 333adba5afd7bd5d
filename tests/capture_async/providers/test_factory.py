import os
import subprocess
import sys

import pytest

from bay_observation.errors import ConfigError
from bays import BayConfig, load_bay, models
from bays.provider_configs import installed_providers
from capture_async import ImageProvider, ImageProviderFactory
from capture_async.providers.factory import provider_for
from capture_async.providers.file import FileImageProvider
from capture_async.providers.onvif import OnvifImageProvider


class NvrProvider(ImageProvider):
    def __init__(self, channel: int = 1) -> None:
        self.channel = channel

    async def get_images(self, reference_time, cameras, bay_id):
        return []


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(ImageProviderFactory, "_providers", dict(ImageProviderFactory._providers))
    monkeypatch.setattr(models, "known_providers", set(models.known_providers))
    return ImageProviderFactory


def test_built_in_providers():
    assert isinstance(ImageProviderFactory.create("onvif", timeout=3), OnvifImageProvider)
    assert isinstance(ImageProviderFactory.create("file", base_path="/nowhere"), FileImageProvider)


@pytest.mark.slow(1)
def test_a_registered_provider_can_stand_in_a_bay_s_file(registry):
    bay = load_bay("demo_bay").model_dump(by_alias=True)
    bay |= {"image_provider": "nvr", "operating_hours": [], "skip_times": []}
    with pytest.raises(ValueError, match="unknown image provider"):
        BayConfig.model_validate(bay)
    registry.register("nvr", NvrProvider)
    assert BayConfig.model_validate(bay).image_provider == "nvr"
    provider = registry.create("nvr", channel=4)
    assert isinstance(provider, NvrProvider)
    assert provider.channel == 4


@pytest.mark.parametrize("thing", [object, int, NvrProvider(), "capture_async"])
def test_only_providers_are_registered(registry, thing):
    with pytest.raises(TypeError, match="ImageProvider"):
        registry.register("thing", thing)
    assert "thing" not in models.known_providers


def test_a_name_is_not_taken_twice(registry):
    registry.register("nvr", NvrProvider)
    registry.register("nvr", NvrProvider)
    with pytest.raises(ConfigError, match="onvif"):
        registry.register("onvif", NvrProvider)


def test_unknown_name_and_unknown_keys():
    with pytest.raises(ConfigError, match="'ftp'; known are file, http, onvif, rtsp"):
        ImageProviderFactory.create("ftp")
    with pytest.raises(ConfigError, match=r"'hours'.*its keys are: base_path, time_tolerance_hours"):
        ImageProviderFactory.create("file", base_path="/x", hours=3)
    with pytest.raises(ConfigError, match="base_path"):
        ImageProviderFactory.create("file")


def test_config_that_does_not_fit_the_provider():
    bay = load_bay("demo_bay")
    wrong = bay.model_copy(update={"image_provider_config": {"timeuot": 10}})
    with pytest.raises(ConfigError, match=r"bay demo_bay: .*timeuot.*its keys are: timeout, max_per_second"):
        provider_for(wrong, None)


def test_a_login_in_the_bay_s_file_is_refused():
    bay = load_bay("demo_bay")
    wrong = bay.model_copy(update={"image_provider_config": {"credentials": "admin:hunter2"}})
    with pytest.raises(ConfigError, match="onvif_demo_bay") as caught:
        provider_for(wrong, None)
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def installed(tmp_path, monkeypatch, registry):
    """A package in a folder of its own that names its provider by an entry point."""
    (tmp_path / "night.py").write_text(
        "from capture_async import ImageProvider\n"
        "class NightArchive(ImageProvider):\n"
        "    async def get_images(self, reference_time, cameras, bay_id):\n"
        "        return []\n"
    )
    metadata = tmp_path / "night-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: night\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[bay_observation.image_providers]\nnight_archive = night:NightArchive\nlost = night:Nothing\n"
        "odd = night:__name__\nonvif = night:NightArchive\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed_providers.cache_clear()
    yield tmp_path
    installed_providers.cache_clear()


def test_an_installed_package_s_provider_is_known_without_a_call(installed, make_bay):
    bay = make_bay(image_provider="night_archive", image_provider_config={})
    assert type(provider_for(bay, None)).__name__ == "NightArchive"


def test_an_installed_package_takes_no_built_in_name(installed):
    assert ImageProviderFactory.provider_class("onvif") is OnvifImageProvider


@pytest.mark.parametrize(("name", "reason"), [("lost", "night:Nothing: .*Nothing"), ("odd", "is no class derived")])
def test_an_entry_point_that_leads_nowhere_is_named(installed, name, reason):
    with pytest.raises(ConfigError, match=f"image provider '{name}' of entry point .*{reason}"):
        ImageProviderFactory.provider_class(name)


def test_an_unknown_name_lists_what_is_installed_as_well(installed, make_bay):
    with pytest.raises(ConfigError, match=r"known are file, http, lost, night_archive"):
        make_bay(image_provider="nightarchive", image_provider_config={})


@pytest.mark.slow(2)
def test_commands_outside_airflow_know_it(installed, make_bay, bays_folder):
    make_bay("yard", image_provider="night_archive", image_provider_config={})
    environment = os.environ | {"PYTHONPATH": str(installed), "BAYS_PATH": str(bays_folder)}
    command = [sys.executable, "-m", "bays", "validate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
