"""The floor plan of one slot as a picture. matplotlib is imported where it is used."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely
from shapely import MultiPolygon, Point, Polygon

from bays import BayConfig, Pose
from fusion.types import FusedBlock, FusionResult
from lab.evaluation.colours import FAILURE, INK, MOVE, NO_STAGE, SOFT_INK, short_id, spoken, stage_colours
from lab.evaluation.truth import TruthBlock
from tracking.types import EventKind, Track, TrackingResult, TrackStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AREA_FACES = {"work": "#FFFFFF", "turn_over": "#F3EFE6", "aisle": "#EAEDF0"}
_AREA_KINDS = {"turn_over": "turn-over", "aisle": "aisle"}
_TRUTH = "#D500F9"
_MARGIN_M = 8.5  # beside the floor, for cameras and names of areas
_RECENT = 3  # slots whose moves are shown
_STATUS_LINES: dict[TrackStatus, tuple[str, float, Literal["-", "--", ":"]]] = {  # colour, width, style
    TrackStatus.PRESENT: (INK, 1.3, "-"),
    TrackStatus.UNOBSERVED: (INK, 1.3, ":"),
    TrackStatus.MISSED: (FAILURE, 1.6, "--"),
    TrackStatus.LEAVING: (FAILURE, 1.6, ":"),
    TrackStatus.MOVED: (MOVE, 2.4, "-"),
    TrackStatus.TENTATIVE: (SOFT_INK, 1.0, "--"),
    TrackStatus.EXITED: (SOFT_INK, 1.0, "-"),
}
_STATUS_WORDS = {
    TrackStatus.PRESENT: "block, seen",
    TrackStatus.UNOBSERVED: "unobserved: nobody could see it",
    TrackStatus.MISSED: "missed: its floor was seen without it",
    TrackStatus.LEAVING: "leaving: it is gone, most likely",
    TrackStatus.MOVED: "just moved",
    TrackStatus.TENTATIVE: "perhaps new, not confirmed yet",
    TrackStatus.EXITED: "just left",
}


def floor_plan(
    bay: BayConfig,
    fusion_result: FusionResult,
    history: Sequence[TrackingResult],
    path: Path | str,
    *,
    truth: Sequence[TruthBlock] = (),
) -> Path:
    """Draw the floor of one slot: areas, tracks, unseen floor, recent moves, cameras.

    Args:
        bay: its layout, cameras and time zone.
        fusion_result: of the slot; gives unseen floor, failed cameras, and blocks that are no tracks.
        history: tracking results in slot order, the last one of this slot; the ones
            before it tell where blocks came from.
        path: of the PNG file; its folder is made.
        truth: blocks whose true outline is drawn, too.

    Returns:
        The path.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tracks = history[-1].tracks if history else ()
    colours = stage_colours([*(track.stage for track in tracks), *(block.stage for block in fusion_result.blocks)])
    width, height = bay.layout.width + 2 * _MARGIN_M, bay.layout.height + 2 * _MARGIN_M
    figure = Figure(figsize=(21, 21 * height / width + 2.3), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.035, 0.215, 0.955, 0.7))
    _draw_areas(axes, bay)
    _draw_shape(axes, fusion_result.unseen, facecolor="none", edgecolor="#AEB6BD", hatch="////", linewidth=0, zorder=2)
    for block in _untracked(fusion_result.blocks, tracks):
        _draw_untracked(axes, block)
    for track in tracks:
        _draw_track(axes, track, colours)
    _draw_corners(axes, [block.footprint for block in truth])
    moves = list(_moves(history))
    for old, new in moves:
        _draw_move(axes, old, new)
    for camera in bay.cameras:
        if camera.pose is not None:
            _draw_camera(axes, bay, camera.name, camera.pose, failed=camera.name in fusion_result.missing_cameras)
    _finish(axes, bay)
    _write_title(figure, bay, fusion_result, tracks)
    _write_legend(figure, fusion_result, tracks, colours, moves=bool(moves), truth=bool(truth))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
    return target


