"""`python -m dashboard.alerting`: alerts and events to people. See docs/alerting.md.

It runs on the main server, where the history and Airflow's Connections are at hand.
"""

import argparse
import getpass
import logging
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bay_observation.bay_files import unknown_bays
from bay_observation.commands import DONE, failed, output_console, program, run_command
from bay_observation.errors import BayObservationError, ConfigError
from dashboard.export_parts import HANGS_S, Group
from dashboard.serving import address

if TYPE_CHECKING:
    from bays import BayConfig
    from dashboard.alerting.dispatcher import Dispatcher

_TICK_S = 10.0
_WATCH_S = 15.0
_ASKED = "history"
_OF_LATE = timedelta(days=1)

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when it is done or stopped; 1 where a channel took nothing or there is no such alert; 2 for wrong use.
    """
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        return int(options.run(options))
    except BayObservationError as error:
        return failed(error)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    text = "Alerts and events to people, by the file of the routes."
    parser = argparse.ArgumentParser(prog=program("python -m dashboard.alerting"), description=text)
    words = parser.add_subparsers(dest="command", required=True)

    serve = words.add_parser("serve", help="take alerts from Alertmanager and send, until it is stopped")
    serve.add_argument(
        "--listen", type=address, default="127.0.0.1:9471", help="HOST:PORT for Alertmanager's posts (127.0.0.1:9471)"
    )
    serve.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that Alertmanager must send")
    serve.add_argument("--routes", type=Path, metavar="FILE", help="the file of the routes (ALERT_ROUTES)")
    serve.set_defaults(run=_serve)

    listed = words.add_parser("list", help="alerts that last or ended within a day, and mutes")
    listed.set_defaults(run=_list)

    acknowledged = words.add_parser("acknowledge", help="take an alert over")
    acknowledged.add_argument("alert", help="its id, or the first characters of it")
    acknowledged.add_argument("--author", default=None, help="in whose name (this login)")
    acknowledged.set_defaults(run=_acknowledge)

    muted = words.add_parser("mute", help="send nothing of a bay or a kind for a while")
    muted.add_argument("--bay", default="", help="of this bay only")
    muted.add_argument("--kind", default="", help="of this alert or kind of event only")
    muted.add_argument("--for", dest="length", required=True, metavar="DURATION", help="30m, 8h, 2d")
    muted.add_argument("--reason", default="", help="for those who wonder")
    muted.add_argument("--author", default=None, help="in whose name (this login)")
    muted.set_defaults(run=_mute)

    unmuted = words.add_parser("unmute", help="end a mute")
    unmuted.add_argument("mute", help="its id")
    unmuted.set_defaults(run=_unmute)

    checked = words.add_parser("check", help="check the file of the routes")
    checked.add_argument("--routes", type=Path, metavar="FILE", help="the file of the routes (ALERT_ROUTES)")
    checked.set_defaults(run=_check)

    tried = words.add_parser("try", help="send a message of no alert through a channel")
    tried.add_argument("channel", help="its name")
    tried.add_argument("--routes", type=Path, metavar="FILE", help="the file of the routes (ALERT_ROUTES)")
    tried.set_defaults(run=_try)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from dashboard.alerting.dispatcher import Dispatcher
    from dashboard.alerting.receiver import receiving_app
    from dashboard.alerting.routes import load_routes
    from dashboard.api.history import history
    from dashboard.serving import serving, token_of

    routes = load_routes(options.routes)
    dispatcher = Dispatcher(routes, history(), _running_bays)
    app = receiving_app(dispatcher, token_of(options.token_file))
    host, port = options.listen
    with serving(app, host, port) as chosen:
        print(f"takes alerts at http://{host}:{chosen}/alerts", file=sys.stderr, flush=True)
        watch = threading.Thread(target=_watch_history, args=(dispatcher,), name="history", daemon=True)
        watch.start()
        _tick_for_ever(dispatcher.tick)
    return DONE


def _watch_history(dispatcher: "Dispatcher", every_s: float = _WATCH_S, hangs_s: float = HANGS_S) -> None:
    """Ask the history's database every few seconds, in a thread, and let the dispatcher know while it hangs."""
    history, waiter = Group("history", hangs_s), threading.Event()
    while True:
        history.ask({_ASKED: partial(_asked, dispatcher)})
        waiter.wait(every_s)
        if history.hangs:
            try:
                dispatcher.history_hangs()
            except Exception:  # noqa: BLE001 - a service that ends sends nothing any more
                _log.exception("that the history hangs could not be sent; it is tried again")


def _asked(dispatcher: "Dispatcher") -> tuple[()]:
    with suppress(BayObservationError):  # `tick` meets it as well
        dispatcher.ask_history()
    return ()


