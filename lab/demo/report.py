"""What the demo shows at its end: tracks and events beside the truth, and pictures of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from artifacts import ArtifactReference, ArtifactStore, Stage
from bay_observation.commands import CANNOT_TELL, DONE, FAILED, counted
from bay_observation.errors import ArtifactError
from bays import BayConfig, batch_id
from capture_async.types import CaptureBatch
from fusion.types import FusionResult
from inference.types import Observation
from lab.demo.hall import DemoSlots
from lab.evaluation import compare_day
from lab.evaluation.day import DayReport, Sighting
from lab.evaluation.events import Verdict as EventVerdict
from lab.simulation.truth import BlockTruth, truth_at, whole_views, work_events
from lab.simulation.yard import Yard
from tracking.types import EventKind, TrackingResult

_ENOUGH_CAMERAS = 2


@dataclass(frozen=True)
class Verdict:
    """The demo's two promises, in numbers.

    Attributes:
        whole: sightings of true blocks that two or more working cameras saw whole.
        missed: those of them that are not on the floor plan.
        standing_switches: track ids that changed while their block stood still.
    """

    whole: int
    missed: tuple[Sighting, ...]
    standing_switches: int

    @property
    def holds(self) -> bool:
        """Whether both promises were kept; that of blocks that were seen whole is kept by none as well."""
        return not self.missed and not self.standing_switches

    @property
    def can_tell(self) -> bool:
        """Whether there was something to keep: without a block that was seen whole, nothing is shown of the plan."""
        return self.whole > 0

    @property
    def status(self) -> int:
        """The exit status of the demo."""
        if not self.holds:
            return FAILED
        return DONE if self.can_tell else CANNOT_TELL


@dataclass(frozen=True)
class DemoDay:
    """All artifacts of the demo's slots, beside the yard's truth."""

    bay: BayConfig
    yard: Yard
    demo: DemoSlots
    captures: dict[datetime, CaptureBatch]
    observations: dict[datetime, Observation]
    floors: dict[datetime, FusionResult]
    trackings: dict[datetime, TrackingResult]

    @classmethod
    def read(cls, store: ArtifactStore, bay: BayConfig, yard: Yard, demo: DemoSlots) -> "DemoDay":
        """Read the slots' artifacts from the store.

        Raises:
            ArtifactError: one is missing or damaged.
        """

        def load(stage: Stage, slot: datetime) -> object:
            return store.load(_published(store, stage, bay.bay_id, batch_id(bay.bay_id, slot)))

        captures, observations, floors, trackings = (
            {slot: load(stage, slot) for slot in demo.slots}
            for stage in ("capture", "observation", "fusion", "tracking")
        )
        return cls(bay, yard, demo, captures, observations, floors, trackings)  # type: ignore[arg-type]

    @property
    def slots(self) -> Sequence[datetime]:
        """The slots, in order."""
        return self.demo.slots

    def truth(self, slot: datetime) -> list[BlockTruth]:
        """What truly stood in the hall when the slot's frames were taken."""
        return truth_at(self.yard, self.demo.moment(slot))

    def compare(self) -> DayReport:
        """The slots against the truth."""
        period = self.demo.moment(self.slots[0]), self.demo.moment(self.slots[-1])
        happened = self.yard.events(*period) + work_events(self.yard, *period)
        return compare_day(
            {slot: self.truth(slot) for slot in self.slots},
            self.floors,
            self.trackings,
            [replace(event, time=event.time + self.demo.later) for event in happened],
            self.bay,
        )

    def judge(self, report: DayReport) -> Verdict:
        """Count what the demo promises."""
        whole: list[Sighting] = []
        for slot in self.slots:
            working = [image.camera_name for image in self.captures[slot].images]
            views = whole_views(self.bay, self.yard.at(self.demo.moment(slot)), working)
            whole += [
                sighting
                for sighting in report.sightings
                if sighting.slot == slot
                and sum(sighting.truth.block_id in seen for seen in views.values()) >= _ENOUGH_CAMERAS
            ]
        missed = tuple(sighting for sighting in whole if not sighting.found)
        return Verdict(len(whole), missed, report.tracks.standing_switches)


