"""Every error that this project raises on purpose, in one tree.

    BayObservationError
    ├── ConfigError        a bay's YAML file, an environment variable, a command's argument
    ├── ArtifactError      a file of the store is missing, damaged, foreign or outdated
    │   ├── MissingArtifactError      nothing is published under that name, or it is not readable here yet
    │   ├── WrongArtifactError        a file is there and is not what was published: waiting does not help
    │   ├── StoreUnavailableError     the store itself fails: full, read-only, stale, absent, hanging, ...
    │   └── SpoolError                nor does the observer's own disk take what the store does not
    ├── CaptureError       a bay could not be captured (single cameras have outcomes, not errors)
    ├── InferenceError     a checkpoint cannot be used, or a model failed
    ├── DatasetError       pictures or labels cannot be read, or do not belong together
    ├── FusionError        an observation does not fit the bay
    ├── CalibrationError   points from which a camera cannot be calibrated
    │   └── UncertainCalibrationError   points that may be another camera's as well: which, they do not say
    ├── TrackingError      a fusion result does not fit the tracker's state
    │   └── LateBatchError     a batch cannot be entered where it belongs; the history keeps what it has
    ├── HistoryError       the history does not hold what is asked, or does not fit what is written
    │   ├── NeverTrackedError         a slot that is waited for will have no tracks
    │   ├── NotObservedError          nothing of the bay, or of the time that is asked about, was observed yet
    │   └── HistoryUnavailableError   its database cannot be reached, or its schema is another version's
    ├── DeliveryError      no receiver has taken a message of an alert or an event
    ├── AirflowUnavailableError   Airflow's database does not answer on this host
    ├── BacktestError      a stored day cannot be run again, or a stage of it failed
    ├── SimulationError    the simulated yard cannot be built or served
    └── ClusterError       the cluster on one machine cannot be built, or a service of it does not answer

The message names the thing (file, key, camera, batch) and says what to do next.
What went wrong underneath is chained with ``raise ... from``.
"""


class BayObservationError(Exception):
    """Base of every error of this project."""


class ConfigError(BayObservationError):
    """A configuration is wrong: the message names file, key and reason."""


class ArtifactError(BayObservationError):
    """An artifact cannot be written, or must not be read: the message names its path."""


class MissingArtifactError(ArtifactError):
    """Nothing is published under that name, or this host's mount does not show it yet."""


class WrongArtifactError(ArtifactError):
    """A file is there and is not what was published: damaged, foreign, outdated, or replaced by a later run."""


class FileTooLargeError(WrongArtifactError):
    """A file has more bytes than it may have; none of them was read. `size` is how many it has."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class StoreUnavailableError(ArtifactError):
    """The shared store cannot be used now: the message names the path and the remedy.

    Attributes:
        fault: which way it fails, one of `artifacts.StoreFault`.
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault

    def __reduce__(self) -> "tuple[type[StoreUnavailableError], tuple[str, str]]":
        return type(self), (str(self), self.fault)


class SpoolError(ArtifactError):
    """The spool on the observer's own disk is full or cannot be written: the message says what waits in it."""


class CaptureError(BayObservationError):
    """A whole capture failed or was refused before a camera was asked."""


class InferenceError(BayObservationError):
    """A model could not be loaded or could not be run."""


class DatasetError(BayObservationError):
    """A data set cannot be read or written: the message names the file, and the line or picture in it."""


class FusionError(BayObservationError):
    """An observation cannot be fused for this bay."""


class CalibrationError(BayObservationError):
    """A camera cannot be calibrated from these points: the message names the point, or what is missing."""


class UncertainCalibrationError(CalibrationError):
    """It cannot be told from these points where the camera hangs: the message says what would decide it."""


class TrackingError(BayObservationError):
    """A fusion result cannot be tracked from this state."""


class LateBatchError(TrackingError):
    """A batch cannot be entered where it belongs: what it needs is gone, or a person withdrew it. Nothing changes."""


class HistoryError(BayObservationError):
    """The history has no answer to a question, or what is to be written does not follow from it."""


class QuestionError(HistoryError):
    """A question names what there is not, or a time that is no moment."""


class NotObservedError(HistoryError):
    """Nothing is known of the time that is asked about, which is another answer than that nothing was there."""


class HistoryUnavailableError(HistoryError):
    """The history's database cannot be used: not reachable, no driver, or a schema of another version."""


class AirflowUnavailableError(BayObservationError):
    """Airflow's own database cannot be asked from this host: it does not answer, or is not for this host."""


class DeliveryError(BayObservationError):
    """No receiver has taken a message: it names the channel, and no address, which may hold a token."""


class NeverTrackedError(HistoryError):
    """A slot has no tracks and will have none: its bay was closed, or its batch was skipped or withdrawn."""


class BacktestError(BayObservationError):
    """A stored day cannot be run again: there are no frames of it, or its runs do not end."""


class SimulationError(BayObservationError):
    """The simulated yard cannot be built, rendered or served."""


class ClusterError(BayObservationError):
    """The cluster on one machine cannot be built, or a service of it does not answer."""
