"""Each camera of a bay in turn is knocked, in an empty hall: do its floor marks say so, and of no other camera?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bays import BayConfig, Camera
from fusion.pose_check import PoseCheck, PoseVerdict
from fusion.witness_check import check_witnesses
from fusion.witnesses import KeptMark, Picture, grey, keep_marks
from lab.evaluation.pose_check import turned
from lab.simulation.rendering import Renderer
from lab.simulation.yard import DEFAULT_START, Yard

# An hour, as `camera keep-witnesses` takes, and the hours that `camera check-poses` looks at, each by itself, in
# other light: the same afternoon, and the next morning.
_HOUR = [timedelta(minutes=minutes) for minutes in range(0, 70, 10)]
_LATER = (timedelta(hours=6), timedelta(hours=23))
_KNOCKED = "-knocked"


@dataclass(frozen=True)
class Knocked:
    """What the marks say of every camera while one is knocked; `found` is whether they say it of that one each time."""

    camera: str
    found: bool
    accused: tuple[str, ...]
    undecided: tuple[str, ...]


def knocked_cameras(bay: BayConfig, seed: int, angle_deg: float) -> Iterator[Knocked]:
    """Each camera of the bay is turned about a random axis; no block stands in the hall.

    Args:
        bay: with witnesses; its poses are the true ones.
        seed: of the yard and of the axes.
        angle_deg: of the turn.
    """
    yard = Yard(bay, seed, blocks=0)
    names = [camera.name for camera in bay.fusion_cameras]
    renderer = Renderer(_with_knocked(bay, angle_deg, np.random.default_rng([seed, 12])))

    def hour(name: str, begins: datetime) -> list[Picture]:
        return [_frame(renderer, yard, name, begins + after) for after in _HOUR]

    kept = {name: keep_marks(bay, bay.camera(name), hour(name, DEFAULT_START))[0] for name in names}
    moments = [DEFAULT_START + later for later in _LATER]
    unmoved = [check_witnesses(bay, kept, {name: hour(name, moment) for name in names}) for moment in moments]
    for name in names:
        now = [_of(bay, name, kept, hour(name + _KNOCKED, moment)) for moment in moments]
        yield _outcome(name, [check for checks in unmoved for check in checks if check.camera != name], now)


def _with_knocked(bay: BayConfig, angle_deg: float, rng: np.random.Generator) -> BayConfig:
    """The bay with each camera once more, turned about an axis of its own."""

    def knocked(camera: Camera) -> Camera:
        axis = rng.normal(size=3)
        return turned(camera, axis * angle_deg / np.linalg.norm(axis)).model_copy(
            update={"name": camera.name + _KNOCKED}
        )

    return bay.model_copy(update={"cameras": (*bay.cameras, *map(knocked, bay.fusion_cameras))})


def _of(bay: BayConfig, name: str, kept: Mapping[str, list[KeptMark]], frames: list[Picture]) -> PoseCheck:
    checks = check_witnesses(bay, kept, {name: frames})
    return next(check for check in checks if check.camera == name)


def _outcome(name: str, others: Sequence[PoseCheck], of_knocked: Sequence[PoseCheck]) -> Knocked:
    def with_verdict(checks: Iterable[PoseCheck], verdict: PoseVerdict) -> tuple[str, ...]:
        return tuple(sorted({check.camera for check in checks if check.verdict is verdict}))

    return Knocked(
        name,
        all(check.verdict is PoseVerdict.OUT_OF_POSE for check in of_knocked),
        with_verdict(others, PoseVerdict.OUT_OF_POSE),
        with_verdict([*others, *of_knocked], PoseVerdict.UNDECIDED),
    )


def _frame(renderer: Renderer, yard: Yard, name: str, moment: datetime) -> Picture:
    """As the camera sends it: through JPEG."""
    return grey(renderer.jpeg(name, yard.at(moment)))
