"""What a bay is: one strict YAML file per bay, and the names that follow from its id."""

from bays.loading import bay_ids, bays_path, enabled_bays, load_bay, sound_bays
from bays.migration import Migration, Owner
from bays.models import (
    Area,
    BayConfig,
    Camera,
    Conditions,
    DailyWindow,
    EarlierCalibration,
    FloorDoubt,
    Intrinsics,
    Layout,
    Models,
    Network,
    Pose,
    Schedule,
)
from bays.naming import (
    TaskType,
    batch_id,
    dag_id,
    observer_name,
    observer_queue,
    onvif_connection_id,
    processor_name,
    processor_queue,
    slot_of,
    tracking_asset_uri,
)
from bays.notifications import ASSET_LISTENER, NOTICE_KINDS, Notification
from bays.retention import Retention
from bays.tracker_parameters import TrackerParameters

__all__ = [
    "ASSET_LISTENER",
    "NOTICE_KINDS",
    "Area",
    "BayConfig",
    "Camera",
    "Conditions",
    "DailyWindow",
    "EarlierCalibration",
    "FloorDoubt",
    "Intrinsics",
    "Layout",
    "Migration",
    "Models",
    "Network",
    "Notification",
    "Owner",
    "Pose",
    "Retention",
    "Schedule",
    "TaskType",
    "TrackerParameters",
    "batch_id",
    "bay_ids",
    "bays_path",
    "dag_id",
    "enabled_bays",
    "load_bay",
    "observer_name",
    "observer_queue",
    "onvif_connection_id",
    "processor_name",
    "processor_queue",
    "slot_of",
    "sound_bays",
    "tracking_asset_uri",
]
