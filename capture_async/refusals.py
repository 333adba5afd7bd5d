"""What a camera's error text means: a refused login, a locked account, or too many connections.

Cameras say it with a status, a fault code or words alone, and firmwares differ in which.
A refusal that goes unrecognised is repeated with every try, until the account is locked.
"""

import re
from collections.abc import Iterable
from enum import Enum

_CODES = frozenset(
    {
        "accessdenied",
        "accountlocked",
        "authenticationfailed",
        "authenticationfailure",
        "failedauthentication",
        "failedcheck",
        "forbidden",
        "invalidcredentials",
        "invalidsecurity",
        "invalidsecuritytoken",
        "notauthenticated",
        "notauthorized",
        "permissiondenied",
        "securitytokenunavailable",
        "sendernotauthorized",
        "unauthenticated",
        "unauthorized",
    }
)
_SEARCHED = 4096
# These are matched against the text's words in lower case, one blank between two.
_NEAR = r" (?:\w+ ){0,3}?"
_LOGIN = r"(?:user ?name|user|password|passwd|credentials?|login|log ?in|account|security token|digest)"
_WRONG = r"(?:wrong|invalid|incorrect|bad|illegal|mismatch\w*|denied|rejected|refused|fail\w*|error|unknown|expired)"
_TRIES = r"(?:(?:failed |login |password |log ?in )+(?:attempts?|tries|retries)|retries)"
_LOCKED = re.compile(
    rf"\b(?:{_LOGIN}|ip(?: address)?){_NEAR}(?:locked|blocked|banned|frozen|suspended|disabled)\b|\block(?:ed)? ?out\b"
    rf"|\b(?:locked|blocked) (?:for \d|until\b)|\blogin lock\b|\btry again (?:after|in) \d+ (?:minute|min|hour)"
    rf"|\bmax(?:imum)? (?:number of )?{_TRIES}|\b{_TRIES}{_NEAR}(?:exceed\w*|reached|limit\w*|used up)\b"
    rf"|\btoo many{_NEAR}(?:attempts?|fail\w*|tries)\b|\btoo many (?:wrong|invalid|incorrect|bad) "
)
_BUSY = re.compile(
    r"\btoo many\b|\bmax(?:imum)? (?:number of )?(?:connection|user|session|client|stream)"
    r"|\b(?:connection|user|session|client|stream)s? (?:limit|exceed|full|reached|number)"
    r"|\b(?:device|camera|system|server|service) (?:is )?(?:too )?(?:busy|overloaded)\b"
    r"|\bresources? (?:\w+ )?(?:unavailable|exhausted)\b|\b(?:out of|no more|no free|insufficient) resources?\b"
    r"|\bnumber of (?:\w+ )?streams? (?:\w+ )?(?:reached|exceeded)\b"
)
_REFUSED = re.compile(
    rf"\b(?:not|un|isn t) ?authori[sz]ed\b|\bunauthori[sz]ed|\b(?:not|un) ?authenticated\b|\bunauthenticated\b"
    rf"|\bauthori[sz]ation (?:\w+ ){{0,2}}(?:fail\w*|required|denied)|\brequires authori[sz]ation\b"
    rf"|\bauth(?:enticat\w*)? (?:\w+ ){{0,2}}?{_WRONG}|\b{_WRONG} (?:to )?authenticat"
    rf"|\bcould not be authenticated\b|\bauthority failure\b"
    rf"|\b(?:access|permission) (?:is |was )?denied\b"
    rf"|\b(?:no|not have(?: the)?) (?:permission|privilege|authority|rights?\b)"
    rf"|\b(?:access|request) (?:is )?(?:forbidden|prohibited|not permitted)\b|\bno such user\b"
    rf"|\b(?:not|need|needs) (?:to )?log(?:ged)? ?in\b|\b(?:wsse|username ?token)\b|\bnonce (?:is |has )?{_WRONG}\b"
    rf"|\btoken (?:\w+ )?(?:verif\w*|check\w*) (?:fail\w*|error)|\bmessage (?:is |has )?expired\b"
    rf"|\binsufficient (?:\w+ )?(?:privilege|permission|right)"
    rf"|\b{_WRONG} (?:\w+ )?{_LOGIN}\b|\b{_LOGIN} (?:\w+ ){{0,3}}?{_WRONG}\b"
    rf"|\b{_LOGIN} (?:\w+ ){{0,3}}?not (?:correct|valid|match\w*|accepted|exist\w*|found)\b"
    rf"|\bplease (?:log ?in|sign ?in|authenticate)\b|\b(?:login|authentication) (?:is )?required\b"
)

# Firmwares of these two languages leave their words in; matched against the text as it is, without blanks.
_LOCKED_ABROAD = re.compile("锁定|잠겼|잠김|잠금")
_REFUSED_ABROAD = re.compile(
    "(?:密码|用户名|口令)(?:错误|不正确|无效)|(?:认证|鉴权|验证|登录|登陆)失败|未授权|未登录|无权限|没有权限"
    "|(?:비밀번호|암호|계정|아이디)[가이는은를을]?(?:틀|일치하지|잘못|올바르지)|(?:인증|로그인)[에이가은는]?(?:실패|오류)|권한이없"
)


class Refusal(Enum):
    """Which kind a text is; the value goes into a failure's detail."""

    LOCKED = "the account is locked after too many failed logins"
    BUSY = "its connections are in use"
    LOGIN = "login or password is wrong"


def refusal_in(text: str, codes: Iterable[str] = ()) -> Refusal | None:
    """What the text says, None where it says none of these.

    Args:
        text: of a fault or of a page.
        codes: of a fault, without prefix and namespace.
    """
    said = " ".join(re.findall(r"[a-z0-9]+", text[:_SEARCHED].lower())) + " "
    abroad = "" if text.isascii() else re.sub(r"\s", "", text[:_SEARCHED])
    if _LOCKED.search(said) is not None or _LOCKED_ABROAD.search(abroad) is not None:
        return Refusal.LOCKED
    if any(code.lower() in _CODES for code in codes) or _REFUSED.search(said) or _REFUSED_ABROAD.search(abroad):
        return Refusal.LOGIN
    return Refusal.BUSY if _BUSY.search(said) is not None else None
