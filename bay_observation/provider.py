"""What Airflow shows of this distribution (`apache_airflow_provider` entry point)."""

from typing import Any

from bay_observation import __version__


def get_provider_info() -> dict[str, Any]:
    """Describe the distribution in the form of Airflow's provider schema."""
    return {
        "package-name": "bay-observation",
        "name": "Bay Observation",
        "description": "Capture, inference, fusion and tracking of ship blocks, bay by bay.",
        "versions": [__version__],
        "operators": [{"integration-name": "Bay Observation", "python-modules": ["operators"]}],
        "triggers": [{"integration-name": "Bay Observation", "python-modules": ["triggers"]}],
    }
