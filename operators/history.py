"""For a task of one's own: `with open_history() as history:`. See docs/history.md."""

from operators._history import open_history

__all__ = ["open_history"]
