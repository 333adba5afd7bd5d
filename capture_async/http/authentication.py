"""HTTP authentication as cameras practise it, which RTSP borrows: several challenges at once, digest before basic.

Digest is RFC 7616 (which covers RFC 2617): MD5, SHA-256 and SHA-512-256, their `-sess` forms,
`qop=auth`, and the older form without qop. `auth-int` is left alone: cameras that
offer it alone have not been seen, and those that offer both often fail at it.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from capture_async.credentials import Credentials
from capture_async.errors import CameraError
from capture_async.types import FailureReason

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Firmwares leave the quotes out: `realm=Bay camera, qop=auth,auth-int`. A word that no `=` follows then belongs to
# the value before it; so does `auth-int`, which is no scheme.
_WORD = r'[^\s,="]+(?![^\s,="])(?!\s*=)'
_PLAIN = rf'[^\s,"]+(?:[ \t]+{_WORD})*(?:\s*,\s*auth(?:-int)?(?=\s*(?:,|$)))*'
_PARAMETER = re.compile(rf'({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_PLAIN}))\s*')
_SCHEME = re.compile(rf"({_NAME})(?:\s+|(?=,|$))")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*\s*(?=,|$)")
_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA256": hashlib.sha256,  # as some firmwares write it
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data),
}
_SESSION = "-SESS"
_UNAUTHORIZED, _FORBIDDEN, _SERVER_ERROR = 401, 403, 500
# No challenge, then an answer to it, then one more when the camera calls the nonce stale.
_MAX_REQUESTS = 3


class Answer(Protocol):
    """What `HttpAuthenticator.exchange` reads of an answer: its status, and every value of WWW-Authenticate."""

    @property
    def status(self) -> int:
        """Status code."""

    @property
    def challenges(self) -> list[str]:
        """One per header."""


_Answer = TypeVar("_Answer", bound=Answer)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a WWW-Authenticate header: scheme in lower case, parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str]


class HttpAuthenticator:
    """Authentication state of one camera: which scheme it wants, the nonce, how often it was used.

    Kept for as long as the camera is known, so that a capture usually needs no 401.
    It decides when asking again makes sense; a login that the camera has really
    refused with a fresh nonce is not sent again, because cameras lock accounts.
    """

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._digest: _Digest | None = None
        self._basic = False
        self._reuse_refused = False
        self._nonce_is_good_once = False
        self.worked_before = False
        """Whether this login was ever accepted."""

    @property
    def scheme(self) -> str | None:
        """How the login is sent, `digest` or `basic`; None while the camera has asked for none."""
        if self._digest is not None:
            return "digest"
        return "basic" if self._basic else None

    async def exchange(
        self, where: str, method: str, target: str, send: Callable[[str | None], Awaitable[_Answer]]
    ) -> _Answer:
        """Send a request; answer a challenge for as long as that can succeed.

        Args:
            where: the camera, for the error.
            method, target: as for `authorization`.
            send: sends the request with that Authorization header, or without one.

        Returns:
            The answer, whatever its status, except 401.

        Raises:
            CameraError: refused credentials.
        """
        for remaining in reversed(range(_MAX_REQUESTS)):
            sent = self.authorization(method, target)
            answer = await send(sent)
            if answer.status != _UNAUTHORIZED:
                if sent is not None and answer.status != _FORBIDDEN and answer.status < _SERVER_ERROR:
                    self.accepted()
                return answer
            if not self.challenged(answer.challenges, sent=sent) or remaining == 0:
                break
        # The next request begins without a login, so that a wrong password costs one failed login each time.
        self.forget()
        if sent is None:
            detail = "no login is configured, or the camera offers no known way (digest, basic)"
        else:
            detail = "login or password is wrong (check the bay's Airflow Connection and the camera)"
        raise CameraError(
            FailureReason.REFUSED_CREDENTIALS,
            f"{where}: {method} is answered 401: {detail}",
            final=True,
            login_refused=sent is not None,
        )

    def authorization(self, method: str, target: str) -> str | None:
        """Value of the Authorization header; None while the camera has asked for nothing.

        Args:
            method: as `GET`.
            target: path and query exactly as they are sent.
        """
        if self._credentials is None:
            return None
        if self._digest is not None:
            if self._digest.uses and self._nonce_is_good_once:
                return None  # asking without a login first brings a new nonce, and is no failed login
            return self._digest.authorization(self._credentials, method, target)
        if self._basic:
            pair = f"{self._credentials.username}:{self._credentials.password}"
            return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        return None

    def challenged(self, headers: Iterable[str], *, sent: str | None) -> bool:
        """Take in a 401; says whether asking once more can succeed.

        Args:
            headers: every value of WWW-Authenticate.
            sent: the Authorization header that was refused, if there was one.
        """
        if self._credentials is None:
            return False
        challenges = parse_challenges(headers)
        digest = _preferred(challenges)
        offers_basic = any(challenge.scheme == "basic" for challenge in challenges)
        # Many cameras refuse a nonce that has expired without saying stale=true: one that was good before is
        # replaced once, which costs a second failed login when the password was changed meanwhile.
        worth_it = sent is None or (
            digest is not None
            and (digest.stale or self._digest is None or self._digest.uses > 1 or digest.realm != self._digest.realm)
        )
        if sent is not None and digest is None and self._digest is not None and offers_basic:
            worth_it = True  # the camera was set from digest to basic
        self._reuse_refused = sent is not None and self._digest is not None and not (digest and digest.stale)
        self._digest, self._basic = digest, digest is None and offers_basic
        return worth_it and (digest is not None or offers_basic)

    def accepted(self) -> None:
        """Take in an answer that was no 401 to a request that carried the login."""
        if self._reuse_refused:
            # A nonce that is good once, at a camera that does not say stale=true: each second use of one would
            # be counted as a failed login.
            self._nonce_is_good_once = True
            self._reuse_refused = False
        self.worked_before = True

    def forget(self) -> None:
        """Begin again without a nonce."""
        self._digest, self._basic = None, False


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge of every header; one header may hold several (RFC 9110, 11.6.1).

    Text that is no challenge is passed over: what counts is whether a usable one is left.
    """
    challenges: list[Challenge] = []
    for header in headers:
        position = 0
        while position < len(header):
            if header[position] in ",; \t":
                position += 1
                continue
            parameter = _PARAMETER.match(header, position)
            if parameter is not None and challenges:
                name, quoted, plain = parameter.groups()
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                challenges[-1].parameters.setdefault(name.lower(), value)
                position = parameter.end()
                continue
            scheme = _SCHEME.match(header, position)
            if scheme is None:
                break
            challenges.append(Challenge(scheme[1].lower(), {}))
            position = scheme.end()
            token68 = _TOKEN68.match(header, position)
            if token68 is not None and _PARAMETER.match(header, position) is None:
                position = token68.end()
    return challenges


