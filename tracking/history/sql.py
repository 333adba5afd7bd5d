"""The few functions that SQLite and PostgreSQL name differently."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class seconds(FunctionElement[float]):  # noqa: N801 - it reads as a function
    """seconds(start, end): from one time to another."""

    type = sa.Float()
    inherit_cache = True


class epoch(FunctionElement[int]):  # noqa: N801
    """epoch(time): whole seconds since 1970, UTC; a number is read many times faster than a time."""

    type = sa.BigInteger()
    inherit_cache = True


class later(FunctionElement[Any]):  # noqa: N801
    """later(a, b): the later of two times; b where a is null."""

    inherit_cache = True


class earlier(FunctionElement[Any]):  # noqa: N801
    """earlier(a, b): the earlier of two times; b where a is null."""

    inherit_cache = True


@compiles(seconds, "postgresql")
def _(element: seconds, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    # Not extract(): its exact numbers make a sum several times as long.
    return f"date_part('epoch', {end} - {start})"


@compiles(seconds, "sqlite")
def _(element: seconds, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(strftime('%s', {end}) - strftime('%s', {start}))"


@compiles(epoch, "postgresql")
def _(element: epoch, compiler: Any, **options: Any) -> str:
    return f"extract(epoch FROM {compiler.process(element.clauses, **options)})::bigint"


@compiles(epoch, "sqlite")
def _(element: epoch, compiler: Any, **options: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **options)}) AS INTEGER)"


# PostgreSQL's pass over nulls; SQLite's min() and max() of several values are null if one is.
@compiles(later, "postgresql")
def _(element: later, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


@compiles(earlier, "postgresql")
def _(element: earlier, compiler: Any, **options: Any) -> str:
    return f"least({compiler.process(element.clauses, **options)})"


@compiles(later, "sqlite")
def _(element: later, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(clause, **options) for clause in element.clauses)
    return f"max(coalesce({first}, {second}), {second})"


@compiles(earlier, "sqlite")
def _(element: earlier, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(clause, **options) for clause in element.clauses)
    return f"min(coalesce({first}, {second}), {second})"
