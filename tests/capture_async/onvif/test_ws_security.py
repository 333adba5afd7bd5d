"""The UsernameToken, against the formula of its profile, computed here by hand."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

from capture_async import Credentials
from capture_async.onvif.ws_security import security_header


def test_the_digest_is_that_of_the_profile():
    header = security_header(Credentials("a<b", "secret"), timedelta(hours=1))
    nonce, created, digest = (
        re.search(rf"<wss?[eu]:{name}[^>]*>([^<]*)<", header)[1] for name in ("Nonce", "Created", "Password")
    )
    expected = hashlib.sha1(base64.b64decode(nonce) + created.encode() + b"secret").digest()
    assert base64.b64decode(digest) == expected
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)
    assert "<wsse:Username>a&lt;b<" in header
    assert "secret" not in header
