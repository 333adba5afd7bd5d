import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from capture_async import Credentials
from capture_async.onvif.soap import SoapRefusedError, SoapUnreadableError, read_reply, write_message
from lab.simulation import soap

LOGIN = Credentials("yard", "secret")


def test_message_is_what_a_camera_reads_and_accepts():
    message = write_message("media", "GetSnapshotUri", {"ProfileToken": "main"}, LOGIN, timedelta())
    request = soap.read_request(message.body)
    assert request.operation == "GetSnapshotUri"
    assert request.parameters["ProfileToken"] == "main"
    assert soap.token_is_valid(request.token, "yard", "secret", datetime.now(UTC), timedelta(seconds=5))
    assert "application/soap+xml" in message.headers["Content-Type"]
    assert "GetSnapshotUri" in message.headers["Content-Type"]
    assert b"secret" not in message.body


def test_token_carries_the_camera_s_time():
    ahead = timedelta(minutes=37)
    token = soap.read_request(write_message("media", "GetProfiles", {}, LOGIN, ahead).body).token
    assert soap.token_is_valid(token, "yard", "secret", datetime.now(UTC) + ahead, timedelta(seconds=5))
    assert not soap.token_is_valid(token, "yard", "secret", datetime.now(UTC), timedelta(seconds=5))


def test_every_token_is_new():
    messages = [write_message("media", "GetProfiles", {}, LOGIN, timedelta()) for _ in range(2)]
    first, second = (soap.read_request(message.body).token for message in messages)
    assert first.nonce != second.nonce


def test_without_credentials_there_is_no_token():
    assert soap.read_request(write_message("device", "GetCapabilities", {}, None, timedelta()).body).token is None


def test_fault_is_named():
    reply = soap.fault_reply(soap.SoapFaultError("NotAuthorized", "go away")).encode()
    with pytest.raises(SoapRefusedError, match=r"GetProfiles is answered: go away \(Sender/NotAuthorized\)") as caught:
        read_reply("media", "GetProfiles", 400, "application/soap+xml", reply)
    assert caught.value.not_authorized


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><p>404 Not Found",
        b"\x00\x01\x02",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    ],
)
def test_what_is_no_reply(body):
    with pytest.raises(SoapUnreadableError, match="GetProfiles"):
        read_reply("media", "GetProfiles", 200, "application/soap+xml", body)


def test_the_library_leaves_the_process_as_it_was():
    """Importing onvif-zeep configures the root logger; its camera class removes proxies from the environment."""
    code = """
import logging, os, sys
from datetime import timedelta
os.environ["http_proxy"] = os.environ["https_proxy"] = "http://proxy.invalid"
import zeep  # with its own loggers, before we look
before = (dict(os.environ), logging.getLogger().level, logging.getLogger().handlers[:],
          logging.getLogger("zeep.client").level)
from capture_async.onvif.soap import write_message
write_message("media", "GetProfiles", {}, None, timedelta())
after = (dict(os.environ), logging.getLogger().level, logging.getLogger().handlers[:],
         logging.getLogger("zeep.client").level)
assert before == after, (before, after)
assert "onvif" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_lean_wsdl_is_the_whole_one_where_it_is_used(monkeypatch):
    """Messages and replies, written and read with the whole files and with what is left of them."""
    from capture_async.onvif import soap as ours

    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    asked = [
        ("device", "GetSystemDateAndTime", {}, soap.date_and_time_reply(datetime(2025, 7, 2, 7, 10, tzinfo=UTC))),
        ("device", "GetCapabilities", {"Category": ["All"]}, soap.capabilities_reply("http://10.0.0.1")),
        ("device", "GetServices", {"IncludeCapability": False}, soap.services_reply("http://10.0.0.1")),
        ("media", "GetProfiles", {}, soap.profiles_reply([soap.Profile("main", "stream", 1920, 1080)])),
        ("media", "GetSnapshotUri", {"ProfileToken": "main"}, soap.media_uri_reply("GetSnapshotUri", "http://a/b")),
        (
            "media",
            "GetStreamUri",
            {"StreamSetup": setup, "ProfileToken": "main"},
            soap.media_uri_reply("GetStreamUri", "rtsp://a/b"),
        ),
    ]
    assert {operation for _, operation, _, _ in asked} == ours._OPERATIONS

    def everything():
        ours._envelopes.clear()
        ours._document.cache_clear()
        for service, operation, parameters, reply in asked:
            message = write_message(service, operation, parameters, None, timedelta())
            read = read_reply(service, operation, 200, "application/soap+xml", reply.encode())
            yield operation, message, str(read)

    lean = list(everything())
    assert sum(map(len, ours._files().values())) < 200_000
    monkeypatch.setattr(ours, "_files", dict)
    whole = list(everything())
    monkeypatch.undo()
    ours._document.cache_clear()
    assert lean == whole
    assert "1080" in lean[3][2]


@pytest.mark.parametrize("loaded_before", [False, True])
def test_httpx_is_neither_loaded_for_zeep_nor_kept_from_others(loaded_before):
    before = "import httpx" if loaded_before else ""
    program = f"""
import sys
{before}
from capture_async.onvif import soap
soap.load()
assert ("httpx" in sys.modules) is {loaded_before}
import httpx, zeep.transports
assert (zeep.transports.httpx is httpx) is {loaded_before}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
