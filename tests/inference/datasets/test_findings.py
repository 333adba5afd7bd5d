"""Labels that nothing should be trained on are refused by name."""

from dataclasses import replace

import numpy as np

from inference.datasets import Dataset, LabelledObject
from inference.datasets.findings import findings, renamed, within_frames


def texts(frames, severity: str) -> str:
    return "\n".join(one.text for one in findings(Dataset(tuple(frames))) if one.severity == severity)


def named(frame, *names: str):
    return replace(frame, objects=tuple(replace(frame.objects[0], class_name=name) for name in names))


def test_good_labels_have_no_error(frames) -> None:
    assert texts(frames, "error") == ""


def test_a_class_in_another_spelling_is_an_error_with_its_remedy(frames) -> None:
    found = texts([named(frames[0], "HP-block", "Panel", "block")], "error")
    assert "class 'HP-block' (1 object) is 'HP_block' in another spelling: --rename HP-block=HP_block" in found
    assert "--rename Panel=panel" in found
    mended = renamed(Dataset((named(frames[0], "HP-block", "Panel"),)), {"HP-block": "HP_block", "Panel": "panel"})
    assert texts(mended.frames, "error") == ""


def test_a_name_with_a_blank_is_renamed_by_an_option_that_a_shell_takes(frames) -> None:
    assert "--rename 'HP block=HP_block'" in texts([named(frames[0], "HP block", "block")], "error")


def test_a_stage_in_another_spelling_is_an_error(frames) -> None:
    thing = replace(frames[0].objects[0], stage="Unit-Assembly")
    assert "--rename Unit-Assembly=unit_assembly" in texts([replace(frames[0], objects=(thing,))], "error")


def test_other_classes_are_kept_with_a_warning(frames) -> None:
    assert "class names that are not ours: forklift (1)" in texts([named(frames[0], "forklift", "block")], "warning")


def test_labels_of_another_size_than_the_picture(frames) -> None:
    turned = replace(frames[0], size=(108, 192))
    assert "labels are for 108x192 pixels, the picture has 192x108; it was labelled turned" in texts([turned], "error")


def test_what_lies_outside_of_the_frame(frames) -> None:
    outside = LabelledObject("block", np.array([300, 10, 340, 60], np.float32))
    half = LabelledObject("block", np.array([180, 10, 240, 60], np.float32))
    frame = replace(frames[0], objects=(outside, half))
    assert "1 object outside of the frame" in texts([frame], "error")
    [cut] = within_frames(Dataset((frame,))).frames[0].objects
    assert cut.box.tolist() == [180, 10, 192, 60]


def test_pictures_that_are_labelled_twice_and_empty_sets(frames) -> None:
    assert "labelled twice" in texts([frames[0], frames[0]], "error")
    assert "there is no frame in it" in texts([], "error")
    assert "no object is one of panel, block, HP_block" in texts([named(frames[0], "pipe")], "error")


def test_what_no_model_learns_of_is_a_warning(frames) -> None:
    bare = replace(frames[0].objects[0], polygon=None, stage=None)
    found = texts([replace(frames[0], objects=(bare,), camera_name=None)], "warning")
    assert "1 of 1 tracked objects have no outline" in found
    assert "1 of 1 tracked objects have no stage" in found
    assert "1 of 1 frames name no camera" in found