def digest_response(
    credentials: Credentials,
    *,
    method: str,
    target: str,
    realm: str,
    nonce: str,
    algorithm: str = "MD5",
    qop: str | None = "auth",
    count: str = "00000001",
    cnonce: str = "",
) -> str:
    """The `response` of RFC 7616, 3.4.1; without `qop` that of RFC 2069."""
    name = algorithm.upper()
    function = _HASHES[name.removesuffix(_SESSION)]

    def hashed(text: str) -> str:
        # Header bytes that are no UTF-8 arrive as surrogates, and are hashed as the bytes that they were.
        return function(text.encode("utf-8", "surrogateescape")).hexdigest()

    ha1 = hashed(f"{credentials.username}:{realm}:{credentials.password}")
    if name.endswith(_SESSION):
        ha1 = hashed(f"{ha1}:{nonce}:{cnonce}")
    ha2 = hashed(f"{method}:{target}")
    if qop is None:
        return hashed(f"{ha1}:{nonce}:{ha2}")
    return hashed(f"{ha1}:{nonce}:{count}:{cnonce}:{qop}:{ha2}")


@dataclass(slots=True)
class _Digest:
    """A digest challenge that can be answered, and how often its nonce was used."""

    realm: str
    nonce: str
    algorithm: str | None
    opaque: str | None
    with_qop: bool
    stale: bool
    uses: int = 0

    def authorization(self, credentials: Credentials, method: str, target: str) -> str:
        self.uses += 1
        count, cnonce = f"{self.uses:08x}", secrets.token_hex(8)
        response = digest_response(
            credentials,
            method=method,
            target=target,
            realm=self.realm,
            nonce=self.nonce,
            algorithm=self.algorithm or "MD5",
            qop="auth" if self.with_qop else None,
            count=count,
            cnonce=cnonce,
        )
        fields = [
            f"username={_quoted(credentials.username)}",
            f"realm={_quoted(self.realm)}",
            f"nonce={_quoted(self.nonce)}",
            f'uri="{target}"',
            f'response="{response}"',
        ]
        if self.algorithm is not None:
            fields.append(f"algorithm={self.algorithm}")
        if self.opaque is not None:
            fields.append(f"opaque={_quoted(self.opaque)}")
        if self.with_qop:
            fields += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        return "Digest " + ", ".join(fields)


def _preferred(challenges: list[Challenge]) -> "_Digest | None":
    """The first digest challenge with qop=auth; failing that the first that can be answered at all."""
    usable = [found for found in map(_usable_digest, challenges) if found is not None]
    return next((found for found in usable if found.with_qop), usable[0] if usable else None)


def _usable_digest(challenge: Challenge) -> _Digest | None:
    parameters = challenge.parameters
    if challenge.scheme != "digest" or "nonce" not in parameters:
        return None
    algorithm = parameters.get("algorithm")
    if (algorithm or "MD5").upper().removesuffix(_SESSION) not in _HASHES:
        return None
    # An empty list is none.
    options = [option for option in re.split(r"[\s,]+", parameters.get("qop", "").lower()) if option]
    if options and "auth" not in options:
        return None
    return _Digest(
        realm=parameters.get("realm", ""),
        nonce=parameters["nonce"],
        algorithm=algorithm,
        opaque=parameters.get("opaque"),
        with_qop=bool(options),
        stale=parameters.get("stale", "").lower() == "true",
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
