"""What cameras' words mean. The texts are those of firmwares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture_async.refusals import Refusal, refusal_in


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Sender not authorized", Refusal.LOGIN),
        ("The action requested requires authorization and the sender is not authorized", Refusal.LOGIN),
        ("The security token could not be authenticated or authorized", Refusal.LOGIN),
        ("Authority failure", Refusal.LOGIN),
        ("invalid username or password", Refusal.LOGIN),
        ("ID or Password invalid", Refusal.LOGIN),
        ("Username/password mismatch", Refusal.LOGIN),
        ("Login incorrect", Refusal.LOGIN),
        ("User does not exist", Refusal.LOGIN),
        ("Access Denied", Refusal.LOGIN),
        ("401 Unauthorized", Refusal.LOGIN),
        ("please login first", Refusal.LOGIN),
        ("Wsse authorized time check failed", Refusal.LOGIN),
        ("No such user", Refusal.LOGIN),
        ("Access forbidden", Refusal.LOGIN),
        ("You do not have permission", Refusal.LOGIN),
        ("the user has no rights", Refusal.LOGIN),
        ("Token verify failed", Refusal.LOGIN),
        ("nonce expired", Refusal.LOGIN),
        ("not logged in", Refusal.LOGIN),
        ("用户名或密码错误", Refusal.LOGIN),
        ("인증에 실패했습니다", Refusal.LOGIN),
        ("권한이 없습니다", Refusal.LOGIN),
        ("账号已锁定", Refusal.LOCKED),
        ("계정이 잠겼습니다", Refusal.LOCKED),
        ("Your IP has been blocked", Refusal.LOCKED),
        ("illegal login lock", Refusal.LOCKED),
        ("The number of login attempts exceeded the limit", Refusal.LOCKED),
        ("Maximum number of login attempts reached", Refusal.LOCKED),
        ("Please try again after 30 minutes", Refusal.LOCKED),
        ("Account is locked for 30 minutes", Refusal.LOCKED),
        ("too many failed login attempts, please try later", Refusal.LOCKED),
        ("Your account has been blocked", Refusal.LOCKED),
        ("too many connections", Refusal.BUSY),
        ("maximum number of users reached", Refusal.BUSY),
        ("Device is busy", Refusal.BUSY),
        ("Server too busy", Refusal.BUSY),
        ("Resource temporarily unavailable", Refusal.BUSY),
        ("The maximum number of supported streams is reached", Refusal.BUSY),
        ("Configuration is locked for editing", None),
        ("Method not allowed", None),
        ("The requested operation is not permitted by the device", None),
        ("<script nonce='a9'>", None),
        ("设备不支持", None),
        ("Optional Action Not Implemented", None),
        ("The requested profile token does not exist", None),
        ("invalid profile token", None),
        ("Snapshot unavailable", None),
        ("", None),
    ],
)
def test_words(text, meaning):
    assert refusal_in(text) is meaning


@pytest.mark.parametrize(
    ("codes", "meaning"),
    [
        (["Sender", "NotAuthorized"], Refusal.LOGIN),
        (["Sender", "FailedAuthentication"], Refusal.LOGIN),
        (["Client", "InvalidSecurityToken"], Refusal.LOGIN),
        (["Receiver", "ActionNotSupported"], None),
        ([], None),
    ],
)
def test_codes(codes, meaning):
    assert refusal_in("x", codes) is meaning


@settings(max_examples=200, deadline=1000)
@given(st.lists(st.sampled_from(["user", "a", "not", "auth", "too many", "wrong", " ", "\n", "login"]), max_size=3000))
def test_no_text_takes_long(words):
    refusal_in(" ".join(words))
