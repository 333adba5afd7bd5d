"""A figure and what it is held against, and the table that shows both."""

import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from bay_observation.errors import ConfigError

_RELATIONS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, ">": operator.gt}


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure and what it is held against: `relation` is `<=`, `>=` or `>`."""

    name: str
    figure: float
    relation: str
    bar: float
    unit: str = ""
    spread: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is on its side of the bar; what could not be measured is on neither."""
        return _RELATIONS[self.relation](self.figure, self.bar)


def chosen_parts(text: str, known: Iterable[str]) -> list[str]:
    """What `--parts` names, with commas between them.

    Raises:
        ConfigError: a part that there is not.
    """
    chosen, parts = text.split(","), list(known)
    if unknown := set(chosen) - set(parts):
        raise ConfigError(f"--parts: {', '.join(sorted(unknown))}: there are {', '.join(parts)}")
    return chosen


def bars_table(bars: Sequence[Bar], title: str = "Bars") -> Table:
    """Every bar on a line: figure, bar, spread, verdict."""
    table = Table("", "figure", "bar", "least to most", "", title=title, title_justify="left")
    for column in table.columns[1:4]:
        column.justify = "right"
    for bar in bars:
        sign = {"<=": "≤", ">=": "≥"}.get(bar.relation, bar.relation)
        verdict = "[green]holds[/green]" if bar.holds else "[bold red]fails[/bold red]"
        unit = f" {bar.unit}" if bar.unit else ""
        table.add_row(bar.name, f"{bar.figure:.4g}{unit}", f"{sign} {bar.bar:.4g}{unit}", bar.spread, verdict)
    return table


def spread(figures: Sequence[float]) -> str:
    """The least and the most of several figures, for `Bar.spread`."""
    return f"{min(figures):.4g} to {max(figures):.4g}"


def progress(what: str) -> None:
    """Say on stderr what a measurement does now."""
    print(f"... {what}", file=sys.stderr, flush=True)
