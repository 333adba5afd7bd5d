"""The main server's clock, measured from the answers of its API."""

import http.server
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from triggers import main_clock
from triggers.main_clock import MainClock

pytestmark = pytest.mark.slow(1)

OFF = timedelta(minutes=-7)


@pytest.fixture
def main():
    """An API server whose clock is seven minutes behind this host's; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            type(self).asked += 1
            self.send_response_only(401)
            if not self.path.endswith("no-date"):
                self.send_header("Date", format_datetime(datetime.now(UTC) + OFF, usegmt=True))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_offset_is_measured_once_and_logged(main, caplog):
    address, handler = main
    clock = MainClock(address)
    assert abs(clock.now() - datetime.now(UTC) - OFF) < timedelta(seconds=2)
    assert abs(clock.offset() - OFF) < timedelta(seconds=2)
    assert handler.asked == 1
    assert "ahead of main's" in caplog.text


def test_it_is_measured_again_after_a_minute(main, monkeypatch):
    address, handler = main
    monkeypatch.setattr(main_clock, "_KEPT_S", -1.0)
    clock = MainClock(address)
    clock.now()
    clock.now()
    assert handler.asked == 2


@pytest.mark.parametrize("path", ["no-date", None])
def test_without_an_answer_the_own_clock_counts_and_the_log_says_so(main, caplog, path):
    address = f"{main[0]}{path}" if path else "http://127.0.0.1:9/"
    assert abs(MainClock(address).now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert "this host's own clock counts" in caplog.text


def test_what_was_measured_last_counts_while_main_does_not_answer(main, monkeypatch, caplog):
    monkeypatch.setattr(main_clock, "_KEPT_S", -1.0)
    clock = MainClock(main[0])
    clock.now()
    clock._url = "http://127.0.0.1:9/"
    assert abs(clock.offset() - OFF) < timedelta(seconds=2)
    assert "its offset of before counts" in caplog.text
