"""Cameras that misbehave, beside good ones: each has its own outcome, and the others' frames arrive.

By kind; most are reported by owners of such cameras.
"""

import asyncio
import gzip
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from capture_async import CaptureService, Credentials, FailureReason
from lab.simulation import soap
from lab.simulation.odd_camera import HOST, OddCamera, http, jpeg_answer

# Whatever a camera does has the same outcome whichever way it is asked.
pytestmark = pytest.mark.parametrize("sent_by", ["aiohttp", "first capture"], indirect=True)

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
FRAME = None
LOGIN = Credentials("yard", "secret")


@pytest.fixture
def capture(make_farm, frame_source):
    """`await capture({...answers}, ...)`: (outcome of the odd camera, the camera), with two good ones beside it."""

    async def run(
        answers, *, slots=1, request_s=2.0, deadline=4.0, attempts=1, login=LOGIN, odd=None, bay=None, **camera
    ):
        jpeg = frame_source("ODD", SLOT)
        faults = OddCamera(jpeg, answers, **(odd or {}))
        async with make_farm(cameras=2) as farm, faults as faulty:
            changes = {
                "cameras": (*farm.bay.cameras, faulty.camera(**camera)),
                "capture_deadline": deadline,
                "capture_attempts": attempts,
                "image_provider_config": {"timeout": request_s},
            } | (bay or {})
            service = CaptureService(farm.bay.model_copy(update=changes), credentials=login)
            for good in farm.cameras.values():
                good._login.password = login.password if login else ""
            async with service:
                for number in range(slots):
                    slot = SLOT + timedelta(minutes=10 * number)
                    await farm.set_time(slot)
                    batch = await service.capture(slot)
                    outcomes = {one.camera_name: one for one in batch.images + batch.failures}
                    assert login is None or {image.camera_name for image in batch.images} >= {"C_2", "C_4"}
        return outcomes["ODD"], faulty

    return run


def reason_of(outcome):
    return getattr(outcome, "reason", FRAME)


EMPTY_BODY = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>'
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"


# -- A. Nothing that one camera sends stops the others ---------------------------------------


@pytest.mark.parametrize(
    "status", ["101 Switching Protocols", "204 No Content", "205 Reset Content", "304 Not Modified"]
)
async def test_answers_without_a_body_end(capture, status):
    """aiohttp's empty body yields for ever from the second one of a process on."""
    answer = f"HTTP/1.1 {status}\r\n\r\n".encode()
    for key in ("snapshot", "*"):
        outcome, _ = await capture({key: answer}, slots=3)
        assert reason_of(outcome) in (FailureReason.NOT_AN_IMAGE, FailureReason.NO_SNAPSHOT_SERVICE)


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    "operation", ["GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetProfiles", "GetSnapshotUri", "*"]
)
@pytest.mark.parametrize(
    "answer",
    [
        http(EMPTY_BODY),
        http(""),
        http("x", kind="multipart/related; boundary=xx"),
        http("", kind="multipart/related; boundary=xx"),
        http("<" * 5000),
        http("<a>" * 5000),
        http(b"\xff\xfe\x00", kind="application/soap+xml; charset=utf-7"),
        http(
            "<s:Envelope><s:Body><PT>PT99999999999999999999S</PT></s:Body></s:Envelope>", kind="text/plain; charset=x"
        ),
        http(soap.xml_bomb()),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"\0" * 100,
    ],
    ids=range(12),
)
async def test_an_odd_reply_to_any_operation_is_that_camera_s_alone(capture, operation, answer):
    outcome, _ = await capture({operation: answer})
    optional = operation in ("GetSystemDateAndTime", "GetCapabilities", "GetServices")
    if optional:
        assert reason_of(outcome) is FRAME
    else:
        assert reason_of(outcome) in (FailureReason.NO_SNAPSHOT_SERVICE, FailureReason.FAULTY_REPLY)


