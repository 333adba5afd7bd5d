"""A bay with a lively day behind it, for the dashboard to show: history, floor plans, and frames of its newest slots.

A simulated yard as fusion would report it goes through the tracker into the history. One camera is off
in the last hours, a few slots are lost. The newest slots also have rendered frames, with outlines as
perfect models would see them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from shapely import MultiPolygon

from artifacts import ArtifactStore
from bays import BayConfig, batch_id
from bays.camera_model import CameraModel
from capture_async.types import CameraFailure, CaptureBatch, CapturedImage, FailureReason
from fusion.blocks import area_of
from fusion.scene import build_scene
from fusion.types import FusedBlock, FusionResult
from fusion.visibility import unseen_floor
from inference.types import CameraObservation, DetectedObject, Observation
from lab.simulation.labels import label_frame
from lab.simulation.objects import SimulatedBlock
from lab.simulation.rendering import FrameSource, Renderer
from lab.simulation.yard import Yard, YardState
from tracking import Tracker
from tracking.history import BatchOutcome, History, TrackedBatch
from tracking.history.alerts import Alert, Mute, add_mute, begin_alert, end_alert
from tracking.types import TrackerState

OFF = "D_7"
"""The camera that is off in the last hours."""

SLOT = timedelta(minutes=10)
_HOUR = timedelta(hours=1)
_LATE = "Bay {bay}: in 3 slots of the last hour, frames were taken over a minute late"
_OFF_SLOTS = 9
_LOST = 0.03
_MISSED = 0.02
_JITTER_M = 0.05
_BUSY = 3.0
_OWN_GROUND_M = 0.3


@dataclass(frozen=True)
class LivelyBay:
    """What a bay's day is made of.

    Attributes:
        bay: with pose and intrinsics of its cameras.
        seed: of the yard and of what goes wrong.
        newest: the last slot (aware).
        slots: how many there are.
        framed: how many of the newest slots have frames.
    """

    bay: BayConfig
    seed: int
    newest: datetime
    slots: int = 144
    framed: int = 0
    yard: Yard = field(init=False)

    def __post_init__(self) -> None:
        start = self.newest - self.slots * SLOT
        yard = Yard(self.bay, seed=self.seed, blocks=26, start=start, activity=_BUSY)
        object.__setattr__(self, "yard", yard)

    def fill(self, store: ArtifactStore, history: History) -> None:
        """Write the day: history, floor plans and frames."""
        plans = self._plans()
        with history.writer(self.bay.bay_id) as writer:
            writer.replace(None, self._tracked(store, plans))
        planned = {plan.slot for plan in plans}
        for slot, off in self._times():
            failures = dict.fromkeys(off, FailureReason.TIMED_OUT.value)
            history.record(self.bay.bay_id, slot, BatchOutcome.CAPTURED, cameras=self._working(off), failures=failures)
            if slot not in planned:
                why = "the inference server did not answer"
                history.record(self.bay.bay_id, slot, BatchOutcome.INFERENCE_FAILED, why)
        for plan in plans[len(plans) - self.framed :]:
            self._add_frames(store, plan)

    def _times(self) -> list[tuple[datetime, tuple[str, ...]]]:
        """The slots, and the cameras that are off in each."""
        begin = self.newest - (self.slots - 1) * SLOT
        off_from = self.slots - _OFF_SLOTS
        return [(begin + number * SLOT, (OFF,) if number >= off_from else ()) for number in range(self.slots)]

    def _working(self, off: Sequence[str]) -> tuple[str, ...]:
        return tuple(camera.name for camera in self.bay.fusion_cameras if camera.name not in off)

    def _plans(self) -> list[FusionResult]:
        dice = np.random.default_rng([self.seed, 7])
        hidden = _Hidden(self.bay)
        plans = []
        for slot, off in self._times():
            blocks = self.yard.at(slot).blocks
            working = self._working(off)
            found = tuple(self._measured(block, working, dice) for block in blocks if dice.random() >= _MISSED)
            if dice.random() < _LOST and slot != self.newest:
                continue
            name = batch_id(self.bay.bay_id, slot)
            plans.append(FusionResult(name, self.bay.bay_id, found, hidden.of(blocks, working), working, off))
        return plans

    def _measured(self, block: SimulatedBlock, working: Sequence[str], dice: np.random.Generator) -> FusedBlock:
        outline = shapely.affinity.translate(block.footprint, *dice.normal(0, _JITTER_M, 2))
        corners = np.column_stack([block.ring, np.zeros(4)])
        cameras = tuple(name for name in working if _in_frame(self.bay, name, corners))
        return FusedBlock(
            class_name=block.class_name,
            footprint=outline,
            height_m=block.height_m,
            area=area_of(outline, self.bay),
            stage=block.stage,
            confidence=float(dice.uniform(0.6, 1.0)),
            cameras=cameras,
            work={"welder": 1} if dice.random() < 0.1 else {},
            position_std_m=_JITTER_M,
            stage_confidence=0.9,
        )

    def _tracked(self, store: ArtifactStore, plans: Sequence[FusionResult]) -> list[TrackedBatch]:
        state: TrackerState | None = None
        tracked = []
        for plan in plans:
            store.save("fusion", plan.bay_id, plan.batch_id, plan)
            result = Tracker(self.bay, state).update(plan)
            state = result.state
            reference = store.save("tracking", plan.bay_id, plan.batch_id, result)
            tracked.append(TrackedBatch(result, reference.sha256, plan.cameras, plan.missing_cameras))
        return tracked

    def _add_frames(self, store: ArtifactStore, plan: FusionResult) -> None:
        renderer = Renderer(self.bay)
        frames, state = FrameSource(self.yard, renderer), self.yard.at(plan.slot)
        bay_id, name = plan.bay_id, plan.batch_id
        images = tuple(CapturedImage(camera, bay_id, plan.slot, frames(camera, plan.slot)) for camera in plan.cameras)
        failures = tuple(
            CameraFailure(camera, FailureReason.TIMED_OUT, "no answer in 10 s") for camera in plan.missing_cameras
        )
        seen = tuple(_seen(renderer, camera, state, plan.slot) for camera in plan.cameras)
        store.save("capture", bay_id, name, CaptureBatch(name, bay_id, images, failures))
        store.save(
            "observation",
            bay_id,
            name,
            Observation(name, bay_id, seen, dict.fromkeys(plan.missing_cameras, "timed out")),
        )


class _Hidden:
    """Floor that no working camera sees, worked out once for each floor plan and set of cameras."""

    def __init__(self, bay: BayConfig) -> None:
        self._bay = bay
        self._known: dict[tuple[object, ...], MultiPolygon] = {}

    def of(self, blocks: Sequence[SimulatedBlock], working: tuple[str, ...]) -> MultiPolygon:
        key = (working, *((block.block_id, block.center, block.yaw_deg) for block in blocks))
        if key not in self._known:
            frames = tuple(
                CameraObservation(name, datetime.min.replace(tzinfo=UTC), _size(self._bay, name), ())
                for name in working
            )
            scene = build_scene(Observation("", self._bay.bay_id, frames), self._bay)
            boxes = np.array(
                [[*b.center, b.width_m, b.depth_m, float(np.radians(b.yaw_deg)), b.height_m] for b in blocks]
            ).reshape(-1, 6)
            unseen = unseen_floor(scene, self._bay, boxes)
            own = shapely.union_all([block.footprint.buffer(_OWN_GROUND_M) for block in blocks])
            parts = [part for part in shapely.get_parts(unseen.difference(own)) if isinstance(part, shapely.Polygon)]
            self._known[key] = MultiPolygon(parts)
        return self._known[key]


def _in_frame(bay: BayConfig, camera: str, corners: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    model = CameraModel.of(bay.camera(camera))
    pixels, valid = model.project(corners)
    return bool((model.inside(pixels) & valid).mean() >= 0.5)


def _size(bay: BayConfig, camera: str) -> tuple[int, int]:
    return CameraModel.of(bay.camera(camera)).size


def _seen(renderer: Renderer, camera: str, state: YardState, slot: datetime) -> CameraObservation:
    objects = tuple(
        DetectedObject(label.class_name, 0.95, label.box, label.polygon, label.stage, 0.9 if label.stage else 0.0)
        for label in label_frame(renderer, camera, state)
        if len(label.polygon) >= 3
    )
    return CameraObservation(camera, slot, _size(renderer.bay, camera), objects)


def raise_alerts(history: History, bay_id: str, now: datetime) -> None:
    """What the monitoring would say now: an alert to be taken over, one that is over, one of the whole yard; a mute."""
    text = f"Bay {bay_id}, camera {OFF}: no frame in 9 captures"
    off = Alert("a1" * 8, now - _HOUR, "CameraDown", "warning", bay_id, {"camera": OFF}, text)
    late = Alert("b2" * 8, now - 3 * _HOUR, "FramesLate", "warning", bay_id, {}, _LATE.format(bay=bay_id))
    disk = Alert("c3" * 8, now - 2 * _HOUR, "DiskFillsUp", "critical", "", {}, "The storage's disk is full in 4 days")
    for alert in (off, late, disk):
        begin_alert(history, alert, now)
    end_alert(history, late.fingerprint, now - 2 * _HOUR)
    add_mute(history, Mute(now, now + 8 * _HOUR, "kim", bay_id, "CameraDrifted", "C_4 is exchanged"))
