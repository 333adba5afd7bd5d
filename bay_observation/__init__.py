"""Bay Observation: the package that the others share, and that imports none of them.

It holds the one error tree (`bay_observation.errors`) and the description that
Airflow reads of this distribution (`bay_observation.provider`).
"""

from bay_observation.errors import (
    ArtifactError,
    BayObservationError,
    CaptureError,
    ConfigError,
    FusionError,
    InferenceError,
    SimulationError,
    TrackingError,
)

__version__ = "0.2.0"

__all__ = [
    "ArtifactError",
    "BayObservationError",
    "CaptureError",
    "ConfigError",
    "FusionError",
    "InferenceError",
    "SimulationError",
    "TrackingError",
    "__version__",
]
