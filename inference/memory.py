"""Model calls that do not fit into the memory of a GPU are repeated with half as many items."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from inference import runtime

runtime.prepare()

import torch  # noqa: E402

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_chunks(call: Callable[[list[Item]], Sequence[Result]], items: Sequence[Item], size: int) -> list[Result | None]:
    """Results of all items, at most `size` a call; a call that runs out of memory is repeated with half as many.

    Returns:
        One result for each item, in their order; None for an item that does not even fit alone.
    """
    results: list[Result | None] = []
    while len(results) < len(items):
        some = list(items[len(results) : len(results) + size])
        try:
            results.extend(call(some))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()  # cached blocks of other sizes
            if len(some) == 1:
                results.append(None)
            else:
                size = len(some) // 2
    return results
