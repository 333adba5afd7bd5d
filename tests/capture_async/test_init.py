"""The package's public names, and what importing it costs."""

import subprocess
import sys

import pytest


@pytest.mark.slow(0.6)
def test_importing_the_package_loads_nothing_heavy():
    code = """
import sys
import capture_async
from capture_async import CaptureBatch, CapturedImage, Credentials
heavy = {"aiohttp", "zeep", "onvif", "cv2", "numpy", "torch"} & set(sys.modules)
assert not heavy, heavy
assert capture_async.CaptureService.__name__ == "CaptureService"
assert capture_async.ImageProviderFactory.__name__ == "ImageProviderFactory"
heavy = {"zeep", "onvif", "cv2", "torch"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
