"""The package's public names, and what importing it costs."""

import subprocess
import sys

import pytest


@pytest.mark.slow(1)
def test_the_types_and_the_history_load_nothing_heavy():
    code = """
import sys

import pytest
import fusion, tracking, tracking.history
heavy = {"scipy", "cv2", "torch"} & set(sys.modules)
assert not heavy, heavy
assert tracking.Tracker.__name__ == "Tracker"
assert tracking.replay.__name__ == "replay"
assert fusion.fuse.__name__ == "fuse"
for package in (fusion, tracking):
    try:
        package.nothing
    except AttributeError as error:
        assert "has no attribute 'nothing'" in str(error)
    else:
        raise AssertionError("a name that is not there is found")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
