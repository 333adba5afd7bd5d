"""`make bench-inference`: a batch through the warm service, beside slower ways, and a cold task.

Prints a table of every figure beside its bar, writes `lab/benchmarks/results/inference.json`, and
exits with 1 when a bar does not hold. Every figure is measured in this run, on frames of a
simulated yard that training never saw.
"""

import argparse
import asyncio
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bay_observation.commands import output_console, run_command
from bay_observation.errors import BayObservationError, InferenceError
from lab.bars import Bar, bars_table
from lab.benchmarks.comparison import compare
from lab.machine import machine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifacts import ArtifactReference
    from bays import BayConfig
    from capture_async.types import CaptureBatch
    from inference import BayModels, InferenceService, Observation

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "ultralytics", "segment-anything", "opencv-python")
_BAY = "demo_bay"
_SEED, _HOUR = 700, 11.0  # evaluation's yards are others, training's begin at 1000
_START_LIMIT_S, _CASE_LIMIT_S = 300.0, 900.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 0 when every bar holds, 1 when one does not, 2 when the measurement failed."""
    options = _parser().parse_args(arguments)
    if options.cold:
        print(json.dumps(_cold(json.loads(options.cold))))
        return 0
    try:
        results = measure(options)
    except BayObservationError as error:
        print(error, file=sys.stderr)
        return 2
    bars = bars_of(results)
    results["bars"] = [asdict(bar) | {"holds": bar.holds} for bar in bars]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "inference.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console = output_console()
    console.print(bars_table(bars))
    warm, server = results["warm"], results["server"]
    for way, key in (("torch", "steps_s"), ("OpenVINO", "openvino_steps_s")):
        steps = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in warm[key].items())
        console.print(f"{warm['frames']} frames, {warm['objects']} objects, {warm['boxes']} boxes, {way}: {steps}")
    console.print(
        f"CPU: {statistics.median(warm['service_cpu_s']):.2f} s, one by one"
        f" {statistics.median(warm['one_by_one_cpu_s']):.2f} s\n"
        f"{len(results['cold_s'])} cold tasks load the models each time: {statistics.median(results['cold_s']):.1f} s"
        f" a batch; the warm server: {server['ready_s']:.1f} s once, then"
        f" {statistics.median(server['batches_s']):.1f} s a batch; it holds {server['memory_mib']:.0f} MiB"
        f" after {len(server['batches_s'])} batches, at most {server['peak_memory_mib']:.0f} MiB"
    )
    console.print(f"written to {options.out}/inference.json")
    return 0 if all(bar.holds for bar in bars) else 1


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every case, one after the other, as one document of JSON types."""
    began = time.monotonic()
    results: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(LIBRARIES),
        "settings": {"repeats": options.repeats, "batches": options.batches, "yard": _SEED},
    }
    with tempfile.TemporaryDirectory(prefix="bo-") as folder:
        os.environ |= {"DATA_PATH": f"{folder}/data", "INFERENCE_SOCKETS": f"{folder}/sockets"}
        _report("drawing frames")
        captures = _publish_captures(options.batches)
        _report("cold tasks")
        results["cold_s"] = [_cold_task(capture) for capture in captures]
        _report("warm server")
        results["server"] = _server(captures)
        _report("warm service against one predict per frame and per box")
        results["warm"] = _warm(captures[0], options.repeats)
    results["took_s"] = time.monotonic() - began
    return json.loads(json.dumps(results))  # type: ignore[no-any-return]  # as it is when read back


def bars_of(results: dict[str, Any]) -> list[Bar]:
    """The figures that have a bar, of what was measured."""
    warm, server = results["warm"], results["server"]
    batches = len(server["batches_s"])
    named = f"{warm['frames']} frames warm, "
    return [
        _times(named + "against one predict per frame and per box", warm, "one_by_one", "service", 2.0),
        _times(named + "through OpenVINO, against version 0.1", warm, "before", "openvino", 1.3),
        _times(named + "through torch, against version 0.1", warm, "before", "service", 1.0),
        *(
            bar
            for way, name in (("service", "torch"), ("openvino", "OpenVINO"))
            for bar in _same(name, warm["compared"][way])
        ),
        Bar(f"loads of the models for {batches} batches of the warm server", server["loads"], "<=", 1, ""),
    ]


def _times(name: str, warm: dict[str, Any], slow: str, fast: str, bar: float) -> Bar:
    """How many times as fast, medians; passes of both alternate, and their ratios give the spread."""
    ratios = [one / other for one, other in zip(warm[f"{slow}_s"], warm[f"{fast}_s"], strict=True)]
    ratio = statistics.median(warm[f"{slow}_s"]) / statistics.median(warm[f"{fast}_s"])
    return Bar(name, ratio, ">=", bar, "x", f"{min(ratios):.4g} to {max(ratios):.4g}")


