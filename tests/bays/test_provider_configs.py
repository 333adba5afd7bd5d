"""`image_provider_config` is checked with the bay's file, and names key and line."""

import subprocess
import sys

import pytest

from bay_observation.errors import ConfigError


@pytest.mark.parametrize(
    ("provider", "config", "named"),
    [
        ("onvif", {"timeuot": 10}, r"timeuot: provider 'onvif' has no such key; its keys are: timeout"),
        ("onvif", {"timeout": "ten"}, r"timeout: .*number"),
        ("onvif", {"timeout": 0}, r"timeout: .*greater than 0"),
        ("onvif", {"timeout": True}, r"timeout: "),
        ("onvif", {"max_per_second": 0.5}, r"max_per_second: "),
        ("onvif", {"tls": {"verify": "maybe"}}, r"tls\.verify: "),
        ("onvif", {"tls": {"verify": False, "ca_file": "/x"}}, r"tls: ca_file is of no use"),
        ("onvif", {"path": "/x"}, r"path: provider 'onvif' has no such key"),
        ("http", {"path": "http://10.0.0.1/snapshot"}, r"path: .*without host"),
        ("rtsp", {"path": "main"}, r"path: .*no path on the camera"),
        ("rtsp", {"stale_after": 3}, r"stale_after: provider 'rtsp' has no such key"),
        ("file", {}, r"base_path: Field required"),
        ("file", {"base_path": ""}, r"base_path: name the folder"),
    ],
)
def test_wrong_keys_are_named_with_their_line(make_bay, provider, config, named):
    with pytest.raises(ConfigError, match=rf"yard\.yaml:\d+: image_provider_config: .*{named}"):
        make_bay(image_provider=provider, image_provider_config=config)


@pytest.mark.slow(0.3)
@pytest.mark.parametrize("key", ["credentials", "password"])
def test_a_login_in_the_file_is_refused_and_not_repeated(make_bay, key):
    with pytest.raises(ConfigError, match=key) as caught:
        make_bay(image_provider_config={key: "hunter2"})
    error = caught.value
    while error is not None:  # a DAG's import error shows the whole chain
        assert "hunter2" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("camera", "named"),
    [
        ({"snapshot": "http://10.0.0.1/x"}, "snapshot"),
        ({"snapshot": "//10.0.0.1/x"}, "snapshot"),
        ({"rtsp": {"path": "main"}}, "rtsp.path"),
        ({"rtsp": {"url": "rtsp://a:b@10.0.0.1/x"}}, "rtsp.url"),
        ({"scheme": "ftp"}, "scheme"),
        ({"connections": 0}, "connections"),
    ],
)
def test_a_camera_s_keys(make_bay, camera, named):
    with pytest.raises(ConfigError, match=rf"cameras\.0\.{named}"):
        make_bay(cameras=[{"name": "C_1", "host": "127.60.0.9"} | camera], camera_quorum=1, enabled=False)


def test_defaults_of_a_camera(make_bay):
    plain = {"name": "C_1", "host": "127.60.0.8"}
    safe = {"name": "C_2", "host": "127.60.0.9", "scheme": "https", "rtsp": {}}
    bay = make_bay(cameras=[plain, safe], enabled=False)
    assert [(camera.scheme, camera.port, camera.connections) for camera in bay.cameras] == [
        ("http", 80, 1),
        ("https", 443, 1),
    ]
    assert bay.cameras[0].rtsp is None
    assert (bay.cameras[1].rtsp.port, bay.cameras[1].rtsp.path) == (554, None)


@pytest.mark.slow(0.5)
def test_checking_a_file_loads_no_camera_library():
    code = """
import sys
from bays import load_bay
load_bay("demo_bay")
assert not {"aiohttp", "zeep", "capture_async", "cv2"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