def _draw_areas(axes: "Axes", bay: BayConfig) -> None:
    from matplotlib.patches import Rectangle

    floor_width, floor_height = bay.layout.width, bay.layout.height
    axes.add_patch(Rectangle((0, 0), floor_width, floor_height, facecolor="#F7F8F9", edgecolor=INK, lw=1.4, zorder=0))
    by_size = sorted(bay.layout.areas.items(), key=lambda item: -_extent(item[1].x) * _extent(item[1].y))
    for name, area in by_size:
        axes.add_patch(
            Rectangle(
                (area.x[0], area.y[0]),
                _extent(area.x),
                _extent(area.y),
                facecolor=_AREA_FACES[area.kind],
                edgecolor="#B9C0C6",
                linewidth=0.8,
                zorder=1,
            )
        )
        middle = (area.x[0] + area.x[1]) / 2
        text = name if area.tracked else f"{name}\n{_AREA_KINDS[area.kind]}"
        nested = any(_holds(other, area) for key, other in bay.layout.areas.items() if key != name)
        style: dict[str, Any] = {
            "ha": "center",
            "color": INK,
            "fontsize": 11,
            "fontweight": "bold",
            "linespacing": 0.95,
        }
        if nested or (area.y[0] > 1 and area.y[1] < floor_height - 1):
            axes.text(
                area.x[0] + 0.3, area.y[1] - 0.3, name, ha="left", va="top", color=SOFT_INK, fontsize=7.5, zorder=3
            )
        elif area.y[0] <= 1:
            axes.text(middle, -0.6, text, va="top", **style)
        else:
            axes.text(middle, floor_height + 0.6, text, va="bottom", **style)


def _draw_track(axes: "Axes", track: Track, colours: dict[str, str]) -> None:
    line, width, style = _STATUS_LINES[track.status]
    face = colours.get(track.stage, NO_STAGE) if track.stage else NO_STAGE
    strength = {TrackStatus.TENTATIVE: 0.25, TrackStatus.UNOBSERVED: 0.4, TrackStatus.EXITED: 0.0}
    _draw_shape(
        axes, track.footprint, facecolor=face, edgecolor="none", alpha=strength.get(track.status, 0.85), zorder=4
    )
    _draw_shape(axes, track.footprint, facecolor="none", edgecolor=line, linewidth=width, linestyle=style, zorder=5)
    lines = [short_id(track.track_id), track.class_name.replace("_", " "), f"{track.height_m:.1f} m"]
    if track.status is TrackStatus.EXITED:
        lines = [short_id(track.track_id), "left"]
    _write_in(axes, track.footprint, lines, SOFT_INK if track.status is TrackStatus.EXITED else INK)


def _draw_untracked(axes: "Axes", block: FusedBlock) -> None:
    _draw_shape(axes, block.footprint, facecolor="#DDE1E4", edgecolor=SOFT_INK, linewidth=1.0, zorder=4)
    _write_in(axes, block.footprint, [block.class_name.replace("_", " "), f"{block.height_m:.1f} m"], SOFT_INK)


def _write_in(axes: "Axes", footprint: Polygon, lines: Sequence[str], colour: str) -> None:
    """Text in the middle of a footprint, as large as it fits: first line bold."""
    from matplotlib import patheffects

    x_from, y_from, x_to, y_to = shapely.oriented_envelope(footprint).buffer(-0.3).bounds or footprint.bounds
    longest = max(len(line) for line in lines)
    size = float(
        np.clip(min(8.6 * (x_to - x_from) / (0.62 * longest), 8.6 * (y_to - y_from) / (1.3 * len(lines))), 5.5, 10)
    )
    middle = footprint.representative_point() if not footprint.contains(footprint.centroid) else footprint.centroid
    step = size * 0.152  # metres between lines, at the figure's scale
    halo = [patheffects.withStroke(linewidth=2.0, foreground=(1, 1, 1, 0.75))]
    for index, line in enumerate(lines):
        axes.text(
            middle.x,
            middle.y + ((len(lines) - 1) / 2 - index) * step,
            line,
            ha="center",
            va="center",
            fontsize=size * (1.1 if index == 0 else 0.92),
            fontweight="bold" if index == 0 else "normal",
            color=colour,
            path_effects=halo,
            zorder=9,
        )


def _draw_corners(axes: "Axes", footprints: Iterable[Polygon]) -> None:
    """The corners of true outlines: enough to compare by, and the tracks' own outlines stay visible."""
    from matplotlib.collections import LineCollection

    lines = []
    for footprint in footprints:
        ring = shapely.get_coordinates(footprint.exterior)[:-1]
        for before, corner, after in zip(np.roll(ring, 1, axis=0), ring, np.roll(ring, -1, axis=0), strict=True):
            lines.append([corner + 0.16 * (before - corner), corner, corner + 0.16 * (after - corner)])
    axes.add_collection(LineCollection(lines, colors=_TRUTH, linewidths=1.5, zorder=7))


