from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from inference.datasets import LabelledFrame, LabelledObject

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)


def jpeg(width: int = 192, height: int = 108, grey: int = 90) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), grey, np.uint8))[1].tobytes()


def outlined(name: str = "block", stage: str | None = "unit_assembly", left: int = 20) -> LabelledObject:
    outline = np.array([(left, 30), (left + 60, 25), (left + 70, 80), (left + 5, 90)], np.float32)
    return LabelledObject.outlined(name, outline, stage)


def boxed(name: str = "welder") -> LabelledObject:
    return LabelledObject(name, np.array([100, 40, 120, 64], np.float32), confidence=0.75)


@pytest.fixture
def frames() -> list[LabelledFrame]:
    """Three frames of two cameras, the last of them empty."""
    return [
        LabelledFrame(
            "demo_bay_C_4_20250702071000.jpg", (192, 108), (outlined(), boxed()), jpeg(), "C_4", "demo_bay", SLOT
        ),
        LabelledFrame(
            "demo_bay_D_5_20250702071000.jpg",
            (192, 108),
            (outlined("HP_block", None, 40),),
            jpeg(),
            "D_5",
            "demo_bay",
            SLOT,
        ),
        LabelledFrame("demo_bay_C_2_20250702071000.jpg", (192, 108), (), jpeg(grey=20), "C_2", "demo_bay", SLOT),
    ]
