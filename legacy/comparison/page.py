"""A comparison as one HTML page that loads nothing."""

from datetime import datetime
from html import escape

from bays import BayConfig
from legacy.comparison import Comparison, Difference, Figure

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b2733}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.3rem .7rem;"
    "border-bottom:1px solid #d5dde5}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".yes{color:#0a6b3d;font-weight:600}.no{color:#a51d2d;font-weight:600}"
)


def page_of(comparison: Comparison, bay: BayConfig) -> str:
    """The page; times are the bay's own clock."""
    period = f"{_time(comparison.start, bay)} to {_time(comparison.end, bay)} ({escape(bay.timezone)})"
    verdict = '<p class="yes">ready</p>' if comparison.is_ready else '<p class="no">not ready</p>'
    reasons = "".join(f"<li>{escape(one)}</li>" for one in comparison.reasons)
    figures = "".join(map(_figure, comparison.figures))
    differences = "".join(_difference(one, bay) for one in comparison.differences)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(bay.bay_id)}: old and new</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(bay.bay_id)}: old and new</h1><p>{period}</p>{verdict}"
        f"{f'<ul>{reasons}</ul>' if reasons else ''}"
        f"<table><thead><tr><th>Figure</th><th>measured</th><th>wanted</th><th></th></tr></thead><tbody>{figures}</tbody></table>"
        f"<h2>{len(comparison.differences)} differences</h2>"
        "<table><thead><tr><th>since</th><th>kind</th><th>of</th><th>slots</th><th></th></tr></thead>"
        f"<tbody>{differences}</tbody></table></body></html>\n"
    )


def _figure(one: Figure) -> str:
    sign = "≥" if one.relation == ">=" else "≤"
    mark = '<td class="yes">holds</td>' if one.holds else '<td class="no">does not hold</td>'
    return (
        f'<tr><td>{escape(one.name)}</td><td class="n">{escape(one.text())}</td>'
        f'<td class="n">{sign} {one.threshold:g}{escape(one.unit)}</td>{mark}</tr>'
    )


def _difference(one: Difference, bay: BayConfig) -> str:
    since = "" if one.since is None else _time(one.since, bay)
    return (
        f"<tr><td>{since}</td><td>{escape(one.kind)}</td><td>{escape(one.subject)}</td>"
        f'<td class="n">{one.slots}</td><td>{escape(one.text)}</td></tr>'
    )


def _time(moment: datetime, bay: BayConfig) -> str:
    return f"{moment.astimezone(bay.zone):%Y-%m-%d %H:%M}"
