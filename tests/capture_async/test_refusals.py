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
        ("Account is locked for 30 minutes", Refusal.LOCKED),
        ("too many failed login attempts, please try later", Refusal.LOCKED),
        ("Your account has been blocked", Refusal.LOCKED),
        ("too many connections", Refusal.BUSY),
        ("maximum number of users reached", Refusal.BUSY),
        ("Device is busy", Refusal.BUSY),
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