def _tick_for_ever(tick: Callable[[], int]) -> None:
    """Call it every few seconds; what fails is logged, and tried again."""
    waiter = threading.Event()
    while True:
        began = time.monotonic()
        try:
            tick()
        except Exception:  # noqa: BLE001 - a service that ends sends nothing any more
            _log.exception("not everything could be sent; it is tried again")
        waiter.wait(max(0.0, _TICK_S - (time.monotonic() - began)))


def _list(_options: argparse.Namespace) -> int:
    from dashboard.api.history import history
    from tracking.history.alerts import REPEATED_WITHIN, alerts_of, mutes_at

    now = datetime.now(UTC)
    console = output_console()
    table = Table("id", "since (UTC)", "until", "severity", "alert", "what", "acknowledged")
    for alert in alerts_of(history(), now - _OF_LATE):
        unsure = alert.until is None and alert.seen is not None and now - alert.seen > REPEATED_WITHIN
        until = f"{alert.until:%d %b %H:%M}" if alert.until else "lasts" if not unsure else f"seen {alert.seen:%H:%M}"
        table.add_row(
            alert.fingerprint,
            f"{alert.since:%d %b %H:%M}",
            until,
            alert.severity,
            alert.name,
            escape(alert.summary),
            escape(alert.acknowledged_by or ""),
        )
    console.print(table if table.rows else "no alert lasts or ended within a day")
    mutes = mutes_at(history(), now)
    table = Table("mute", "until (UTC)", "bay", "kind", "author", "reason")
    for mute in mutes:
        table.add_row(
            mute.mute_id,
            f"{mute.until:%d %b %H:%M}",
            mute.bay_id or "all",
            mute.kind or "all",
            escape(mute.author),
            escape(mute.reason),
        )
    if mutes:
        console.print(table)
    return DONE


def _acknowledge(options: argparse.Namespace) -> int:
    from dashboard.api.history import history
    from tracking.history.alerts import acknowledge

    taken = acknowledge(history(), options.alert, options.author or getpass.getuser(), datetime.now(UTC))
    print(f"{taken.fingerprint}: {taken.summary or taken.name}: acknowledged by {taken.acknowledged_by}")
    return DONE


def _mute(options: argparse.Namespace) -> int:
    from bays import bay_ids
    from dashboard.alerting.routes import Match, duration
    from dashboard.api.history import history
    from tracking.history.alerts import Mute, add_mute

    if options.bay and options.bay not in bay_ids():
        raise unknown_bays([options.bay], bay_ids(), "--bay")
    try:
        if options.kind:
            Match(kinds=(options.kind,))
        length = duration(options.length)
    except ValueError as error:
        raise ConfigError(
            f"--kind is an alert's name or a kind of event, --for a duration as 30m, 8h, 2d: {error}"
        ) from None
    now = datetime.now(UTC)
    mute = Mute(now, now + length, options.author or getpass.getuser(), options.bay, options.kind, options.reason)
    add_mute(history(), mute)
    print(f"{mute.mute_id}: until {mute.until:%Y-%m-%d %H:%M} UTC")
    return DONE


def _unmute(options: argparse.Namespace) -> int:
    from dashboard.api.history import history
    from tracking.history.alerts import end_mute

    end_mute(history(), options.mute, datetime.now(UTC))
    print(f"{options.mute}: ended")
    return DONE


def _check(options: argparse.Namespace) -> int:
    from bays import bay_ids
    from dashboard.alerting.routes import load_routes

    routes = load_routes(options.routes)
    for route in routes.routes:
        if not set(route.match.bays) <= set(bay_ids()):
            raise unknown_bays(route.match.bays, bay_ids(), f"route {route.name}")
    print(f"{len(routes.routes)} routes, {len(routes.channels)} channels: in order")
    return DONE


def _try(options: argparse.Namespace) -> int:
    from dashboard.alerting.channels import send
    from dashboard.alerting.routes import load_routes
    from dashboard.alerting.wording import Message

    routes = load_routes(options.routes)
    if options.channel not in routes.channels:
        raise ConfigError(f"there is no channel {options.channel}; there are {', '.join(routes.channels)}")
    text = "A message to try the channel: nothing has happened.\n"
    send(routes.channels[options.channel], Message(secrets.token_hex(16), "[info] a try", text, "info", ()))
    print(f"{options.channel}: taken")
    return DONE


def _running_bays() -> "dict[str, BayConfig]":
    from bays import sound_bays

    def faulty(bay_id: str, error: Exception) -> None:
        _log.warning("bay %a: its events are not sent: %s", bay_id, error)

    return sound_bays(faulty)


if __name__ == "__main__":
    run_command(main)