def _draw_move(axes: "Axes", old: Track, new: Track) -> None:
    from matplotlib.patches import FancyArrowPatch

    _draw_shape(axes, old.footprint, facecolor="none", edgecolor=MOVE, linewidth=1.0, linestyle=":", zorder=3)
    start, end = old.footprint.centroid, new.footprint.centroid
    bend = 0.08 if start.x <= end.x else -0.08
    axes.add_patch(
        FancyArrowPatch(
            (start.x, start.y),
            (end.x, end.y),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=18,
            linewidth=2.0,
            color=MOVE,
            alpha=0.6,
            shrinkB=18,
            zorder=8,
        )
    )


def _draw_camera(axes: "Axes", bay: BayConfig, name: str, pose: Pose, *, failed: bool) -> None:
    """A camera beside the edge that it hangs at, with a wedge in its viewing direction."""
    from matplotlib.patches import Wedge

    colour = FAILURE if failed else INK
    outwards = 1 if pose.y > bay.layout.height / 2 else -1
    x, y = pose.x, (bay.layout.height if outwards > 0 else 0) + outwards * 4.2
    heading = 90 - pose.pan  # pan is clockwise from +y, matplotlib's angle is counter-clockwise from +x
    axes.add_patch(
        Wedge((x, y), 2.0, heading - 28, heading + 28, facecolor=colour, alpha=0.2 if failed else 0.35, lw=0, zorder=3)
    )
    axes.plot([x], [y], marker="o", markersize=6, color=colour, zorder=4)
    if failed:
        axes.plot([x], [y], marker="x", markersize=15, markeredgewidth=2.6, color=FAILURE, zorder=5)
    axes.text(
        x,
        y + outwards * 1.3,
        f"{name}\nno picture" if failed else name,
        ha="center",
        va="bottom" if outwards > 0 else "top",
        fontsize=9,
        color=colour,
        fontweight="bold" if failed else "normal",
        linespacing=0.95,
    )