def _same(name: str, compared: dict[str, Any]) -> list[Bar]:
    """Tolerance of the results, beside one predict per frame and per box, matched by overlap."""
    return [
        Bar(f"{name}: objects of {compared['objects']} that differ", compared["different"], "<=", 0),
        Bar(f"{name}: least IoU of two outlines", compared["least_iou"], ">=", 0.99),
    ]


def one_by_one(models: "BayModels", batch: "CaptureBatch") -> "Observation":
    """What `InferenceService.observe` finds, by one call for each frame, each box and each crop.

    The detector is asked for a frame, SAM embeds it and is asked for a box at a time
    (`SamPredictor.predict`, masks of the whole frame), the stage classifier for a crop. The
    rules that make an object of it are the service's own.
    """
    from inference import CameraObservation, DetectedObject, Observation
    from inference.models import classify, detect
    from inference.outlines import hull, outline
    from inference.segmentation import box_window
    from inference.service import one_per_place
    from inference.types import OCCLUDER_CLASSES, TRACKED_CLASSES

    def stage_of(frame: "NDArray[np.uint8]", window: Any, inside: Any) -> tuple[str | None, float]:
        from inference.crops import masked_crop

        crop = masked_crop(frame, window, inside)
        return (None, 0.0) if crop is None else classify(models, [crop])[0]

    cameras = []
    for image in batch.images:
        frame = image.decode()
        [result] = detect(models, [frame])
        boxes, scores = result.boxes.xyxy.cpu().numpy(), result.boxes.conf.cpu().numpy()
        names = [result.names[int(index)] for index in result.boxes.cls]
        models.segmenter.set_image(frame, "BGR")
        objects = []
        for i in one_per_place(boxes, scores, names):
            polygon, stage, sure = None, None, 0.0
            if names[i] in TRACKED_CLASSES + OCCLUDER_CLASSES:
                masks, _, _ = models.segmenter.predict(box=boxes[i], multimask_output=False)
                window = box_window(boxes[i], frame.shape[1], frame.shape[0])
                inside = np.ascontiguousarray(masks[0][window[1] : window[3], window[0] : window[2]])
                polygon = (hull if names[i] in OCCLUDER_CLASSES else outline)(inside, window[:2])
                if names[i] in TRACKED_CLASSES:
                    stage, sure = stage_of(frame, window, inside)
            objects.append(DetectedObject(names[i], float(scores[i]), boxes[i], polygon, stage, sure))
        size = (frame.shape[1], frame.shape[0])
        cameras.append(CameraObservation(image.camera_name, image.captured_at, size, tuple(objects)))
    return Observation(batch.batch_id, batch.bay_id, tuple(cameras))


def before(models: "BayModels", bay: "BayConfig") -> "InferenceService":
    """The service as version 0.1 computed: to be no slower than it is the least that is asked.

    The segmenter is as it is stored (batch normalisations apart, channels first), and ultralytics
    prepares the crops, one after the other with PIL.
    """
    from segment_anything import SamPredictor, sam_model_registry

    from inference import InferenceService
    from inference.loading import models_path

    class Before(InferenceService):
        def _classify(self, frames: Any, check_abandoned: Any) -> Any:
            found = [one for frame in frames for one in frame.objects if one.crop is not None]
            size = self.models.sizes.crops_per_call
            for start in range(0, len(found), size):
                some = found[start : start + size]
                check_abandoned()
                results = models.classifier.predict([one.crop for one in some], device=models.device, verbose=False)
                for one, result in zip(some, results, strict=True):
                    one.stage = result.names[result.probs.top1]
                    one.stage_confidence = float(result.probs.top1conf)
            return []

    stored = sam_model_registry[bay.models.sam_model_type](checkpoint=models_path() / bay.models.sam_segmentation)
    return Before(replace(models, segmenter=SamPredictor(stored.to(models.device))))


def _publish_captures(count: int) -> "list[ArtifactReference]":
    """The same frames as so many batches, one after the other."""
    from artifacts import ArtifactStore
    from bays import batch_id, load_bay
    from lab.training.scores import rendered_batch

    batch, _ = rendered_batch(load_bay(_BAY), _SEED, _HOUR)
    images = tuple(replace(image, captured_at=image.captured_at.astimezone(UTC)) for image in batch.images)
    references = []
    for number in range(count):
        name = batch_id(_BAY, batch.slot + timedelta(minutes=10 * number))
        value = replace(batch, batch_id=name, images=images)
        references.append(ArtifactStore().save("capture", _BAY, name, value))
    return references