@pytest.mark.parametrize("field", ["realm", "nonce", "opaque"])
@pytest.mark.parametrize("value", [b"Kamera S\xfcd", "카메라".encode("euc-kr"), b"a\xff\xfe", "Süd".encode()])
async def test_a_challenge_in_another_encoding_is_answered_in_it(capture, frame_source, field, value):
    parts = {"realm": b"camera", "nonce": b"n", "opaque": b"o"} | {field: value}
    challenge = b", ".join(name.encode() + b'="' + text + b'"' for name, text in parts.items())
    refusal = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest qop="auth", ' + challenge + b"\r\nContent-Length: 0\r\n\r\n"
    echoed, jpeg = [], frame_source("ODD", SLOT)

    def snapshot(request, _):
        sent = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if not sent:
            return refusal
        echoed.append(value in sent)
        return jpeg_answer(jpeg)

    outcome, _ = await capture({"snapshot": snapshot})
    assert reason_of(outcome) is FRAME
    assert all(echoed)


async def test_a_fault_in_our_own_reading_is_that_camera_s_and_is_in_the_log(capture, monkeypatch, caplog):
    import capture_async.onvif.resolver as resolver

    def broken(*arguments):
        if arguments[0] == "GetProfiles" and b"main stream" in arguments[-1] and b"VEC_sub" not in arguments[-1]:
            raise RecursionError("deep")
        return resolver_read_reply(*arguments)

    resolver_read_reply = resolver.read_reply
    monkeypatch.setattr(resolver, "read_reply", broken)
    outcome, _ = await capture({})
    assert reason_of(outcome) is FailureReason.FAULTY_REPLY
    assert "the log has the traceback" in outcome.detail
    assert "RecursionError: deep" in caplog.text


# -- B. A wrong password costs one failed login, then a pause ----------------------------------


def fault(code="s:Sender", subcode="ter:NotAuthorized", reason="Sender not authorized", detail=""):
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:ter="http://www.onvif.org/ver10/error"><s:Body>'
        f"<s:Fault><s:Code><s:Value>{code}</s:Value>"
        + (f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else "")
        + f"</s:Code><s:Reason><s:Text>{reason}</s:Text></s:Reason>{detail}</s:Fault></s:Body></s:Envelope>"
    )


def fault_1_1(code, text):
    return (
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{code}</faultcode><faultstring>{text}</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )


REFUSALS = {
    "subcode": http(fault(), status="400 Bad Request"),
    "wsse": http(fault("s:Sender", "wsse:FailedAuthentication", "x"), status="400 Bad Request"),
    "undeclared prefix": http(fault("q:Sender", "zz:InvalidSecurityToken", "x"), status="500 No"),
    "words": http(fault("s:Sender", "", "The username or password is incorrect"), status="400 Bad Request"),
    "words in detail": http(fault("s:Sender", "", "Error", "<s:Detail><e>Authentication failed</e></s:Detail>")),
    "fault with 200": http(fault("s:Sender", "ter:NotAuthorized", "")),
    "SOAP 1.1": http(fault_1_1("SOAP-ENV:Client", "wsse:FailedAuthentication"), status="500 Error"),
    "SOAP 1.1 words": http(fault_1_1("SOAP-ENV:Client", "Unauthorized access"), status="500 Error"),
    "401 alone": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "401 and a fault": http(fault(), status="401 Unauthorized"),
    "401 with an unknown way": http("", status="401 Unauthorized", WWW_Authenticate='Bearer realm="x"'),
    "403": http("", status="403 Forbidden"),
    "403 and a fault": http(fault(), status="403 Forbidden"),
    "a page": http("<html>401 - Unauthorized</html>", status="500 Internal", kind="text/html"),
    "text": http("Invalid user name or password", status="400 Bad Request", kind="text/plain"),
    "locked": http(fault("s:Sender", "", "The account is locked"), status="400 Bad Request"),
}


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("asked", ["every operation", "the profiles"])
async def test_a_wrong_password_costs_one_failed_login_however_it_is_refused(capture, answer, asked):
    def refuse(request, camera):
        if asked == "the profiles" and request.operation != "GetProfiles":
            return camera.good_answer(request)
        if request.operation == "GetSystemDateAndTime":
            return camera.good_answer(request)
        return answer if camera.count_token(request) else camera.good_answer(request)

    outcome, camera = await capture({"*": refuse}, slots=6, attempts=3, login=Credentials("yard", "wrong"))
    assert reason_of(outcome) is FailureReason.REFUSED_CREDENTIALS
    assert "not sent again" in outcome.detail
    assert camera.failed_logins == 1


