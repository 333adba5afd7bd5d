"""What is wrong with labels before anything is trained on them."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bay_observation.commands import counted
from bay_observation.errors import DatasetError
from inference.class_names import near_misses
from inference.datasets.types import Dataset, LabelledFrame, LabelledObject
from inference.datasets.yolo import picture_size
from inference.types import CLASSES, STAGES, TRACKED_CLASSES

_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing about a data set: an error keeps it from being imported, a warning does not."""

    severity: Literal["error", "warning"]
    text: str


def renamed(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """The data set with classes and stages under other names."""

    def in_our_words(thing: LabelledObject) -> LabelledObject:
        stage = None if thing.stage is None else names.get(thing.stage, thing.stage)
        return replace(thing, class_name=names.get(thing.class_name, thing.class_name), stage=stage)

    frames = (replace(frame, objects=tuple(map(in_our_words, frame.objects))) for frame in dataset.frames)
    return replace(dataset, frames=tuple(frames))


def within_frames(dataset: Dataset) -> Dataset:
    """The data set with every object cut to its frame; what lies outside is left out."""
    frames = []
    for frame in dataset.frames:
        inside = (thing.within(frame.size) for thing in frame.objects)
        frames.append(replace(frame, objects=tuple(thing for thing in inside if thing is not None)))
    return replace(dataset, frames=tuple(frames))


def findings(dataset: Dataset, stages: Sequence[str] | None = None) -> list[Finding]:
    """Everything that is wrong or doubtful with a data set.

    Args:
        dataset: as it was read.
        stages: that the stage classifier knows; the shipped one's when left out.
    """
    return [
        *_of_names("class", _counted(thing.class_name for thing in _things(dataset)), CLASSES),
        *_of_names("stage", _counted(t.stage for t in _things(dataset) if t.stage is not None), stages or STAGES),
        *_of_pictures(dataset),
        *_of_boxes(dataset),
        *_of_tracked(dataset),
        *(Finding("warning", remark) for remark in dataset.remarks),
    ]


def refuse_other_spellings(frames: Sequence[LabelledFrame], classes: Sequence[str]) -> None:
    """Refuse labels of a known class in another spelling: its objects would be taught, or scored, as background.

    Raises:
        DatasetError: there are some.
    """
    counts = Counter(thing.class_name for frame in frames for thing in frame.objects)
    if near := near_misses(list(counts), classes):
        named = ", ".join(f"{name!r} ({_objects(counts[name])}) is {meant!r}" for name, meant in near.items())
        renamed = " ".join(_rename(name, meant) for name, meant in near.items())
        raise DatasetError(
            f"classes in another spelling: {named}; write the labels anew with `bay-observation models import` and"
            f" {renamed}"
        )


def _objects(count: int) -> str:
    return counted(count, "object")


def _rename(name: str, meant: str) -> str:
    """The option as a shell takes it."""
    return f"--rename {shlex.quote(f'{name}={meant}')}"


def _of_names(what: str, counts: Mapping[str, int], known: Sequence[str]) -> Iterator[Finding]:
    near = near_misses(list(counts), known)
    for name, meant in near.items():
        yield Finding(
            "error",
            f"{what} {name!r} ({_objects(counts[name])}) is {meant!r} in another spelling: {_rename(name, meant)}",
        )
    others = [f"{name} ({count})" for name, count in counts.items() if name not in known and name not in near]
    if others:
        used = "later stages do not use them" if what == "class" else "the bay's models.stages must list them"
        yield Finding("warning", f"{what} names that are not ours: {', '.join(others)}; {used}")


def _of_pictures(dataset: Dataset) -> Iterator[Finding]:
    if not dataset.frames:
        yield Finding("error", "there is no frame in it")
    doubled = [name for name, count in Counter(frame.name for frame in dataset.frames).items() if count > 1]
    if doubled:
        yield Finding("error", f"pictures that are labelled twice: {_some(doubled)}")
    for frame in dataset.frames:
        try:
            size = _size(frame)
        except DatasetError as error:
            yield Finding("error", str(error))
            continue
        if size != frame.size:
            turned = "; it was labelled turned by its EXIF orientation" if size == frame.size[::-1] else ""
            labelled, real = ("x".join(map(str, one)) for one in (frame.size, size))
            yield Finding(
                "error", f"{frame.name}: its labels are for {labelled} pixels, the picture has {real}{turned}"
            )
    empty = sum(not frame.objects for frame in dataset.frames)
    if empty:
        yield Finding("warning", f"{empty} of {len(dataset.frames)} frames have no object: is nothing in them?")
    unknown = sum(frame.camera_name is None for frame in dataset.frames)
    if unknown:
        yield Finding(
            "warning", f"{unknown} of {len(dataset.frames)} frames name no camera: they are not scored by camera"
        )


def _of_boxes(dataset: Dataset) -> Iterator[Finding]:
    outside = Counter(
        frame.name for frame in dataset.frames for thing in frame.objects if thing.within(frame.size) is None
    )
    if outside:
        frames = [name if count == 1 else f"{name} ({count})" for name, count in outside.items()]
        yield Finding(
            "error", f"{_objects(outside.total())} outside of the frame, or without an extent: {_some(frames)}"
        )


def _of_tracked(dataset: Dataset) -> Iterator[Finding]:
    tracked = [thing for thing in _things(dataset) if thing.class_name in TRACKED_CLASSES]
    if without := sum(thing.polygon is None for thing in tracked):
        yield Finding(
            "warning", f"{without} of {len(tracked)} tracked objects have no outline: no segmenter learns of them"
        )
    if without := sum(thing.stage is None for thing in tracked):
        yield Finding(
            "warning", f"{without} of {len(tracked)} tracked objects have no stage: no classifier learns of them"
        )
    if not tracked and dataset.frames:
        yield Finding("error", f"no object is one of {', '.join(TRACKED_CLASSES)}: --rename THEIRS=OURS names a class")


def _size(frame: LabelledFrame) -> tuple[int, int]:
    if isinstance(frame.picture, bytes):
        height, width = frame.decode().shape[:2]
        return width, height
    return picture_size(frame.picture)


def _things(dataset: Dataset) -> Iterator[LabelledObject]:
    return (thing for frame in dataset.frames for thing in frame.objects)


def _counted(names: Iterator[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, …"
