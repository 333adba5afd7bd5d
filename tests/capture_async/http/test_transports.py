"""What every way of sending does to a camera that sends more than it was asked for."""

import asyncio
import time
from contextlib import suppress

import pytest

from capture_async import FailureReason
from capture_async.errors import CameraError
from capture_async.http.request import Address, MalformedReplyError, Request
from capture_async.http.transports import Transports

# Whatever a camera does has the same outcome whichever way it is asked.
pytestmark = pytest.mark.parametrize("sent_by", ["aiohttp", "first capture"], indirect=True)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>"


async def flooded(first, piece, seconds):
    """How a request ends while a camera sends all it can, and the most CPU seconds between two turns of the loop."""

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            while True:
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def watched():
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            turns.append(now - last)
            last = now

    turns = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        request = Request(Address("127.0.0.1", server.sockets[0].getsockname()[1]), "GET", "/")
        watch = asyncio.create_task(watched())
        async with Transports() as transports:
            try:
                async with asyncio.timeout(seconds):
                    return await transports.transport(is_lenient=False).send(request), max(turns)
            except (TimeoutError, CameraError, MalformedReplyError) as error:
                return error, max(turns)
            finally:
                watch.cancel()


async def assert_a_flood_lets_the_loop_run(first, piece):
    """How the request ends; no turn takes as long as two million additions, in one of three tries.

    What else the machine does makes a turn longer, never shorter.
    """
    for _ in range(3):
        ended, longest = await flooded(first, piece, 0.7)
        if longest < 2 * cpu_s_of_a_million_additions():
            return ended
    pytest.fail(f"a turn of the loop took {longest:.2f} s of CPU time")


def cpu_s_of_a_million_additions():
    began = time.thread_time()
    for number in range(1_000_000):
        number += 1  # noqa: PLW2901
    return time.thread_time() - began


@pytest.mark.slow(1)
@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 50_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n" * 150_000),
        (b"", b"\r\n" * 150_000),
    ],
    ids=["chunks of a byte", "empty lines for chunks", "empty lines"],
)
async def test_a_flood_lets_the_loop_run(first, piece):
    """A piece of the socket, 256 kB, took 0.3 s in which nothing else ran: four times a million additions."""
    ended = await assert_a_flood_lets_the_loop_run(first, piece)
    assert isinstance(ended, TimeoutError | CameraError | MalformedReplyError)


async def test_what_comes_late_is_not_the_next_answer():
    """A camera that answers twice: the second answer is of the first request."""
    answers = iter([b"1st", b"2nd", b"3rd"])

    async def serve(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                answer = OK.replace(b"<a>", next(answers))
                writer.write(answer)
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, Transports() as transports:
        request = Request(Address("127.0.0.1", server.sockets[0].getsockname()[1]), "GET", "/", keep=True)
        assert (await transports.transport(is_lenient=False).send(request)).body == b"1st"
        await asyncio.sleep(0.1)
        assert (await transports.transport(is_lenient=False).send(request)).body == b"2nd"


@pytest.mark.slow(0.5)
async def test_interim_answers_without_end_let_the_loop_run(sent_by):
    """aiohttp reads them until the time is up; read leniently they are a faulty reply."""
    ended = await assert_a_flood_lets_the_loop_run(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000)
    assert isinstance(ended, TimeoutError | CameraError)
    if isinstance(ended, CameraError):
        assert ended.reason is FailureReason.FAULTY_REPLY
        assert "interim" in ended.detail