@pytest.mark.parametrize(
    "refusal",
    [
        http("", status="401 Unauthorized", WWW_Authenticate='Basic realm="x"'),
        http("Login incorrect", status="400 Bad Request", kind="text/plain"),
        http('{"code": -6, "msg": "invalid password"}', kind="application/json"),
        http("Forbidden", status="403 Forbidden"),
        http("<html>too many failed login attempts, the account is locked</html>", status="401 Unauthorized"),
        http("account locked for 30 minutes", status="503 Unavailable"),
    ],
    ids=range(6),
)
async def test_a_snapshot_that_refuses_the_login_is_asked_once(capture, refusal):
    sent = []

    def snapshot(request, _):
        if "authorization" not in request.headers:
            return http("", status="401 Unauthorized", WWW_Authenticate='Basic realm="x"')
        sent.append(request)
        return refusal

    outcome, _ = await capture({"snapshot": snapshot}, slots=6, attempts=3)
    assert reason_of(outcome) is FailureReason.REFUSED_CREDENTIALS
    assert len(sent) == 1


async def test_the_channels_of_one_recorder_cost_one_failed_login_together(make_farm, frame_source):
    def snapshot(request, _):
        if "authorization" in request.headers:
            camera.failed_logins += 1
        return http("", status="401 Unauthorized", WWW_Authenticate='Basic realm="x"')

    async with OddCamera(frame_source("ODD", SLOT), {"snapshot": snapshot}) as camera:
        bay = make_farm(cameras=1).bay
        cameras = tuple(camera.camera(f"N_{channel}", channel=channel) for channel in range(1, 9))
        config = {"path": "/{channel}.jpg", "timeout": 2.0}
        changes = {"cameras": cameras, "image_provider": "http", "image_provider_config": config}
        async with CaptureService(bay.model_copy(update=changes), credentials=LOGIN) as service:
            failures = (await service.capture(SLOT)).failures
    assert {failure.reason for failure in failures} == {FailureReason.REFUSED_CREDENTIALS}
    assert camera.failed_logins == 1


async def test_a_camera_that_was_sent_no_login_is_not_paused(capture):
    refusal = http("", status="401 Unauthorized", WWW_Authenticate='Basic realm="x"')
    outcome, camera = await capture({"snapshot": refusal}, slots=2, login=None)
    assert reason_of(outcome) is FailureReason.REFUSED_CREDENTIALS
    assert "no login is configured" in outcome.detail
    assert camera.operations["snapshot"] == 2


# -- C. Good pictures ---------------------------------------------------------------------------


async def multipart(jpeg, boundary=b"--frames", length=True, head=b"Content-Type: image/jpeg\r\n", wrong_by=0):
    yield b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frames\r\n\r\n"
    while True:
        size = b"Content-Length: %d\r\n" % (len(jpeg) + wrong_by) if length else b""
        yield boundary + b"\r\n" + head + size + b"\r\n" + jpeg + b"\r\n"
        await asyncio.sleep(0.3)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"length": False}, {"boundary": b"\r\n----frames"}, {"boundary": b"--other", "length": False},
        {"head": b""}, {"wrong_by": -1000},
    ],
    ids=range(6),
)  # fmt: skip
async def test_of_a_stream_of_pictures_the_first_is_taken(capture, frame_source, options):
    jpeg = frame_source("ODD", SLOT)
    outcome, _ = await capture({"snapshot": lambda *_: multipart(jpeg, **options)})
    assert outcome.jpeg.rstrip(b"\r\n") == jpeg


@pytest.mark.slow(1)
async def test_a_part_whose_length_is_too_large_is_not_waited_for(capture, frame_source):
    jpeg = frame_source("ODD", SLOT)

    async def one_part(*_):
        stream = multipart(jpeg, wrong_by=1000)
        yield await anext(stream)
        yield await anext(stream)
        await asyncio.sleep(60)

    outcome, _ = await capture({"snapshot": one_part})
    assert outcome.jpeg.rstrip(b"\r\n") == jpeg


@pytest.mark.parametrize(
    "tail", [b"dhav\x00\x10\x00\x00", bytes(range(96)), b"\r\n\r\n", b"\xff\xd9", b"\xff" * 50, b"\0" * 4096]
)
async def test_bytes_after_the_picture_s_end_cost_no_frame(capture, frame_source, tail):
    jpeg = frame_source("ODD", SLOT) + tail
    outcome, _ = await capture({"snapshot": jpeg_answer(jpeg)})
    assert outcome.jpeg == jpeg