def _cold_task(capture: "ArtifactReference") -> float:
    """Seconds of a process that does one batch, from its start to its end."""
    began = time.perf_counter()
    try:
        subprocess.run(
            [sys.executable, "-m", "lab.benchmarks.inference", "--cold", json.dumps(capture.to_dict())],
            stdout=subprocess.DEVNULL,
            timeout=_CASE_LIMIT_S,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise InferenceError(f"the cold task could not be measured: {error}") from error
    return time.perf_counter() - began


def _cold(capture: dict[str, Any]) -> dict[str, Any]:
    from artifacts import ArtifactReference, ArtifactStore
    from bays import load_bay
    from inference.serving import observe_capture

    return observe_capture(ArtifactReference.from_dict(capture), load_bay(_BAY), ArtifactStore()).to_dict()


def _server(captures: "Sequence[ArtifactReference]") -> dict[str, Any]:
    """What each batch takes a client of a warm server, and the server's memory afterwards."""
    from inference.serving import InferenceClient

    client = InferenceClient(_BAY)
    with _serving() as ready_s:
        seconds = []
        for capture in captures:
            began = time.perf_counter()
            reply = asyncio.run(client.observe(capture))
            seconds.append(time.perf_counter() - began)
            if reply.status != "done":
                raise InferenceError(f"the server did not do {capture.batch_id}: {reply.error}")
        health = asyncio.run(client.health())
    reported = {name: health[name] for name in ("loads", "memory_mib", "peak_memory_mib")}
    return {"ready_s": ready_s, "batches_s": seconds, **reported}


@contextmanager
def _serving() -> Iterator[float]:
    from inference.serving.sockets import socket_path

    began = time.perf_counter()
    server = subprocess.Popen([sys.executable, "-m", "inference", "serve", _BAY], stderr=subprocess.DEVNULL)
    try:
        while not socket_path(_BAY).exists():
            if server.poll() is not None or time.perf_counter() - began > _START_LIMIT_S:
                raise InferenceError("the server does not start: try bay-observation models serve demo_bay")
            time.sleep(0.05)
        yield time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()


def _warm(capture: "ArtifactReference", repeats: int) -> dict[str, Any]:
    """Every way in turn, in this process, on the same models."""
    from artifacts import ArtifactStore
    from bays import load_bay
    from inference import InferenceService, load_models

    bay = load_bay(_BAY)
    began = time.perf_counter()
    service = InferenceService(load_models(bay.models, "cpu"))
    load_s = time.perf_counter() - began
    batch: CaptureBatch = ArtifactStore().load(capture)
    through_openvino = InferenceService(load_models(bay.models.model_copy(update={"openvino": True}), "cpu"))
    ways: dict[str, Callable[[], Observation]] = {
        "one_by_one": lambda: one_by_one(service.models, batch),
        "before": functools.partial(before(service.models, bay).observe, batch),
        "service": lambda: service.observe(batch),
        "openvino": lambda: through_openvino.observe(batch),
    }
    found = {way: work() for way, work in ways.items()}
    times: dict[str, list[float]] = {f"{way}_{clock}": [] for way in ways for clock in ("s", "cpu_s")}
    for _ in range(repeats):
        for way, work in ways.items():
            cpu = time.process_time()
            times[f"{way}_s"].append(_seconds(work))
            times[f"{way}_cpu_s"].append(time.process_time() - cpu)
    objects = [one for camera in found["service"].cameras for one in camera.objects]
    compared = {way: compare(found[way], found["one_by_one"]) for way in ("service", "before", "openvino")}
    return times | {
        "load_s": load_s,
        "steps_s": step_seconds(service, batch),
        "openvino_steps_s": step_seconds(through_openvino, batch),
        "frames": len(batch.images),
        "objects": len(objects),
        "boxes": sum(one.polygon is not None for one in objects),
        "compared": {way: asdict(one) | {"different": one.different} for way, one in compared.items()},
    }


def step_seconds(service: Any, batch: "CaptureBatch") -> dict[str, float]:
    """Seconds of each step of one pass, and of the rest; the steps of the service are timed from then on."""
    spent: dict[str, float] = {}
    steps = {"decode": "_decode", "detect": "_detect", "segment": "_segment", "classify": "_classify"}
    for name, method in steps.items():
        step = getattr(service, method)

        def timed(*arguments: Any, step: Any = step, name: str = name) -> Any:
            began = time.perf_counter()
            result = step(*arguments)
            spent[name] = time.perf_counter() - began
            return result

        setattr(service, method, timed)
    whole = _seconds(lambda: service.observe(batch))
    return spent | {"rest": whole - sum(spent.values())}


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _report(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks.inference", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="passes of each way through the same frames (7)")
    parser.add_argument("--batches", type=int, default=4, help="batches for the server, and cold tasks (4)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"folder for the results ({RESULTS})")
    parser.add_argument("--cold", help=argparse.SUPPRESS)  # the process of a cold task
    return parser


if __name__ == "__main__":
    run_command(main)