def print_report(console: Console, day: DemoDay, report: DayReport, verdict: Verdict) -> None:
    """Tables of tracks and events beside the truth, then the two promises."""
    console.print(_track_table(day, report))
    console.print(_event_table(day, report))
    floor = report.floor
    console.print(
        f"Floor plan over {len(day.slots)} slots: precision {floor.precision:.3f}, recall {floor.recall:.3f},"
        f" mean IoU {floor.mean_iou:.3f}, centre error {floor.centre_error_m:.2f} m,"
        f" area {floor.area_accuracy:.3f}, stage {floor.stage_accuracy:.3f} right"
    )
    _promise(
        console,
        not verdict.missed if verdict.can_tell else None,
        f"blocks that {_ENOUGH_CAMERAS} or more working cameras saw completely: "
        f"{verdict.whole - len(verdict.missed)} of {verdict.whole} found"
        + ("" if verdict.can_tell else ": it cannot be told from these slots how right the floor plan is"),
    )
    if not verdict.can_tell:
        console.print(
            f"    no block stood whole in the frames of {_ENOUGH_CAMERAS} cameras: try more --slots, another --seed, or"
            f" cameras that see further (bay plan {day.bay.bay_id}, bay place-cameras)"
        )
    for sighting in verdict.missed:
        console.print(
            f"    missed: {sighting.truth.block_id} in {sighting.truth.area} at {_clock(day.bay, sighting.slot)}"
        )
    _promise(
        console,
        not verdict.standing_switches,
        f"track ids that changed while their block stood still: {verdict.standing_switches}",
    )
    for line in _explained(day, report):
        console.print(line, soft_wrap=True, highlight=False)


def write_pictures(folder: Path, day: DemoDay) -> list[Path]:
    """The floor plan of every slot, and the last slot's frames with what was seen in them.

    Returns:
        Paths of the last floor plan and of the contact sheet of all cameras.
    """
    from lab.evaluation.pictures import annotated_frame, contact_sheet, floor_plan

    folder.mkdir(parents=True, exist_ok=True)
    history = [day.trackings[slot] for slot in day.slots]
    for number, slot in enumerate(day.slots, start=1):
        plan = folder / f"floor_plan_{slot.astimezone(day.bay.zone):%H%M}.png"
        floor_plan(day.bay, day.floors[slot], history[:number], plan, truth=day.truth(slot))
    last = day.slots[-1]
    observations = {camera.camera_name: camera for camera in day.observations[last].cameras}
    images = {image.camera_name: image for image in day.captures[last].images}
    tracks = [track for track in day.trackings[last].tracks if track.on_floor]
    frames: dict[str, NDArray[np.uint8] | None] = dict.fromkeys(camera.name for camera in day.bay.cameras)
    for name, image in images.items():
        # The simulated slot: the cameras' own clock, which dates the frames, is this machine's.
        title = f"{name}  {last.astimezone(day.bay.zone):%Y-%m-%d %H:%M}"
        frame = annotated_frame(image.decode(), day.bay.camera(name), observations.get(name), tracks, title=title)
        _write(folder / f"camera_{name}.jpg", frame)
        frames[name] = frame
    sheet = folder / "cameras.jpg"
    _write(sheet, contact_sheet(frames))
    return [plan, sheet]


def _write(path: Path, picture: "NDArray[np.uint8]") -> None:
    import cv2

    done, content = cv2.imencode(path.suffix, picture)
    if not done:
        raise ArtifactError(f"{path}: the picture cannot be encoded")
    path.write_bytes(content.tobytes())


def _published(store: ArtifactStore, stage: Stage, bay_id: str, batch: str) -> ArtifactReference:
    reference = store.find(stage, bay_id, batch)
    if reference is None:
        raise ArtifactError(f"batch {batch} has no {stage} artifact in {store.root}")
    return reference


