"""Names of classes that are a known one in another spelling."""

import difflib
from collections.abc import Sequence

# Share of equal letters from which two names count as one in two spellings.
_SIMILAR = 0.85


def near_misses(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Names that are not known but spelt like a known one, and that one.

    Case, hyphens, spaces and underscores do not count; a name that is similar otherwise counts
    only if the known name is missing.
    """
    plain = {_plain(name): name for name in known}
    found = {}
    for name in names:
        if name in known:
            continue
        close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_SIMILAR)
        if close and (close[0] == _plain(name) or plain[close[0]] not in names):
            found[name] = plain[close[0]]
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
