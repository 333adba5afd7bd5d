"""Priors, limits and patience of a bay's tracker: the `tracking` keys of its YAML file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Chance = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0, le=100)]
Rate = Annotated[float, Field(gt=0, le=100)]
Ratio = Annotated[float, Field(gt=1, le=10)]
Metres = Annotated[float, Field(ge=0, le=100)]
Minutes = Annotated[float, Field(ge=0, le=1440)]
Days = Annotated[float, Field(ge=0, le=3650)]


class TrackerParameters(BaseModel):
    """How the tracker decides. What is counted in slots counts those with a floor plan; the rest is time.

    Decisions:
        certain: probability from which on an explanation is believed and its event reported.
        certain_new, certain_gone: the same of a block that came and of one that left: what is false comes twice, as
            it is taken back, and a slot more costs little.
        revise_slots: slots for which it may be put off; then the likeliest one is taken, and its event
            says what else was possible. Of a new block `certain` is asked even then, since it may be none.
        confirm_slots: sightings that make a track of a new block, and a move of a lift.
        exit_slots: the fewest slots in which the floor must be seen without the block before it exits.
        remember_days: for which a block that left can be known again; 0 for never.
        move_m: the shortest way that is a move.

    What is expected (how much is lifted, missed and misread is learned, see `tracking.Rates`):
        bias_m: standard deviation by which other cameras, at another place, measure a side or height otherwise.
        slack_m: standard deviation by which a standing block's place may drift, beside the claimed one.
        twin_share: share of the new blocks that are of the size of one that is known.
        reuse_share: share of the lifts that set a block down where another has just left.
        return_per_hour: share of the blocks that left which come back in the first hour; of those that are still
            away fewer and fewer do.
        bad_view: share of the sightings whose shape is not the block's: a part of it, or two in one.
        class_misread: share of the readings of a class that are another one.
        stages: assembly stages in their order: a block goes on, never back. Others have no order.

    Readings:
        doubt: chance of a run of mere misreadings of a stage below which it is believed; a bay of
            27 blocks has some 4000 occasions a day to be wrong.
        reading_slots: the fewest readings, less those against it, that change a class, stage or area.
        reading_weight: sum of their confidences that a change of stage needs besides.
        work_slots: readings of equipment at a block, or of none, less those against it, that
            begin or end work.

    Places:
        unseen_share: share of the footprint that no working camera saw from which on its emptiness proves nothing.
        witnesses: of the cameras that saw the block last, those that must work for its
            absence to count; all of them where fewer saw it.
        min_overlap: of a sighting and a track's footprint from which on it lies at the track's place: intersection
            over union, or four fifths of the share of the smaller footprint that is covered, whichever is larger.
        ignored_overlap: the same for a sighting in an area that tracking ignores.
        max_shared_floor: share of a footprint on a standing block from which on it is no new block.

    Merging and splitting:
        covered_share: share of a block's floor that another must cover to have taken it in.
        together_minutes: what happens to two blocks within this time may be one happening.
        same_side_ratio, same_height_m, same_height_share: within which sides and heights are the same.

    Doubt of a whole floor plan:
        doubted_share: share of the blocks that must be gone at once, or shifted alike.
        doubted_hours: after which a floor plan that stays as it is is believed all the same.

    Smoothing:
        default_std_m: standard deviation of a footprint's centre where fusion gives none.
        least_std_m: the smallest that is believed.
        memory_slots: measurements that the past weighs at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certain: Chance = 0.9
    certain_new: Chance = 0.97
    certain_gone: Chance = 0.955
    revise_slots: Count = 6
    confirm_slots: Count = 2
    exit_slots: Count = 3
    remember_days: Days = 3.0
    move_m: Metres = 1.0

    bias_m: Metres = 0.05
    slack_m: Metres = 0.03
    twin_share: Chance = 0.05
    reuse_share: Chance = 0.3
    return_per_hour: Rate = 0.04
    bad_view: Chance = 0.003
    class_misread: Chance = 0.05
    stages: tuple[str, ...] = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")

    doubt: Chance = 1e-5
    reading_slots: Count = 3
    reading_weight: Weight = 1.0
    work_slots: Count = 2

    unseen_share: Share = 0.5
    witnesses: Count = 2
    min_overlap: Share = 0.3
    ignored_overlap: Share = 0.5
    max_shared_floor: Share = 0.5

    covered_share: Share = 0.8
    together_minutes: Minutes = 35.0
    same_side_ratio: Ratio = 1.1
    same_height_m: Metres = 0.2
    same_height_share: Share = 0.05

    doubted_share: Share = 0.5
    doubted_hours: Annotated[float, Field(ge=0, le=1000)] = 12.0

    default_std_m: Metres = 0.1
    least_std_m: Metres = 0.03
    memory_slots: Count = 24
