"""A body as it arrives: its bound, its end, its encoding, its first part."""

import gzip
import time
import tracemalloc
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.http.reply import Body, Reply

JPEG = b"\xff\xd8 a picture \xff\xd9"


def collect(pieces, *, max_bytes=10_000, first_part=True, **headers):
    """(content, pieces taken) of a body that comes in these pieces."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    body = Body("10.0.0.1:80", 200, named, max_bytes, first_part=first_part)
    for number, piece in enumerate(pieces, 1):
        if body.push(piece):
            return body.content(), number
    return body.content(), len(pieces)


def test_pieces_are_joined():
    assert collect([b"ab", b"c"]) == (b"abc", 2)


@pytest.mark.slow(1)
def test_small_pieces_cost_no_more_memory_than_their_bytes():
    body = Body("10.0.0.1:80", 200, CIMultiDict(), 10_000_000)
    tracemalloc.start()
    try:
        for number in range(300_000):
            body.push(b"%d>" % (number % 10))
            if number == 70:
                assert body.looks_whole
        body.push(b"x" * 600)
        assert not body.looks_whole
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < 2 * body.size
    assert body.content() == b"".join(b"%d>" % (number % 10) for number in range(300_000)) + b"x" * 600


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 5]])
def test_a_body_beyond_its_bound(pieces):
    with pytest.raises(CameraError) as caught:
        collect(pieces, max_bytes=10)
    assert caught.value.reason is FailureReason.TOO_LARGE


@pytest.mark.parametrize(
    ("fold", "encoding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, "X-GZIP"),
        (zlib.compress, "deflate"),
        (lambda data: zlib.compress(data, wbits=-15), "deflate"),
        (lambda data: data, "gzip"),
        (lambda data: data, "identity"),
    ],
)
def test_encodings(fold, encoding):
    assert collect([fold(b"picture" * 100)], Content_Encoding=encoding)[0] == b"picture" * 100


def test_what_unfolds_beyond_the_bound():
    with pytest.raises(CameraError) as caught:
        collect([gzip.compress(bytes(10_001))], Content_Encoding="gzip")
    assert caught.value.reason is FailureReason.TOO_LARGE


def test_an_encoding_that_is_not_read_is_named():
    with pytest.raises(CameraError, match="'br'") as caught:
        collect([b"x"], Content_Encoding="br")
    assert caught.value.reason is FailureReason.FAULTY_REPLY


@pytest.mark.parametrize(
    ("content_type", "stream"),
    [
        ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Length: LENGTH\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/x-mixed-replace; boundary=b", b"--b\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/x-mixed-replace; boundary=b", b"--b\r\nContent-Length: 3\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/x-mixed-replace; boundary=--b", b"--b\r\n\r\nPICTURE\r\n--b\r\n"),
        ('multipart/x-mixed-replace; boundary="b"', b"\r\n--b\nContent-Type: image/jpeg\n\nPICTURE\n--b\n"),
        ("multipart/x-mixed-replace", b"--b\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/x-mixed-replace; boundary=other", b"--b\r\n\r\nPICTURE\r\n--b\r\n"),
        (
            "multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\r\nPICTURE\r\n--b\r\n",
        ),
        ("multipart/mixed; boundary=b", b"--b\r\nContent-Length: 5\r\n\r\nhello\r\n--b\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/mixed; boundary=b", b"--b\r\n\r\n\r\n--b\r\nContent-Type: image/jpeg\r\n\r\nPICTURE\r\n--b\r\n"),
        ("multipart/mixed; boundary=b", b"--b\r\nPICTURE\r\n--b\r\n"),
        ("Multipart/Mixed; BOUNDARY=b", b"--b\r\ncontent-length:LENGTH\r\n\r\nPICTURE"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_first_part_of_a_stream(content_type, stream, size):
    data = stream.replace(b"LENGTH", b"%d" % len(JPEG)).replace(b"PICTURE", JPEG) * 3
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    content, _ = collect(pieces, Content_Type=content_type)
    assert content.rstrip(b"\r\n") == JPEG


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_of_parts_without_a_picture_the_first_is_taken(size):
    data = b"--b\r\n\r\ntoo many users\r\n--b\r\n\r\nmore\r\n--b--\r\n"
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert collect(pieces, Content_Type="multipart/mixed; boundary=b")[0] == b"too many users"


def test_many_parts_without_a_picture_take_no_time():
    began = time.thread_time()
    data = b"--b\r\n\r\nx\r\n" * 100_000
    assert collect([data], max_bytes=10_000_000, Content_Type="multipart/mixed; boundary=b")[0] == b"x"
    assert time.thread_time() - began < 1.0


def test_a_multipart_body_of_a_service_is_left_whole():
    body = b"--b\r\n\r\n<xml/>\r\n--b--"
    assert collect([body], first_part=False, Content_Type="multipart/related; boundary=b")[0] == body


@pytest.mark.slow(1)
@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from(["gzip", "deflate", "", "br"]), st.booleans())
def test_whatever_comes_is_content_or_a_named_error(pieces, encoding, multipart):
    kind = "multipart/x-mixed-replace; boundary=b" if multipart else "image/jpeg"
    try:
        content, _ = collect(pieces, max_bytes=400, Content_Encoding=encoding, Content_Type=kind)
    except CameraError:
        return
    assert len(content) <= 400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "Wed, 02 Jul 2025 07:10:30 GMT", "Date": "Wed, 02 Jul 2025 07:10:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 02 Jul 2025 07:09:00 GMT", "Date": "Wed, 02 Jul 2025 07:10:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1" * 400}, None),
        ({"Retry-After": "Wed, 02 Jul 2025 07:10:30 GMT", "Date": "never"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert Reply(503, CIMultiDict(headers), b"", datetime.now(UTC)).retry_after_s == seconds
