"""Resolving, beyond what a capture shows: Media2, clocks, which profile."""

from datetime import UTC, datetime, timedelta

import pytest

from capture_async import Credentials, FailureReason
from capture_async.errors import CameraError
from capture_async.http.authentication import HttpAuthenticator
from capture_async.http.client import CameraHttp
from capture_async.http.transports import Transports
from capture_async.onvif.resolved import Wanted
from capture_async.onvif.resolver import resolve, resolve_stream
from lab.simulation import soap
from lab.simulation.odd_camera import HOST, OddCamera, http

LOGIN = Credentials("yard", "secret")
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"


def services(camera, *namespaces):
    base = f"http://{HOST}:{camera.port}/onvif"
    items = "".join(
        f"<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{base}/{name}</tds:XAddr></tds:Service>"
        for namespace, name in namespaces
    )
    return http(soap._envelope(f"<tds:GetServicesResponse>{items}</tds:GetServicesResponse>"))


def profiles(*sizes, namespace=soap.MEDIA):
    items = "".join(
        f'<m:Profiles token="t{width}"><m:Name>p{width}</m:Name><m:VideoEncoderConfiguration><m:Resolution>'
        f"<m:Width>{width}</m:Width><m:Height>{height}</m:Height></m:Resolution></m:VideoEncoderConfiguration></m:Profiles>"
        for width, height in sizes
    )
    return http(soap._envelope(f'<m:GetProfilesResponse xmlns:m="{namespace}">{items}</m:GetProfilesResponse>'))


def no_media_in_capabilities(*_):
    return http(soap._envelope("<tds:GetCapabilitiesResponse><tds:Capabilities/></tds:GetCapabilitiesResponse>"))


async def resolved(answers, wanted=None, *, credentials=LOGIN, stream=False, **odd):
    """(what was found, the camera)."""
    async with OddCamera(b"", answers, stay=True, **odd) as camera, Transports() as transports:
        authenticator = HttpAuthenticator(credentials)
        client = CameraHttp(transports, camera.camera(), lambda _: authenticator, 5)
        return await (resolve_stream if stream else resolve)(client, credentials, set(), wanted), camera


async def test_media2_alone():
    answers = {
        "GetCapabilities": no_media_in_capabilities,
        "GetServices": lambda _, camera: services(camera, (MEDIA2, "media2")),
        "GetProfiles": profiles((640, 360), (3840, 2160), namespace=MEDIA2),
    }
    found, camera = await resolved(answers)
    assert (found.profile, found.size, found.target) == ("p3840", (3840, 2160), "/snap.jpg")
    assert [r.target for r in camera.requests if r.operation == "GetSnapshotUri"] == ["/onvif/media2"]


@pytest.mark.parametrize("size", [None, (1920, 1080)])
async def test_a_main_profile_that_media2_alone_knows_is_taken(size):
    def both(request, _):
        second = MEDIA2.encode() in request.body
        return profiles((1920, 1080), (320, 180), namespace=MEDIA2) if second else profiles((320, 180))

    answers = {
        "GetServices": lambda _, camera: services(camera, (soap.MEDIA, "media"), (MEDIA2, "media2")),
        "GetProfiles": both,
    }
    found, _ = await resolved(answers, Wanted(size=size))
    assert found.size == (1920, 1080)


async def test_media2_is_not_asked_where_the_older_service_has_what_is_wanted():
    found, camera = await resolved({}, Wanted(size=(1920, 1080)))
    assert found.size == (1920, 1080)
    assert camera.operations["GetServices"] == 0


@pytest.mark.parametrize("broken", [http("no", status="500 Error"), http("", status="404 Not Found")])
async def test_a_broken_media2_costs_nothing(broken):
    def first_only(request, camera):
        return broken if MEDIA2.encode() in request.body else camera.good_answer(request)

    answers = {
        "GetServices": lambda _, camera: services(camera, (soap.MEDIA, "media"), (MEDIA2, "media2")),
        "GetProfiles": first_only,
    }
    found, _ = await resolved(answers)
    assert found.profile == "main stream"


async def test_an_address_that_one_media_service_lacks_comes_from_the_other():
    def second_only(request, camera):
        if MEDIA2.encode() not in request.body:
            return http(soap.fault_reply(soap.SoapFaultError("ActionNotSupported", "no")), status="500 Error")
        return camera.good_answer(request)

    answers = {
        "GetServices": lambda _, camera: services(camera, (soap.MEDIA, "media"), (MEDIA2, "media2")),
        "GetSnapshotUri": second_only,
    }
    found, _ = await resolved(answers, Wanted(size=(1920, 1080)))
    assert found.target == "/snap.jpg"


def date(**moments):
    parts = "".join(
        f"<tt:{name}><tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute><tt:Second>{at.second}"
        f"</tt:Second></tt:Time><tt:Date><tt:Year>{at.year}</tt:Year><tt:Month>{at.month}</tt:Month><tt:Day>{at.day}"
        f"</tt:Day></tt:Date></tt:{name}>"
        for name, at in moments.items()
        if isinstance(at, datetime)
    )
    zone = f"<tt:TimeZone><tt:TZ>{moments['zone']}</tt:TZ></tt:TimeZone>" if "zone" in moments else ""
    body = f"<tds:SystemDateAndTime>{zone}{parts}</tds:SystemDateAndTime>"
    return http(soap._envelope(f"<tds:GetSystemDateAndTimeResponse>{body}</tds:GetSystemDateAndTimeResponse>"))


@pytest.mark.parametrize(
    ("clock", "offset_s"),
    [
        ({"UTCDateTime": timedelta(minutes=5)}, 300),
        ({"LocalDateTime": timedelta(hours=9)}, 0),
        ({"LocalDateTime": timedelta(hours=9, minutes=5), "zone": "KST-9"}, 300),
        ({"LocalDateTime": timedelta(days=-16_000)}, -16_000 * 86_400),
        ({}, 0),
    ],
    ids=range(5),
)
async def test_the_clock_that_tokens_are_checked_by(clock, offset_s):
    now = datetime.now(UTC)  # not when the tests are collected, which may be long ago
    clock = {name: now + value if isinstance(value, timedelta) else value for name, value in clock.items()}
    found, _ = await resolved({"GetSystemDateAndTime": date(**clock)})
    assert found.clock_offset.total_seconds() == pytest.approx(offset_s, abs=60)


async def test_a_refusal_names_a_clock_that_was_never_set():
    clock = date(LocalDateTime=datetime(1979, 12, 31, tzinfo=UTC))
    with pytest.raises(CameraError, match="its clock is off by") as caught:
        await resolved({"GetSystemDateAndTime": clock}, credentials=Credentials("yard", "wrong"), login=True)
    assert caught.value.reason is FailureReason.REFUSED_CREDENTIALS


async def test_the_stream_s_address():
    answer = http(soap.media_uri_reply("GetStreamUri", "rtsp://user:pw@192.168.0.9:554/main?x=1"))
    found, _ = await resolved({"GetStreamUri": answer}, stream=True)
    assert found == "/main?x=1"
    with pytest.raises(CameraError, match="http address"):
        await resolved({"GetStreamUri": http(soap.media_uri_reply("GetStreamUri", "http://a/b"))}, stream=True)