def _track_table(day: DemoDay, report: DayReport) -> Table:
    table = Table(title=f"{day.bay.description}: blocks, truth beside track", title_justify="left")
    for column in ("true block", "class", "stands in", "stage", "track", "tracked in", "tracked stage"):
        table.add_column(column)
    for column in ("found", "IoU", "centre error"):
        table.add_column(column, justify="right")
    by_block: dict[str, list[Sighting]] = {}
    for sighting in report.sightings:
        by_block.setdefault(sighting.truth.block_id, []).append(sighting)
    for block_id, sightings in sorted(by_block.items()):
        found = [sighting for sighting in sightings if sighting.found]
        tracks = [sighting.track for sighting in sightings if sighting.track]
        errors = [sighting.centre_error_m for sighting in found if sighting.centre_error_m is not None]
        table.add_row(
            block_id,
            sightings[-1].truth.class_name,
            _path(sighting.truth.area for sighting in sightings),
            _path(sighting.truth.stage for sighting in sightings),
            _path(track.track_id for track in tracks) or "none",
            _path(track.area for track in tracks),
            _path(track.stage for track in tracks),
            f"{len(found)}/{len(sightings)}",
            f"{sum(sighting.iou for sighting in found) / len(found):.2f}" if found else "",
            f"{sum(errors) / len(errors):.2f} m" if errors else "",
        )
    return table


def _event_table(day: DemoDay, report: DayReport) -> Table:
    table = Table(title="Events, truth beside report", title_justify="left")
    for column in ("event", "true block", "happened", "track", "reported for", "from → to", "verdict"):
        table.add_column(column)
    for event in report.comparisons:
        report_or_truth = event.report or event.truth
        what = ""
        if report_or_truth is not None:
            stages = (getattr(report_or_truth, "from_stage", None), getattr(report_or_truth, "to_stage", None))
            areas = (report_or_truth.from_area, report_or_truth.to_area)
            what = " → ".join(part or "·" for part in (stages if event.kind == "stage_changed" else areas))
        table.add_row(
            event.kind.value,
            event.block_id or "none",
            _clock(day.bay, event.truth.time) if event.truth else "",
            event.track_id or "none",
            _clock(day.bay, event.reported) if event.reported else "",
            what,
            event.verdict.value,
        )
    if any(event.verdict is EventVerdict.UNDECIDED for event in report.comparisons):
        table.caption = "undecided: happened too late to be confirmed by the last slot"
    return table


def _explained(day: DemoDay, report: DayReport) -> list[str]:
    """What words of the tables and of `history events` mean, and why they leave the exit status alone."""
    verdicts = {comparison.verdict for comparison in report.comparisons}
    found = []
    if EventVerdict.MISSED in verdicts:
        found.append(
            "missed: it happened and was not reported, as where a block leaves or comes unseen by the cameras, or"
            " shortly before the last slot"
        )
    if EventVerdict.FALSE in verdicts:
        found.append("false: it was reported and did not happen")
    if found:
        found.append("the exit status counts the two promises above: no event, missed or false, changes it")
    dismissed = sum(event.kind is EventKind.DISMISSED for one in day.trackings.values() for event in one.events)
    if dismissed:
        found.append(
            f"{counted(dismissed, 'event')} of `history events` dismissed: seen too few times to be told from a false"
            " detection, and taken back; where it was a block, its leaving is not told"
        )
    return found


def _promise(console: Console, kept: bool | None, text: str) -> None:
    """A promise with whether it was kept; None where that cannot be told."""
    mark = "[yellow]?[/yellow]" if kept is None else "[green]✔[/green]" if kept else "[red]✘[/red]"
    console.print(f"{mark} {text}")


def _path(values: object) -> str:
    """The values in order, a repeated one once."""
    path: list[str] = []
    for value in values:  # type: ignore[attr-defined]
        text = str(value) if value is not None else "?"
        if not path or path[-1] != text:
            path.append(text)
    return " → ".join(path)


def _clock(bay: BayConfig, moment: datetime) -> str:
    return f"{moment.astimezone(bay.zone):%H:%M}"
