"""What a measurement was made on."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def machine(libraries: Iterable[str] = ()) -> dict[str, Any]:
    """Cores that this process may use, Python, versions of `libraries`, and the load average so far; JSON types."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
        "load_before": os.getloadavg()[0],
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed under this name"  # another build of it, as opencv-python-headless
