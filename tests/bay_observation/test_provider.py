"""What Airflow shows of the distribution: `airflow providers`, the connection form."""

import importlib
import inspect
import json
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from airflow.triggers.base import BaseTrigger

from bay_observation.provider import get_provider_info

INFO = get_provider_info()


def modules(kind):
    return [importlib.import_module(name) for group in INFO[kind] for name in group["python-modules"]]


def classes(kind, base):
    found = {name for module in modules(kind) for name in vars(module).get("__all__", dir(module))}
    return {
        name
        for name in found
        for module in modules(kind)
        if inspect.isclass(one := getattr(module, name, None)) and issubclass(one, base) and not name.startswith("_")
    }


@pytest.fixture(scope="module")
def manager():
    """What the API server asks: connection forms, and hooks by connection type."""
    return ProvidersManager()


@pytest.fixture(scope="module")
def runtime():
    """What a task's process asks."""
    return ProvidersManagerTaskRuntime()


def test_it_is_of_the_form_that_airflow_wants():
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    assert [fault.message for fault in jsonschema.Draft7Validator(schema).iter_errors(INFO)] == []


def test_every_operator_sensor_trigger_and_hook_is_named():
    assert {"FusionOperator", "TrackingOperator", "SlotTrackedSensor"} <= classes("operators", BaseOperator)
    assert {"ArtifactSensor", "SlotTrackedSensor"} <= classes("sensors", BaseOperator)
    assert {"CaptureTrigger", "PublishedTrigger"} <= classes("triggers", BaseTrigger)
    assert "OnvifHook" in classes("hooks", BaseHook)


@pytest.mark.slow(2)
def test_airflow_shows_the_provider_and_its_connection_type(manager, runtime):
    assert "bay-observation" in manager.providers
    assert runtime.hooks["onvif"].hook_class_name == "triggers.onvif_hook.OnvifHook"
    assert runtime.hooks["onvif"].connection_testable
    behaviour = manager.field_behaviours["onvif"]
    assert behaviour["hidden_fields"] == ["schema", "extra"]
    assert behaviour["relabeling"]["host"] == "Camera that Test asks"


@pytest.mark.slow(1)
def test_airflow_knows_the_scheme_of_the_assets(runtime):
    assert "tracking" in runtime.asset_uri_handlers


@pytest.mark.slow(1)
def test_airflow_shows_the_notifier(manager):
    (name,) = INFO["notifications"]
    assert name in manager.notification
    module, _, notifier = name.rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), notifier), BaseNotifier)


def test_the_entry_point_is_installed():
    names = {entry.value for entry in entry_points(group="apache_airflow_provider")}
    assert "bay_observation.provider:get_provider_info" in names
