"""HTTP as some firmwares speak it; from bytes on a socket to a reply or a named error."""

import asyncio
import socket
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.http import lenient
from capture_async.http.lenient import LenientTransport
from capture_async.http.request import Address, NoConnectionError, Request


async def ask(answer, *, hold=False, seconds=5.0, **options):
    """The reply to bytes, and the request that they answer; `hold` leaves the connection open after them."""
    seen = []

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if hold:
                await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        async with asyncio.timeout(seconds):
            reply = await LenientTransport().send(Request(address, "GET", "/x?y=1", max_bytes=10_000, **options))
    return reply, seen[0]


async def test_a_request_is_what_it_should_be():
    headers = {"Authorization": 'Digest realm="S\udcfcd"'}
    reply, request = await ask(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", headers=headers, body=b"<x/>")
    assert (reply.status, reply.body, reply.whole) == (200, b"ok", True)
    assert request.startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b'realm="S\xfcd"' in request
    assert b"Connection: close\r\n" in request
    assert b"Content-Length: 4\r\n" in request


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.0 200\r\n\r\nall of it", b"all of it"),
        (b"HTTP/1.1 200 OK\nX:y\n\nall of it", b"all of it"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger", b"longer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", b"short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\nabc", b""),
        (b"ICY 200 OK\r\n\r\nx", b"x"),
        (b"\xff\xd8 a picture without a head \xff\xd9", b"\xff\xd8 a picture without a head \xff\xd9"),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
    ],
    ids=range(12),
)
async def test_what_can_be_read(answer, body):
    reply, _ = await ask(answer)
    assert reply.body == body


@pytest.mark.slow(1)
async def test_a_picture_without_an_end_is_not_waited_for_long():
    reply, _ = await ask(b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8 picture \xff\xd9", hold=True)
    assert reply.body.endswith(b"\xff\xd9")


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (b"SSH-2.0-x\r\n\r\n", FailureReason.FAULTY_REPLY, "no HTTP"),
        (b"SSH-2.0-x", FailureReason.FAULTY_REPLY, "no HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", FailureReason.FAULTY_REPLY, "no HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", FailureReason.FAULTY_REPLY, "no HTTP"),
        (b"x" * 200_000, FailureReason.FAULTY_REPLY, "head"),
        (b"\x16\x03\x01\r\n\r\n", FailureReason.UNREACHABLE, "TLS"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(20_000), FailureReason.TOO_LARGE, "larger"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFF\r\n" + bytes(20_000),
            FailureReason.TOO_LARGE,
            "",
        ),
    ],
    ids=range(8),
)
async def test_what_cannot_is_named(answer, reason, said):
    with pytest.raises(CameraError) as caught:
        await ask(answer)
    assert (caught.value.reason, said in caught.value.detail) == (reason, True)


async def test_a_connection_that_ends_without_an_answer():
    with pytest.raises(ConnectionError):
        await ask(b"")


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>"


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (OK, 1),
        (OK.replace(b"1.1", b"1.0"), 3),
        (OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"), 3),
        (OK + b"x", 3),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 3),
        (b"HTTP/1.1 204 No\r\n\r\n", 1),
    ],
    ids=range(6),
)
async def test_a_connection_is_kept_where_the_answers_end_is_certain(answer, connections):
    begun = []

    async def serve(reader, writer):
        begun.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()

    transport = LenientTransport()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        request = Request(Address("127.0.0.1", server.sockets[0].getsockname()[1]), "GET", "/", keep=True)
        for _ in range(3):
            assert (await transport.send(request)).at_end is (connections == 1)
        await transport.close()
        assert len(begun) == connections


async def test_a_kept_connection_ends_by_itself(monkeypatch):
    monkeypatch.setattr(lenient, "_KEPT_S", 0.02)
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        with suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        await LenientTransport().send(Request(address, "GET", "/", keep=True))
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_connection_that_is_not_taken():
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):  # they fill its queue: what comes then is neither taken nor refused
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with pytest.raises(NoConnectionError):
            await LenientTransport().send(Request(Address(*full.getsockname()), "GET", "/", connect_s=0.2))


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 30), st.binary(max_size=8)), max_size=5))
def test_whatever_comes_is_a_reply_or_a_named_error(edits):
    answer = ANSWER
    for begin, length, put in edits:
        answer = answer[:begin] + put + answer[begin + length :]
    with suppress(CameraError, ConnectionError):
        asyncio.run(ask(answer))
