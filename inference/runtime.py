"""Settings that must be made before torch, ultralytics or segment-anything is first imported.

All apply to the whole process:

- Threads of torch that wait for each other must sleep, not spin. Where other processes use
  the same cores, spinning made a batch of twelve frames take 14 to 22 s instead of 3 s.
- ultralytics must neither install nor download anything while a bay is observed, and
  keeps its settings in a folder of this product, not in the user's home.
- torchvision must be importable beside a torch that it was not compiled for. Its compiled
  part links CUDA libraries; beside a CPU build of torch that part cannot be loaded, and
  `import torchvision` then ends with "operator torchvision::nms does not exist", although
  nothing else of the compiled part is needed here.
"""

import importlib.util
import os
import tempfile
from pathlib import Path

# GNU OpenMP reads it once, when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

_SETTINGS = {
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "1",
    "YOLO_VERBOSE": "false",
    # Checkpoints are read with weights_only=True and ultralytics' list of allowed classes.
    "ULTRALYTICS_SAFE_LOAD": "1",
}


def prepare() -> None:
    """Make them; may be called any number of times, but before the first import of either library."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "YOLO_CONFIG_DIR" not in os.environ:
        folder = Path(tempfile.gettempdir()) / f"bay_observation-{os.getuid()}" / "ultralytics"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["YOLO_CONFIG_DIR"] = str(folder)
    provide_nms()


def provide_nms() -> bool:
    """Define `torchvision::nms` where torchvision's own cannot be loaded.

    Returns:
        True when this module's definition is in use; False when torchvision is whole (nothing is changed then).
    """
    if _defined():
        return _is_replaced
    if _compiled_part_loads():
        return False
    _define()
    return True


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression, as `torchvision.ops.nms` defines it.

    Args:
        boxes: (N, 4) x and y of the top left, x and y of the bottom right.
        scores: (N,)
        iou_threshold: a box is dropped when its IoU with a better one is larger.

    Returns:
        (M,) int64 indices of the boxes that stay, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    ordered = boxes[order].float()
    areas = (ordered[:, 2:] - ordered[:, :2]).clamp(min=0).prod(dim=1)
    stays = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for i in range(len(order) - 1):
        if not stays[i]:
            continue
        rest = ordered[i + 1 :]
        overlap = torch.minimum(rest[:, 2:], ordered[i, 2:]) - torch.maximum(rest[:, :2], ordered[i, :2])
        shared = overlap.clamp(min=0).prod(dim=1)
        stays[i + 1 :] &= shared <= iou_threshold * (areas[i] + areas[i + 1 :] - shared)
    return order[stays]


# The registration lives as long as this object does.
_library: torch.library.Library | None = None
_is_replaced = False


def _defined() -> bool:
    return hasattr(torch.ops.torchvision, "nms")


def _compiled_part_loads() -> bool:
    """Whether `torchvision/_C` can be loaded beside this torch; loads it when it can, as torchvision would."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # no torchvision: the ImportError of its import says so
    compiled = sorted(Path(spec.submodule_search_locations[0]).glob("_C*.so"))
    try:
        for path in compiled:
            torch.ops.load_library(str(path))
    except OSError:
        return False
    return bool(compiled)


def _define() -> None:
    global _library, _is_replaced  # noqa: PLW0603  (one registration per process, as torch has one table)
    _library = torch.library.Library("torchvision", "FRAGMENT")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # torchvision's import looks the name up; a call, which this product never makes, would raise.
    _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.impl("nms", nms, "CompositeExplicitAutograd")
    import torchvision.extension

    # torchvision.ops.nms first checks for the compiled part. For nms the answer is now yes; the
    # other operators stay undefined, and torch names the one that is called.
    torchvision.extension._has_ops = lambda: True
    _is_replaced = True