def _finish(axes: "Axes", bay: BayConfig) -> None:
    axes.set_xlim(-_MARGIN_M / 2, bay.layout.width + _MARGIN_M / 2)
    axes.set_ylim(-_MARGIN_M, bay.layout.height + _MARGIN_M)
    axes.set_aspect("equal")
    axes.set_xticks(np.arange(0, bay.layout.width + 0.1, 10))
    axes.set_yticks(np.arange(0, bay.layout.height + 0.1, 10))
    axes.set_xlabel("x along the bay, metres", color=INK, fontsize=10)
    axes.set_ylabel("y across, metres", color=INK, fontsize=10)
    axes.tick_params(labelsize=9, color=SOFT_INK, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_title(figure: Any, bay: BayConfig, fusion_result: FusionResult, tracks: Iterable[Track]) -> None:
    local = fusion_result.slot.astimezone(bay.zone)
    standing = [track for track in tracks if track.on_floor]
    hidden = sum(track.status is TrackStatus.UNOBSERVED for track in standing)
    failed = len(fusion_result.missing_cameras)
    facts = [f"{len(standing)} blocks on tracked floor" + (f", {hidden} of them unobserved" if hidden else "")]
    facts.append(f"{len(bay.cameras) - failed} of {len(bay.cameras)} cameras gave a picture")
    unseen = fusion_result.unseen.area / (bay.layout.width * bay.layout.height)
    facts.append(f"{100 * unseen:.0f} % of the floor unseen")
    figure.text(
        0.035,
        0.965,
        f"{bay.bay_id}  ·  floor plan  ·  {local:%Y-%m-%d %H:%M}",
        fontsize=19,
        fontweight="bold",
        color=INK,
        va="center",
    )
    figure.text(
        0.035, 0.927, f"{bay.timezone} time  ·  " + "  ·  ".join(facts), fontsize=12, color=SOFT_INK, va="center"
    )


def _write_legend(
    figure: Any,
    fusion_result: FusionResult,
    tracks: Sequence[Track],
    colours: dict[str, str],
    *,
    moves: bool,
    truth: bool,
) -> None:
    groups = {
        "Assembly stage": _stage_keys(tracks, colours),
        "Outline": _status_keys(tracks),
        "Marks": _mark_keys(fusion_result, tracks, moves=moves, truth=truth),
    }
    left, renderer = 0.035, figure.canvas.get_renderer()
    for title, entries in groups.items():
        legend = figure.legend(
            handles=entries,
            title=title,
            loc="upper left",
            bbox_to_anchor=(left, 0.165),
            ncols=math.ceil(len(entries) / 4),
            frameon=False,
            fontsize=10.5,
            title_fontproperties={"weight": "bold", "size": 11},
            alignment="left",
            borderaxespad=0,
            handlelength=1.8,
        )
        left = legend.get_window_extent(renderer).x1 / figure.bbox.width + 0.02
    note = "#12 is track …-000012,\nbelow it class and height"
    figure.text(0.99, 0.162, note, fontsize=10.5, color=SOFT_INK, ha="right", va="top")


def _stage_keys(tracks: Sequence[Track], colours: dict[str, str]) -> list[Any]:
    from matplotlib.patches import Patch

    keys = [Patch(facecolor=colour, alpha=0.85, label=spoken(stage)) for stage, colour in colours.items()]
    if any(track.stage is None for track in tracks):
        keys.append(Patch(facecolor=NO_STAGE, label="stage not known"))
    return keys


def _status_keys(tracks: Sequence[Track]) -> list[Any]:
    from matplotlib.patches import Patch

    used = {TrackStatus.PRESENT} | {track.status for track in tracks}
    return [
        Patch(facecolor="none", edgecolor=colour, linewidth=width, linestyle=style, label=_STATUS_WORDS[status])
        for status, (colour, width, style) in _STATUS_LINES.items()
        if status in used
    ]


def _mark_keys(fusion_result: FusionResult, tracks: Sequence[Track], *, moves: bool, truth: bool) -> list[Any]:
    """What the plan has besides tracks, each only where it occurs."""
    from matplotlib.patches import Patch

    keys = []
    if moves:
        words = f"moved in the last {_RECENT} slots"
        keys.append(_line_key(words, color=MOVE, linestyle="-", linewidth=2, marker=">", markersize=8))
    if not fusion_result.unseen.is_empty:
        keys.append(
            Patch(facecolor="none", edgecolor="#AEB6BD", hatch="////", linewidth=0, label="floor that nobody saw")
        )
    if truth:
        keys.append(_line_key("corners of the true block", color=_TRUTH, marker="$\\lrcorner$", markersize=9))
    if any(True for _ in _untracked(fusion_result.blocks, tracks)):
        keys.append(Patch(facecolor="#DDE1E4", edgecolor=SOFT_INK, label="block on floor that is not tracked"))
    keys.append(_line_key("camera", color=INK, marker="o", markersize=6))
    if fusion_result.missing_cameras:
        keys.append(_line_key("camera without picture", color=FAILURE, marker="x", markersize=10, mew=2.4))
    return keys


def _line_key(label: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"linestyle": "none", **style})


def _draw_shape(axes: "Axes", shape: Polygon | MultiPolygon, **style: Any) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    polygons = [part for part in shapely.get_parts(shape) if not part.is_empty]
    if not polygons:
        return
    rings = [ring for part in polygons for ring in (part.exterior, *part.interiors)]
    outline = Outline.make_compound_path(*(Outline(shapely.get_coordinates(ring), closed=True) for ring in rings))
    axes.add_patch(PathPatch(outline, **style))


def _moves(history: Sequence[TrackingResult]) -> Iterable[tuple[Track, Track]]:
    """Where tracks stood before they moved of late, and where they stand now."""
    if not history:
        return
    now = {track.track_id: track for track in history[-1].tracks if track.on_floor}
    recent = history[-_RECENT:]
    movers = {event.track_id for result in recent for event in result.events if event.kind is EventKind.MOVED}
    movers |= {track.track_id for track in now.values() if track.status is TrackStatus.MOVED}
    for track_id in sorted(movers & now.keys()):
        for result in reversed(history[:-1]):
            before = next((track for track in result.tracks if track.track_id == track_id), None)
            if before is not None and before.standing_since != now[track_id].standing_since:
                yield before, now[track_id]
                break


def _untracked(blocks: Iterable[FusedBlock], tracks: Iterable[Track]) -> Iterable[FusedBlock]:
    """Fused blocks that no track stands for."""
    outlines = [track.footprint for track in tracks]
    for block in blocks:
        centre: Point = block.footprint.centroid
        if not any(outline.intersects(centre) for outline in outlines):
            yield block


def _extent(span: tuple[float, float]) -> float:
    return span[1] - span[0]


def _holds(outer: Any, inner: Any) -> bool:
    return bool(
        outer.x[0] <= inner.x[0] and inner.x[1] <= outer.x[1] and outer.y[0] <= inner.y[0] and inner.y[1] <= outer.y[1]
    )
