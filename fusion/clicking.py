"""A page on this machine alone, on which a person clicks floor points in a camera's frame.

The standard library's server on a loopback port. The address carries a secret, and
a request for another host is refused, so that no other page or user can write.
"""

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from bay_observation.errors import CalibrationError
from fusion.calibration import FloorPoint
from fusion.point_files import POINT_COLUMNS, SurveyPoint, point_of, write_points

_LARGEST_BODY = 1_000_000
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


class ClickingPage:
    """Serves the page until the person is done.

    Args:
        camera: name that the page shows.
        frame: JPEG or PNG, as the camera sent it.
        size: (width, height) in pixels that the frame must have.
        path: file of the points, read by the caller and written here.
        points: that are there already.
        survey: named places that may be clicked on.
        judge: what the points so far give, as text; raises CalibrationError.
        port: 0 takes a free one.

    Raises:
        CalibrationError: the frame is no image, or the port is in use.
    """

    def __init__(
        self,
        camera: str,
        frame: bytes,
        size: tuple[int, int],
        path: Path,
        *,
        points: Sequence[FloorPoint] = (),
        survey: Sequence[SurveyPoint] = (),
        judge: Callable[[Sequence[FloorPoint]], str],
        port: int = 0,
    ) -> None:
        kind = next((kind for magic, kind in _MAGIC.items() if frame.startswith(magic)), None)
        if kind is None:
            raise CalibrationError(f"the frame of camera {camera} is neither JPEG nor PNG: give another with --frame")
        self.camera, self.frame, self.kind, self.size, self.path = camera, frame, kind, size, path
        self.points, self.survey, self.judge = list(points), list(survey), judge
        self.done = threading.Event()
        self._secret = secrets.token_urlsafe(12)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        except OSError as error:
            raise CalibrationError(f"port {port} on 127.0.0.1 cannot be used: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def prefix(self) -> str:
        """Path under which everything is served."""
        return f"/{self._secret}/"

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        return f"http://{self.host}{self.prefix}"

    def __enter__(self) -> "ClickingPage":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def state(self) -> dict[str, Any]:
        """What the page starts from."""
        return {
            "camera": self.camera,
            "size": self.size,
            "file": str(self.path),
            "points": [{name: getattr(point, name) for name in POINT_COLUMNS} for point in self.points],
            "survey": [asdict(point) for point in self.survey],
        }

    def save(self, body: Any) -> dict[str, Any]:
        """Write the points and say what they give.

        Raises:
            CalibrationError: a point or the frame's size is wrong; nothing is written then.
        """
        if not isinstance(body, dict) or not isinstance(body.get("points"), list):
            raise CalibrationError("the page sent no points: load it again")
        if body.get("size") != list(self.size):
            raise CalibrationError(
                f"the frame is {body.get('size')} pixels, and the intrinsics are for {list(self.size)}: "
                "set the camera's resolution, or width and height in the bay's file"
            )
        rows = body["points"]
        if not all(isinstance(row, dict) for row in rows):
            raise CalibrationError("the page sent a point that is none: load it again")
        points = [point_of(row, f"point {number}", number) for number, row in enumerate(rows, start=1)]
        write_points(self.path, points)
        self.points = points
        try:
            return {"saved": len(points), "report": self.judge(points)}
        except CalibrationError as error:  # not enough yet, as a rule; the points are kept
            return {"saved": len(points), "report": str(error)}


def _handler(page: ClickingPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "calibration", ""

        def do_GET(self) -> None:
            """The page, its frame, its state."""
            wanted = self._wanted()
            if wanted == "":
                html = files("fusion").joinpath("clicking.html").read_bytes()
                self._answer(200, "text/html; charset=utf-8", html)
            elif wanted == "frame":
                self._answer(200, page.kind, page.frame)
            elif wanted == "state":
                self._json(200, page.state())
            else:
                self._json(404, {"error": "there is nothing here"})

        def do_POST(self) -> None:
            """Points to save, or the end."""
            wanted = self._wanted()
            if wanted not in ("points", "done"):
                self._json(404, {"error": "there is nothing here"})
                return
            try:
                length = int(self.headers.get("Content-Length") or 0)
                if not 0 <= length <= _LARGEST_BODY:
                    raise CalibrationError("the page sent too much")
                answer = page.save(json.loads(self.rfile.read(length)))
            except (CalibrationError, ValueError) as error:
                self._json(400, {"error": str(error)})
                return
            self._json(200, answer)
            if wanted == "done":
                page.done.set()

        def _wanted(self) -> str | None:
            """The path behind the secret; None for what is not ours."""
            if self.headers.get("Host") != page.host or not self.path.startswith(page.prefix):
                return None
            return self.path.removeprefix(page.prefix)

        def _json(self, status: int, value: Any) -> None:
            self._answer(status, "application/json", json.dumps(value).encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Not a line for every request: the terminal shows what the person needs."""

    return Handler
