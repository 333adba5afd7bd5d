"""Addresses that cameras name: of each, only path and query are ever used."""

from urllib.parse import quote, urlsplit


def target_of(address: str) -> str:
    """Path and query of an address that a camera named, percent-encoded, without login and fragment.

    A path alone is one too: the host is known.

    Raises:
        ValueError: it is no http address.
    """
    parts = urlsplit(address.strip())
    is_path = not parts.scheme and not parts.netloc and parts.path.startswith("/")
    if not is_path and (parts.scheme.lower() not in ("http", "https") or not parts.netloc):
        raise ValueError(f"a {parts.scheme or 'relative'} address")
    return encoded_target(parts.path, parts.query)


def named_port(address: str) -> int | None:
    """The port that an address names; None where it names none that can be."""
    try:
        return urlsplit(address.strip()).port or None
    except ValueError:
        return None


def encoded_target(path: str, query: str) -> str:
    """Path and query as they are sent: blanks and the like are encoded; what the camera encoded stays as it is."""
    target = f"{path or '/'}?{query}" if query else path or "/"
    return quote(target, safe="%/?:@!$&'()*+,;=~")


def path_of(target: str) -> str:
    """The path alone: queries may hold logins, and go into no message."""
    return target.partition("?")[0]