@pytest.mark.slow(1)
async def test_a_frame_that_is_not_followed_by_an_end_is_taken(capture, frame_source):
    jpeg = frame_source("ODD", SLOT)

    async def unending(*_):
        yield b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg
        await asyncio.sleep(60)

    async def longer(*_):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(jpeg) + 100) + jpeg
        await asyncio.sleep(60)

    for answer in (unending, longer):
        outcome, _ = await capture({"snapshot": answer})
        assert outcome.jpeg == jpeg


async def test_two_captures_within_a_frame_s_interval_are_not_stale(capture, frame_source):
    outcome, _ = await capture({"snapshot": jpeg_answer(frame_source("ODD", SLOT))}, slots=2)
    assert reason_of(outcome) is FRAME


# -- D. An optional step that fails costs nothing -------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        http(""),
        http("Internal error", status="500 Error", kind="text/html"),
        http("", status="404 Not Found"),
        http("", status="302 Found", Location="http://10.0.0.1/"),
        http("", status="503 Unavailable"),
        http(fault("q:Receiver", "zz:ActionNotSupported", "no such action"), status="500 Error"),
        http(fault_1_1("SOAP-ENV:Server", "no such method"), status="500 Error"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<s:Env",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
        NOTHING,
        b"\x00\x01\x02",
    ],
    ids=range(11),
)
async def test_a_clock_that_cannot_be_read_costs_no_frame(capture, answer):
    outcome, _ = await capture({"GetSystemDateAndTime": answer})
    assert reason_of(outcome) is FRAME


@pytest.mark.parametrize("working", ["GetCapabilities", "GetServices"])
@pytest.mark.parametrize("answer", [http("no", status="500 Error"), http(EMPTY_BODY), http("", status="404 Not Found")])
async def test_one_way_to_the_media_service_is_enough(capture, working, answer):
    failing = {"GetCapabilities", "GetServices"} - {working}
    outcome, _ = await capture({failing.pop(): answer})
    assert reason_of(outcome) is FRAME


# -- E. Sloppy HTTP --------------------------------------------------------------------------------


def sloppy(kind, body, content_type):
    length = f"Content-Length: {len(body)}\r\n"
    heads = {
        "a line without a name": f"Tue, 12 Jun 2012 01:56:34 GMT\r\n{length}",
        "a line without a colon": f"Nonsense\r\n{length}",
        "an empty name": f": x\r\n{length}",
        "a blank in a name": f"Cache Control: no\r\n{length}",
        "a length too short": f"Content-Length: {len(body) - 3}\r\n",
        "a length too long": f"Content-Length: {len(body) + 3}\r\n",
        "two lengths": f"{length}Content-Length: {len(body) + 1}\r\n",
        "no number as length": "Content-Length: many\r\n",
        "no length": "",
        "bare line feeds": f"X: y\n{length}",
        "Latin-1": f"Server: S\xfcd\r\n{length}",
        "a control character": f"Server: a\x01b\r\n{length}",
    }
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{heads[kind]}\r\n".encode("latin-1")
    return (head.replace(b"\r\n", b"\n") if kind == "bare line feeds" else head) + body


