"""`docs/reference.md`, from the code's own signatures and docstrings: `python -m bay_observation.code_reference`.

A page for a reader of the repository; the built site adds the whole docstrings below each package's names. The packages
are named here as text and imported when the page is written: this package knows no other.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from types import FunctionType
from typing import Any

from bay_observation.commands import run_command

SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Bays": (
        "bays",
        (
            "load_bay", "enabled_bays", "bay_ids", "observer_queue", "processor_queue", "dag_id", "batch_id", "slot_of",
            "onvif_connection_id", "tracking_asset_uri", "BayConfig", "Camera",
        ),
    ),
    "Capture": (
        "capture_async",
        (
            "CaptureService", "CaptureBatch", "CapturedImage", "CameraFailure", "FailureReason", "Credentials",
            "ImageProvider", "ImageProviderFactory",
        ),
    ),
    "Inference": ("inference", ("InferenceService", "Observation", "CameraObservation", "DetectedObject")),
    "Fusion": ("fusion", ("fuse", "FusionResult", "FusedBlock")),
    "Tracking": (
        "tracking",
        ("Tracker", "TrackerParameters", "TrackingResult", "TrackEvent", "EventKind", "Track", "TrackerState"),
    ),
    "History": (
        "tracking.history",
        (
            "History", "Stay", "HistoryEvent", "Dwell", "Observed", "Gap", "Coverage", "AsOf", "AreaUse", "Difference",
            "coverage", "as_of", "area_use", "differences", "nested_areas", "local_day", "scheduled_slots",
        ),
    ),
    "Artifacts": ("artifacts", ("ArtifactStore", "ArtifactReference", "Spool", "Replicator")),
    "Operators": (
        "operators",
        (
            "ObservationOperator", "InferenceOperator", "FusionOperator", "TrackingOperator", "TriggerStageOperator",
            "ArtifactSensor", "SlotTrackedSensor",
        ),
    ),
    "Triggers": (
        "triggers",
        ("CaptureTrigger", "InferenceTrigger", "ArtifactTrigger", "PublishedTrigger", "TrackedTrigger"),
    ),
}  # fmt: skip
"""Heading -> package, and those of its names that other people's code builds on."""

_HEAD = """# Reference of the code

<!-- Written by `python -m bay_observation.code_reference > docs/reference.md`; a test holds it. -->

What other people's code builds on ([what stays stable](../CONTRIBUTING.md#what-stays-stable)): each name with its
signature and the first sentence of its docstring; `help(name)` in Python has the rest. Examples of their use are in
[operators.md](operators.md), [history.md](history.md) and the [README](../README.md); the keys of a bay's file are in
[add_a_bay.md](add_a_bay.md#the-keys).
"""


def document() -> str:
    """`docs/reference.md`."""
    return "\n".join([_HEAD, *(_section(heading, *of) for heading, of in SECTIONS.items())])


def _section(heading: str, package: str, names: tuple[str, ...]) -> str:
    module = import_module(package)
    lines = [line for name in names for line in _lines(name, getattr(module, name))]
    # What mkdocstrings replaces by the whole docstrings; a reader of the repository does not see a comment.
    site = f"::: {package}\n    options: {{members: [{', '.join(names)}]}}\n"
    return f"## {heading}\n\nfrom `{package}`:\n\n" + "\n".join(lines) + f"\n\n{site}"


def _lines(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"- `{_signature(name, _node(value))}`: {_first(value)}"
        return
    yield f"- **`{_class(name, value)}`**: {_first(value)}"
    if issubclass(value, Enum):
        yield f"    - {', '.join(f'`{member.name}`' for member in value)}"
        return
    for key, member in vars(value).items():
        if key.startswith("_") or key in _fields(value):
            continue
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if isinstance(member, property) and member.fget is not None and member.fget.__doc__:
            returns = _node(member.fget).returns
            yield f"    - `.{key}{'' if returns is None else f': {ast.unparse(returns)}'}`: {_first(member.fget)}"
        elif isinstance(function, FunctionType) and function.__doc__:
            awaited = "await " if inspect.iscoroutinefunction(function) else ""
            yield f"    - `{awaited}.{_signature(key, _node(function))}`: {_first(function)}"


def _class(name: str, value: type) -> str:
    """A class with what it is made of."""
    if issubclass(value, Enum):
        return name
    fields = _fields(value)
    if fields:
        shown = fields.keys() if hasattr(value, "model_fields") else (f"{key}: {kind}" for key, kind in fields.items())
        return f"{name}({', '.join(shown)})"
    made = vars(value).get("__init__")
    return name if not isinstance(made, FunctionType) else _signature(name, _node(made)).partition(" -> ")[0]


def _fields(value: type) -> dict[str, str]:
    """Fields of a dataclass, a named tuple or a model, with their types as they are written."""
    if not (hasattr(value, "__dataclass_fields__") or hasattr(value, "model_fields") or hasattr(value, "_fields")):
        return {}
    [node] = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - a class has the source of a class
    return {
        part.target.id: ast.unparse(part.annotation)
        for part in node.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and not part.target.id.startswith("_")
        if not ast.unparse(part.annotation).startswith("ClassVar")
    }


def _node(function: Any) -> ast.FunctionDef | ast.AsyncFunctionDef:
    [node] = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 - the callers ask for functions alone
    return node


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = node.args
    first = (arguments.posonlyargs or arguments.args)[:1]
    if first and first[0].arg in ("self", "cls"):
        (arguments.posonlyargs or arguments.args).pop(0)
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"{name}({ast.unparse(arguments)}){returns}".replace("'", '"')


def _first(value: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def main() -> int:
    """Print the page."""
    print(document(), end="")
    return 0


if __name__ == "__main__":
    run_command(main)
