"""What Airflow shows of this distribution (`apache_airflow_provider` entry point)."""

from typing import Any

from bay_observation import __version__

_NAME = "Bay Observation"


def get_provider_info() -> dict[str, Any]:
    """Describe the distribution in the form of Airflow's provider schema."""
    return {
        "package-name": "bay-observation",
        "name": _NAME,
        "description": "Capture, inference, fusion and tracking of ship blocks, bay by bay.",
        "versions": [__version__],
        "integrations": [{"integration-name": _NAME, "tags": ["service"]}],
        "operators": [{"integration-name": _NAME, "python-modules": ["operators"]}],
        "sensors": [{"integration-name": _NAME, "python-modules": ["operators.sensors"]}],
        "triggers": [{"integration-name": _NAME, "python-modules": ["triggers"]}],
        "hooks": [{"integration-name": _NAME, "python-modules": ["triggers.onvif_hook"]}],
        "notifications": ["dashboard.alerting.notifier.ChannelNotifier"],
        "asset-uris": [{"schemes": ["tracking"], "handler": None}],
        "connection-types": [
            {
                "connection-type": "onvif",
                "hook-name": "ONVIF cameras of a bay",
                "hook-class-name": "triggers.onvif_hook.OnvifHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": {
                        "login": "Login at the cameras",
                        "host": "Camera that Test asks",
                        "port": "Its port",
                    },
                    "placeholders": {
                        "host": "address of one of the bay's cameras; for Test alone",
                        "login": "one login for all cameras of the bay",
                    },
                },
            }
        ],
    }
