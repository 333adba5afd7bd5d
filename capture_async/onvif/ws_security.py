"""The UsernameToken of one SOAP message (OASIS UsernameToken profile 1.1, PasswordDigest)."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from capture_async.credentials import Credentials

_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"


def security_header(credentials: Credentials, clock_offset: timedelta) -> str:
    """A `wsse:Security` element, good for one message.

    Args:
        credentials: whose.
        clock_offset: the camera's clock minus ours: cameras compare the token's time with their own.
    """
    nonce = secrets.token_bytes(16)
    created = (datetime.now(UTC) + clock_offset).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + created.encode() + credentials.password.encode(), usedforsecurity=False).digest()
    return (
        f'<wsse:Security xmlns:wsse="{_OASIS}wssecurity-secext-1.0.xsd" '
        f'xmlns:wsu="{_OASIS}wssecurity-utility-1.0.xsd"><wsse:UsernameToken>'
        f"<wsse:Username>{escape(credentials.username)}</wsse:Username>"
        f'<wsse:Password Type="{_OASIS}username-token-profile-1.0#PasswordDigest">'
        f"{base64.b64encode(digest).decode()}</wsse:Password>"
        f'<wsse:Nonce EncodingType="{_OASIS}soap-message-security-1.0#Base64Binary">'
        f"{base64.b64encode(nonce).decode()}</wsse:Nonce>"
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )
