"""Gates, weights and patience of the tracker."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0, le=100)]
Ratio = Annotated[float, Field(gt=1, le=10)]
Metres = Annotated[float, Field(ge=0, le=100)]


class TrackerParameters(BaseModel):
    """How the tracker decides. Counts are in slots; a slot without a batch counts for nothing.

    Lifecycle:
        confirm_slots: sightings that make a track of a new block, and a move of a jump.
        exit_slots: slots in which the floor must be seen without the block before it has left.
        remember_slots: slots after that in which a like block at the very same place is the same block again.
        unseen_share: share of the footprint that nobody saw from which on its emptiness proves nothing.
        witnesses: of the cameras that saw the block last, those that must work for its
            absence to count; all of them where fewer saw it.

    Standing blocks (first step: by overlap of footprints):
        min_overlap: intersection over union, or four fifths of the share of the smaller
            footprint that is covered, whichever is larger.
        ignored_overlap: the same for a block that was seen in an area that tracking
            ignores: above it, it is a standing block whose area was misread.
        size_weight, height_weight: cost per unit of log-ratio of footprint areas and of heights.
        class_cost, stage_cost, tentative_cost: cost where these differ, or the track is not confirmed.
        max_standing_cost: of the sum, with one minus the overlap; above it, another block stands there.
        max_return_cost: the same for a block that exited and is found again.
        max_shared_floor: share of a footprint on a standing block from which on it is no new block.

    Jumps (second step: a block lifted by crane to another place):
        jump_side_ratio: the most by which long and short side may differ.
        jump_height_m, jump_height_share: the most by which heights may differ, metres and share of the height.
        jump_stage_cost, jump_distance_cost: cost of another stage, and of a jump as long as the bay.

    Readings:
        reading_slots: equal readings in a row that change a class, stage or area.
        reading_weight: sum of their confidences that a change of stage needs besides.

    Smoothing:
        least_std_m: of a footprint's centre; bounds how much the past weighs (see `tracking.outline`).
        shift_sigmas: standard deviations between outline and measurement from which on the block was shifted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    confirm_slots: Count = 2
    exit_slots: Count = 2
    remember_slots: Annotated[int, Field(ge=0, le=1000)] = 6
    unseen_share: Share = 0.5
    witnesses: Count = 2

    min_overlap: Share = 0.3
    ignored_overlap: Share = 0.5
    size_weight: Weight = 0.3
    height_weight: Weight = 0.5
    class_cost: Weight = 0.4
    stage_cost: Weight = 0.05
    tentative_cost: Weight = 0.1
    max_standing_cost: Weight = 1.2
    max_return_cost: Weight = 0.5
    max_shared_floor: Share = 0.5

    jump_side_ratio: Ratio = 1.2
    jump_height_m: Metres = 0.3
    jump_height_share: Share = 0.1
    jump_stage_cost: Weight = 0.15
    jump_distance_cost: Weight = 0.1

    reading_slots: Count = 2
    reading_weight: Weight = 1.0

    least_std_m: Metres = 0.02
    shift_sigmas: Weight = 4.0
