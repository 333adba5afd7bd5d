"""The camera's half of HTTP authentication: digest (RFC 7616, MD5, qop=auth) and basic."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import Enum

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_KEPT_NONCES = 64


class Verdict(Enum):
    """What became of a request's Authorization header."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    STALE = "stale"
    WRONG = "wrong"


@dataclass(slots=True)
class HttpLogin:
    """Checks one camera's HTTP logins and makes its challenges."""

    realm: str
    username: str
    password: str
    lock_after: int | None = None
    _failures: int = 0
    _nonces: dict[str, set[str]] = field(default_factory=dict)

    @property
    def locked(self) -> bool:
        """Whether so many logins failed that none is accepted any more."""
        return self.lock_after is not None and self._failures >= self.lock_after

    def failed(self) -> None:
        """Count a failed login, by whichever way it came."""
        self._failures += 1

    def check(self, header: str | None, method: str, target: str, *, basic: bool, one_time: bool) -> Verdict:
        """Judge one request. `target` is path and query as they were sent; `basic` accepts basic as well."""
        if header is None:
            return Verdict.MISSING
        if self.locked:
            return Verdict.WRONG
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "basic" and basic:
            return self._check_basic(rest)
        if scheme.lower() == "digest":
            return self._check_digest(rest, method, target, one_time)
        return Verdict.WRONG

    def challenges(self, verdict: Verdict, *, digest: bool, basic: bool) -> list[str]:
        """The values of WWW-Authenticate, one header each, basic before digest."""
        offered = []
        if basic:
            offered.append(f'Basic realm="{self.realm}"')
        if digest:
            nonce = secrets.token_urlsafe(18)
            while len(self._nonces) >= _KEPT_NONCES:
                del self._nonces[next(iter(self._nonces))]
            self._nonces[nonce] = set()
            stale = ", stale=true" if verdict is Verdict.STALE else ""
            offered.append(f'Digest realm="{self.realm}", nonce="{nonce}", qop="auth", algorithm=MD5{stale}')
        return offered

    def several_challenges(self, verdict: Verdict) -> list[str]:
        """All in one header, the one that is of use last."""
        (digest,) = self.challenges(verdict, digest=True, basic=False)
        integrity = digest.replace('qop="auth"', 'qop="auth-int"').replace('nonce="', 'nonce="x')
        return [f'Negotiate, Basic realm="{self.realm}", {integrity}, {digest}']

    def forget(self) -> None:
        """Drop every nonce, as a restart does."""
        self._nonces.clear()

    def _check_basic(self, encoded: str) -> Verdict:
        try:
            sent = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return Verdict.WRONG
        right = hmac.compare_digest(sent, f"{self.username}:{self.password}".encode())
        return Verdict.ACCEPTED if right else Verdict.WRONG

    def _check_digest(self, text: str, method: str, target: str, one_time: bool) -> Verdict:
        sent = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(text)}
        ha1 = _md5(f"{self.username}:{self.realm}:{self.password}")
        ha2 = _md5(f"{method}:{target}")
        nonce, count, cnonce = sent.get("nonce", ""), sent.get("nc", ""), sent.get("cnonce", "")
        response = _md5(f"{ha1}:{nonce}:{count}:{cnonce}:auth:{ha2}")
        named_rightly = (
            sent.get("username") == self.username
            and sent.get("realm") == self.realm
            and sent.get("uri") == target
            and sent.get("qop") == "auth"
        )
        if not named_rightly or not hmac.compare_digest(response, sent.get("response", "")):
            return Verdict.WRONG
        used = self._nonces.get(nonce)
        if used is None or count in used or (one_time and used):
            return Verdict.STALE
        used.add(count)
        return Verdict.ACCEPTED


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
