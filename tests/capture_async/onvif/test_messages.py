"""Requests, held to what zeep writes from ONVIF's own WSDL, and to what a camera accepts."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree

from capture_async import Credentials
from capture_async.onvif.messages import NAMESPACES, write_message
from lab.simulation import soap

LOGIN = Credentials("yard", "secret")
WSDL = {"device": ("devicemgmt.wsdl", "DeviceBinding"), "media": ("media.wsdl", "MediaBinding")}
SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}


@pytest.mark.slow(0.1)
@pytest.mark.parametrize(
    ("service", "operation", "profile", "parameters"),
    [
        ("device", "GetSystemDateAndTime", None, {}),
        ("device", "GetCapabilities", None, {"Category": ["All"]}),
        ("device", "GetServices", None, {"IncludeCapability": False}),
        ("media", "GetProfiles", None, {}),
        ("media", "GetSnapshotUri", 'ma<in&"', {"ProfileToken": 'ma<in&"'}),
        ("media", "GetStreamUri", "main", {"StreamSetup": SETUP, "ProfileToken": "main"}),
    ],
)
def test_a_message_is_what_zeep_writes(service, operation, profile, parameters):
    ours = write_message(service, operation, None, timedelta(), profile=profile)
    theirs, action = written_by_zeep(service, operation, parameters)
    assert canonical(ours.body) == canonical(theirs)
    assert action in ours.headers["Content-Type"]
    assert ours.headers["SOAPAction"] == f'"{action}"'


def test_a_message_of_media2_names_its_profile():
    body = write_message("media2", "GetSnapshotUri", None, timedelta(), profile="main").body
    request = soap.read_request(body)
    assert (request.operation, request.parameters["ProfileToken"]) == ("GetSnapshotUri", "main")
    assert NAMESPACES["media2"].encode() in body


def test_message_is_what_a_camera_reads_and_accepts():
    message = write_message("media", "GetSnapshotUri", LOGIN, timedelta(), profile="main")
    request = soap.read_request(message.body)
    assert request.operation == "GetSnapshotUri"
    assert request.parameters["ProfileToken"] == "main"
    assert soap.token_is_valid(request.token, "yard", "secret", datetime.now(UTC), timedelta(seconds=5))
    assert b"secret" not in message.body


def test_token_carries_the_camera_s_time():
    ahead = timedelta(minutes=37)
    token = soap.read_request(write_message("media", "GetProfiles", LOGIN, ahead).body).token
    assert soap.token_is_valid(token, "yard", "secret", datetime.now(UTC) + ahead, timedelta(seconds=5))
    assert not soap.token_is_valid(token, "yard", "secret", datetime.now(UTC), timedelta(seconds=5))


def test_every_token_is_new():
    messages = [write_message("media", "GetProfiles", LOGIN, timedelta()) for _ in range(2)]
    first, second = (soap.read_request(message.body).token for message in messages)
    assert first.nonce != second.nonce


def test_without_credentials_there_is_no_token():
    assert soap.read_request(write_message("device", "GetCapabilities", None, timedelta()).body).token is None


def written_by_zeep(service, operation, parameters):
    """(body, action) of zeep's message, which is not sent."""
    from zeep import Client
    from zeep.transports import Transport

    class Kept(Transport):
        def post_xml(self, address, envelope, headers):
            kept.append((etree.tostring(envelope), headers["SOAPAction"].strip('"')))

    kept = []
    file_name, binding = WSDL[service]
    folder = Path(find_spec("onvif").origin).parents[1] / "wsdl"
    client = Client(str(folder / file_name), transport=Kept())
    client.settings.raw_response = True
    proxy = client.create_service(f"{{{NAMESPACES[service]}}}{binding}", "http://camera.invalid/")
    proxy[operation](**parameters)
    return kept[0]


def canonical(body):
    """Names with their namespaces, texts and attributes, whichever the prefixes."""
    return [
        (element.tag, (element.text or "").strip(), dict(element.attrib)) for element in etree.fromstring(body).iter()
    ]
