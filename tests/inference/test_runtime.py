"""torchvision works beside a torch it was not compiled for, and nothing is downloaded or installed."""

import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inference import runtime  # noqa: E402

pytestmark = pytest.mark.slow(1)


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Greedy suppression as its definition says it, box by box."""
    stay: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        for k in stay:
            size = np.minimum(boxes[i, 2:], boxes[k, 2:]) - np.maximum(boxes[i, :2], boxes[k, :2])
            shared = np.prod(np.maximum(size, 0))
            union = np.prod(boxes[i, 2:] - boxes[i, :2]) + np.prod(boxes[k, 2:] - boxes[k, :2]) - shared
            if shared / union > threshold:
                break
        else:
            stay.append(int(i))
    return stay


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_nms_is_greedy_suppression(threshold: float) -> None:
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 100, (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (200, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(size=200).astype(np.float32)
    found = runtime.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert found.tolist() == slow_nms(boxes, scores, threshold)


def test_nms_of_nothing_is_nothing() -> None:
    assert runtime.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_and_both_libraries_import_after_prepare() -> None:
    code = (
        "from inference import runtime; runtime.prepare(); runtime.prepare()\n"
        "import torch, torchvision, segment_anything, ultralytics\n"
        "boxes = torch.tensor([[0., 0., 10., 10.], [1., 1., 10., 10.], [20., 20., 30., 30.]])\n"
        "print(torchvision.ops.nms(boxes, torch.tensor([.9, .8, .7]), .5).tolist())"
    )
    assert run(code) == "[0, 2]"


def test_a_whole_torchvision_is_left_alone() -> None:
    code = (
        "import torch\n"
        "from inference import runtime\n"
        "runtime._compiled_part_loads = lambda: True\n"
        "print(runtime.provide_nms(), hasattr(torch.ops.torchvision, 'nms'))"
    )
    assert run(code) == "False False"


def test_settings_are_ours_and_offline(tmp_path) -> None:
    code = (
        "import os\n"
        "from inference import runtime; runtime.prepare()\n"
        "from ultralytics.utils import AUTOINSTALL, ONLINE, USER_CONFIG_DIR\n"
        "print(AUTOINSTALL, ONLINE, USER_CONFIG_DIR.is_relative_to(os.environ['TMPDIR']))"
    )
    clean = dict.fromkeys((), "")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("YOLO_")} | clean
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["False", "False", "True"], done.stderr


@pytest.mark.parametrize(
    "module",
    ["inference.service", "inference.models", "inference.segmentation", "inference.yard_sam", "lab.training.segmenter"],
)
def test_waiting_threads_sleep_whichever_module_brings_torch(module: str) -> None:
    code = (
        "import importlib, os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': print(os.environ.get('OMP_WAIT_POLICY')); sys.stdout.flush(); os._exit(0)\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"importlib.import_module('{module}')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "PASSIVE", done.stderr


def test_the_types_come_without_torch() -> None:
    code = "import sys, inference; print([m for m in ('torch', 'cv2', 'ultralytics') if m in sys.modules])"
    assert run(code) == "[]"
