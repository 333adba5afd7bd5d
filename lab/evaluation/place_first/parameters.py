"""Gates, weights and patience of a bay's tracker: the `tracking` keys of its YAML file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1000)]
Memory = Annotated[int, Field(ge=0, le=100_000)]
Weight = Annotated[float, Field(ge=0, le=100)]
Ratio = Annotated[float, Field(gt=1, le=10)]
Metres = Annotated[float, Field(ge=0, le=100)]
Minutes = Annotated[float, Field(ge=0, le=1440)]


class TrackerParameters(BaseModel):
    """How the tracker decides. Counts are in slots; a slot without a batch counts for nothing.

    Evidence:
        doubt: chance of a run of mere misses, or of mere misreadings, below which the
            run is believed; a bay of 27 blocks has some 4000 occasions a day to be wrong. With
            the share of misses that the bay has shown of late, it tells how many empty slots
            make an exit; likewise for readings of a stage.
        exit_slots: the fewest slots in which the floor must be seen without the block.
        reading_slots: the fewest readings, less those against it, that change a class, stage or area.
        reading_weight: sum of their confidences that a change of stage needs besides.
        work_slots: readings of equipment at a block, or of none, less those against it, that
            begin or end work.
        confirm_slots: sightings that make a track of a new block, and a move of a jump.
        false_per_slot: false detections in a slot from which on a new block needs a sighting
            more, and what only the very first slot showed is dismissed as one.
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
        max_doubtful_cost: the same for a track that is tentative or was missed more than once, where
            size or height differ by more than a jump allows. Where a block was lost from sight,
            another height is another block's.
        max_shared_floor: share of a footprint on a standing block from which on it is no new block.

    Jumps (second step: a block lifted by crane to another place):
        jump_side_ratio: the most by which long and short side may differ.
        jump_height_m, jump_height_share: the most by which heights may differ, metres and share of the height.
        jump_class_cost, jump_stage_cost: cost of another class and of another stage; with that of
            sides and height, which at their limits is one, they may come to one.
        jump_distance_cost: cost of a jump as long as the bay, which tells jumps apart that are possible.
        move_m: a block of the same shape this far from its place, though it overlaps it, has moved.

    Blocks known again (third step: after an absence, or after a jump that nobody could see):
        remember_slots: slots after its exit in which a block can be known again; 0 for never.
        return_side_ratio, return_height_m, return_height_share: as for jumps. Where two
            blocks fit, neither is taken: no identity is better than a doubtful one.

    Merging and splitting:
        covered_share: share of a block's floor that another must cover to have taken it in.
        together_minutes: what happens to two blocks within this time may be one happening.

    Smoothing:
        default_std_m: standard deviation of a footprint's centre where fusion tells none.
        least_std_m: the smallest that is believed.
        memory_slots: measurements that the past weighs at most.
        shift_sigmas, shift_m: standard deviations and metres between outline and
            measurement, both exceeded, from which on the block may have been shifted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    doubt: Chance = 1e-6
    exit_slots: Count = 3
    reading_slots: Count = 3
    reading_weight: Weight = 1.0
    work_slots: Count = 2
    confirm_slots: Count = 2
    false_per_slot: Weight = 0.17
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
    max_doubtful_cost: Weight = 0.4
    max_shared_floor: Share = 0.5

    jump_side_ratio: Ratio = 1.1
    jump_height_m: Metres = 0.2
    jump_height_share: Share = 0.05
    jump_class_cost: Weight = 0.4
    jump_stage_cost: Weight = 0.4
    jump_distance_cost: Weight = 0.1
    move_m: Metres = 1.0

    remember_slots: Memory = 432
    return_side_ratio: Ratio = 1.05
    return_height_m: Metres = 0.2
    return_height_share: Share = 0.03

    covered_share: Share = 0.6
    together_minutes: Minutes = 35.0

    default_std_m: Metres = 0.1
    least_std_m: Metres = 0.05
    memory_slots: Count = 24
    shift_sigmas: Weight = 4.0
    shift_m: Metres = 0.3
