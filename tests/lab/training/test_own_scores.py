"""Scores on own labels, by hand."""

import math

import numpy as np
import pytest

from inference.datasets import LabelledFrame, LabelledObject
from lab.training.own_scores import Scores, matched, outline_iou


def thing(left: int, name: str = "block", confidence: float | None = None, stage: str = "a") -> LabelledObject:
    corners = [(left, 10), (left + 40, 10), (left + 40, 50), (left, 50)]
    made = LabelledObject.outlined(name, np.array(corners, np.float32), stage)
    return LabelledObject(name, made.box, made.polygon, stage, confidence)


def frame(*labels: LabelledObject, camera: str | None = "C_2") -> LabelledFrame:
    return LabelledFrame("a.jpg", (200, 100), labels, b"", camera)


def test_a_camera_and_a_light_have_scores_of_their_own() -> None:
    scores = Scores()
    scores.add(frame(thing(0), thing(100)), [thing(0, confidence=0.9), thing(102, confidence=0.8, stage="b")], "bright")
    scores.add(frame(thing(0), camera="D_3"), [thing(60, confidence=0.7)], "dim")
    scores.add(frame(thing(0), camera=None), [thing(0, "panel", 0.6)], "dim")
    said = scores.to_dict()
    assert said["all"]["labelled"] == 4
    assert said["all"]["recall"] == 0.75  # a panel at a block's place is found, and of the wrong class
    assert said["all"]["precision"] == 0.75
    assert said["all"]["stage accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert said["cameras"]["C_2"]["recall"] == 1.0
    assert said["cameras"]["D_3"]["recall"] == 0.0
    assert said["lights"]["dim"]["labelled"] == 2
    assert said["cameras"].keys() == {"C_2", "D_3", "unknown camera"}


def test_each_class_has_its_own_score() -> None:
    scores = Scores()
    scores.add(frame(thing(0), thing(100, "pipe")), [thing(0, "panel", 0.9), thing(100, "pipe", 0.8)], "bright")
    classes = scores.to_dict()["classes"]
    assert classes["block"] == {"labelled": 1, "recall": 0.0, "precision": None, "AP50": 0.0}
    assert classes["panel"] == {"labelled": 0, "recall": None, "precision": 0.0, "AP50": None}
    assert classes["pipe"] == {"labelled": 1, "recall": 1.0, "precision": 1.0, "AP50": 1.0}
    assert len(list(scores.tables("title"))) == 2


def test_a_label_is_found_once() -> None:
    pairs = matched([thing(1, confidence=0.6), thing(0, confidence=0.9)], [thing(0)])
    assert [(found.confidence, label is not None) for found, label in pairs] == [(0.9, True), (0.6, False)]


def test_outlines_are_compared_by_area() -> None:
    assert outline_iou(thing(0).polygon, thing(20).polygon) == pytest.approx(1 / 3)


def test_nothing_to_measure_is_no_zero() -> None:
    scores = Scores()
    scores.add(frame(), [], "dark")
    assert math.isnan(scores.all.figures()["recall"])
    assert scores.to_dict()["all"]["recall"] is None