KINDS = [
    "a line without a name",
    "a line without a colon",
    "an empty name",
    "a blank in a name",
    "a length too short",
    "a length too long",
    "two lengths",
    "no number as length",
    "no length",
    "bare line feeds",
    "Latin-1",
    "a control character",
]


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["snapshot", "services"])
async def test_sloppy_http_costs_no_frame(capture, frame_source, kind, where):
    def services(request, camera):
        body = camera.good_answer(request).partition(b"\r\n\r\n")[2]
        return sloppy(kind, body, "application/soap+xml")

    jpeg = frame_source("ODD", SLOT)
    if where == "snapshot":
        attempts = 2 if kind == "a length too short" else 1  # it looks like a truncated frame at first
        outcome, _ = await capture({"snapshot": sloppy(kind, jpeg, "image/jpeg")}, attempts=attempts)
        assert outcome.jpeg == jpeg
        return

    outcome, _ = await capture({"*": services})
    assert reason_of(outcome) is FRAME


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_kept_connection_that_is_dropped_is_asked_again_over_a_new_one(capture, frame_source, after):
    jpeg = frame_source("ODD", SLOT)

    def answer(request, camera):
        return camera.good_answer(request) if request.number <= after else None

    outcome, _ = await capture({"*": answer, "snapshot": answer}, odd={"stay": True})
    assert outcome.jpeg == jpeg


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", FailureReason.FAULTY_REPLY, "is no HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", FailureReason.UNREACHABLE, "scheme: https"),
        (http("", status="302 Found", Location="https://127.60.0.250/snap"), FailureReason.NOT_AN_IMAGE, "https"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000 + b"\r\n", FailureReason.FAULTY_REPLY, "head"),
        (http("x", Content_Encoding="br"), FailureReason.FAULTY_REPLY, "br"),
        (lambda *_: None, FailureReason.UNREACHABLE, "closes the connection without an answer"),
    ],
    ids=range(6),
)
async def test_what_cannot_be_read_is_named(capture, answer, reason, said):
    outcome, _ = await capture({"snapshot": answer})
    assert (reason_of(outcome), said in outcome.detail) == (reason, True), outcome.detail


# -- F. Variants of the protocol --------------------------------------------------------------------


@pytest.mark.parametrize("fold", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
async def test_compressed_though_that_was_not_asked_for(capture, frame_source, fold):
    jpeg = frame_source("ODD", SLOT)
    encoding = "gzip" if fold is gzip.compress else "deflate"
    outcome, _ = await capture({"snapshot": http(fold(jpeg), kind="image/jpeg", Content_Encoding=encoding)})
    assert outcome.jpeg == jpeg


@pytest.mark.slow(1)
async def test_a_bomb_of_gzip_is_too_large(capture):
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    outcome, _ = await capture({"snapshot": http(bomb, kind="image/jpeg", Content_Encoding="gzip")})
    assert reason_of(outcome) is FailureReason.TOO_LARGE


async def test_the_snapshot_on_another_port_of_the_same_host(capture, frame_source):
    other = OddCamera(frame_source("ODD", SLOT))
    async with other:
        uri = f"http://{HOST}:{other.port}/other.jpg"
        answers = {"GetSnapshotUri": http(soap.media_uri_reply("GetSnapshotUri", uri)), "snapshot": http("x")}
        outcome, camera = await capture(answers, slots=2)
    assert reason_of(outcome) is FRAME
    assert [request.target for request in other.requests] == ["/other.jpg"] * 2
    assert camera.operations["snapshot"] == 0


async def test_a_port_that_nobody_listens_at_falls_back_to_the_camera_s_own(capture):
    uri = http(soap.media_uri_reply("GetSnapshotUri", f"http://{HOST}:9/other.jpg"))
    outcome, camera = await capture({"GetSnapshotUri": uri}, slots=2)
    assert reason_of(outcome) is FRAME
    assert camera.operations["snapshot"] == 2


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("/snap.jpg?a=1", "/snap.jpg?a=1"),
        (f"http://{HOST}:99999/snap.jpg", "/snap.jpg"),
        (f"http://{HOST}:port/snap.jpg", "/snap.jpg"),
        (f"http://{HOST}/snap.jpg?a=1&amp;b=2", "/snap.jpg?a=1&b=2"),
    ],
    ids=["a path alone", "no port", "no number", "escaped twice"],
)
async def test_sloppy_addresses_of_the_snapshot(capture, uri, target):
    answer = http(soap.media_uri_reply("GetSnapshotUri", uri))
    outcome, camera = await capture({"GetSnapshotUri": answer})
    assert reason_of(outcome) is FRAME
    assert [request.target for request in camera.requests if not request.operation] == [target]


@pytest.mark.parametrize(
    "begin", [b"http/1.1 200 ok", b"\xef\xbb\xbfHTTP/1.1 200 OK", b"HTTP/1.1  200  OK", b"HTTP 200"]
)
async def test_status_lines_of_other_kinds(capture, frame_source, begin):
    answer = jpeg_answer(frame_source("ODD", SLOT)).replace(b"HTTP/1.1 200 OK", begin, 1)
    outcome, _ = await capture({"snapshot": answer})
    assert reason_of(outcome) is FRAME


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 102 X\r\n\r\n", b"\r\n\r\n"]
)
async def test_what_comes_before_an_answer(capture, frame_source, before):
    outcome, _ = await capture({"snapshot": before + jpeg_answer(frame_source("ODD", SLOT))})
    assert reason_of(outcome) is FRAME


@pytest.mark.parametrize("status", ["201 Created", "203 Other", "206 Partial Content"])
async def test_a_picture_with_another_status_of_success(capture, frame_source, status):
    outcome, _ = await capture({"snapshot": http(frame_source("ODD", SLOT), status=status, kind="image/jpeg")})
    assert reason_of(outcome) is FRAME


async def test_a_port_that_the_bay_s_file_names(capture, frame_source):
    async with OddCamera(frame_source("ODD", SLOT)) as other:
        outcome, _ = await capture({"snapshot": http("", status="404 Not Found")}, snapshot_port=other.port)
    assert reason_of(outcome) is FRAME
    assert len(other.requests) == 1


async def test_sources_of_a_recorder_are_channels(make_farm, frame_source):
    def profiles(channels):
        return http(
            soap._envelope(
                "<trt:GetProfilesResponse>"
                + "".join(
                    f'<trt:Profiles token="{kind}{channel}"><tt:Name>{kind} {channel}</tt:Name>'
                    "<tt:VideoSourceConfiguration>"
                    f"<tt:SourceToken>source{channel}</tt:SourceToken></tt:VideoSourceConfiguration>"
                    f"<tt:VideoEncoderConfiguration><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>9</tt:Height>"
                    "</tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"
                    for channel in channels
                    for kind, width in (("sub", 16), ("main", 64))
                )
                + "</trt:GetProfilesResponse>"
            )
        )

    def uri(request, camera):
        token = re.search(rb"ProfileToken>(\w+)<", request.body)[1].decode()
        return http(soap.media_uri_reply("GetSnapshotUri", f"http://{HOST}:{camera.port}/{token}"))

    answers = {"GetProfiles": profiles([7, 8]), "GetSnapshotUri": uri}
    async with OddCamera(frame_source("ODD", SLOT), answers) as camera:
        bay = make_farm(cameras=1).bay
        cameras = (
            camera.camera("FIRST", channel=1),
            camera.camera("SECOND", channel=2),
            camera.camera("NAMED", profile="sub 8"),
            camera.camera("TOKEN", profile="sub7"),
            camera.camera("NONE", channel=3),
            camera.camera("WRONG", profile="third"),
        )
        changes = {"cameras": cameras, "capture_attempts": 1}
        async with CaptureService(bay.model_copy(update=changes), credentials=LOGIN) as service:
            batch = await service.capture(SLOT)
    fetched = [request.target for request in camera.requests if not request.operation]
    assert sorted(fetched) == ["/main7", "/main8", "/sub7", "/sub8"]
    assert len(batch.images) == 4
    none, wrong = batch.failures
    assert none.reason is wrong.reason is FailureReason.NO_SNAPSHOT_SERVICE
    assert "2 video sources" in none.detail
    assert "main 7, sub 8" in wrong.detail or "sub 7, main 7" in wrong.detail


# -- G. Time -------------------------------------------------------------------------------------------


@pytest.mark.slow(1)
@pytest.mark.parametrize("header", ["Retry-After: 1\r\n", "", "Retry-After: soon\r\n"])
async def test_a_camera_that_is_busy_for_a_while_is_asked_again(capture, frame_source, header):
    jpeg, busy_until = frame_source("ODD", SLOT), asyncio.get_running_loop().time() + 0.9

    def snapshot(*_):
        if asyncio.get_running_loop().time() < busy_until:
            return f"HTTP/1.1 503 Busy\r\n{header}Content-Length: 0\r\n\r\n".encode()
        return jpeg_answer(jpeg)

    outcome, camera = await capture({"snapshot": snapshot}, attempts=3, deadline=6.0)
    assert reason_of(outcome) is FRAME
    assert camera.operations["snapshot"] <= 3


async def test_a_retry_after_that_lies_behind_the_deadline_is_kept(capture):
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"
    outcome, camera = await capture({"snapshot": answer}, attempts=3)
    assert reason_of(outcome) is FailureReason.BUSY
    assert camera.operations["snapshot"] == 1
