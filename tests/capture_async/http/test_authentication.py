import base64
import hashlib
import re
import time

import pytest

from capture_async import Credentials
from capture_async.http.authentication import HttpAuthenticator, digest_response, parse_challenges

MUFASA = Credentials("Mufasa", "Circle of Life")
RFC_7616 = {
    "method": "GET",
    "target": "/dir/index.html",
    "realm": "http-auth@example.org",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm, response):
    assert digest_response(MUFASA, algorithm=algorithm, **RFC_7616) == response


def test_rfc_7616_section_3_9_2_without_the_hash_of_the_name():
    """The section's own example hashes the name as well, which a client may leave out: checked by parts."""
    nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"
    ha1 = hashlib.new("sha512_256", b"J\xc3\xa4s\xc3\xb8n Doe:api@example.org:Secret, or not?").hexdigest()
    ha2 = hashlib.new("sha512_256", b"GET:/doe.json").hexdigest()
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm"
    expected = hashlib.new("sha512_256", f"{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}".encode()).hexdigest()
    doe = Credentials("J\u00e4s\u00f8n Doe", "Secret, or not?")
    named = {"method": "GET", "target": "/doe.json", "realm": "api@example.org", "nonce": nonce, "cnonce": cnonce}
    assert digest_response(doe, algorithm="SHA-512-256", **named) == expected
    assert HttpAuthenticator(doe).challenged(['Digest realm="r", nonce="n", algorithm=SHA-512-256-sess'], sent=None)


def test_rfc_2617_section_3_5():
    response = digest_response(
        Credentials("Mufasa", "Circle Of Life"),
        method="GET",
        target="/dir/index.html",
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        cnonce="0a4f113b",
    )
    assert response == "6629fae49393a05397450978507c4ef1"


def test_rfc_2069_without_qop():
    # The example of RFC 2069, 2.4, with the response that its erratum 749 corrects it to.
    response = digest_response(
        Credentials("Mufasa", "CircleOfLife"),
        method="GET",
        target="/dir/index.html",
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop=None,
    )
    assert response == "1949323746fe6a43ef61f9606e7febea"


@pytest.mark.parametrize(
    "headers",
    [
        ['Basic realm="a, b"', 'Digest realm="c", nonce="n", qop="auth,auth-int", stale=TRUE'],
        ['Basic realm="a, b", Digest realm="c",nonce="n" , qop="auth,auth-int",stale=TRUE'],
    ],
)
def test_several_challenges_in_one_header_or_in_several(headers):
    basic, digest = parse_challenges(headers)
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "a, b"})
    assert digest.scheme == "digest"
    assert digest.parameters == {"realm": "c", "nonce": "n", "qop": "auth,auth-int", "stale": "TRUE"}


@pytest.mark.parametrize(
    ("header", "parameters"),
    [
        ("Digest realm=camera, qop=auth,auth-int, nonce=n", {"realm": "camera", "qop": "auth,auth-int", "nonce": "n"}),
        ("Digest qop=auth-int , auth , nonce=n", {"qop": "auth-int , auth", "nonce": "n"}),
        ("Digest realm=North bay 3, nonce=n", {"realm": "North bay 3", "nonce": "n"}),
        ("Digest realm=a b c", {"realm": "a b c"}),
        ("Digest realm=camera nonce=n qop=auth", {"realm": "camera", "nonce": "n", "qop": "auth"}),
        ("Digest realm = camera , nonce=n==", {"realm": "camera", "nonce": "n=="}),
        ('Digest realm="a" nonce="n" qop="auth"', {"realm": "a", "nonce": "n", "qop": "auth"}),
        ("Digest qop=auth, nonce=n", {"qop": "auth", "nonce": "n"}),
    ],
)
def test_a_challenge_without_its_quotes_or_commas(header, parameters):
    (challenge,) = parse_challenges([header])
    assert (challenge.scheme, challenge.parameters) == ("digest", parameters)
    first, second = parse_challenges([f"{header}, Basic realm=x"])
    assert (first.parameters, second.scheme) == (parameters, "basic")


@pytest.mark.parametrize(
    "text",
    [
        "a " * 20_000,
        'Digest a="' + "\\" * 40_000,
        "Digest a=" + "b " * 20_000,
        "," * 60_000,
        "Digest a=b" + ", auth" * 10_000,
        "Digest a=b" + " ,auth" * 10_000 + "=",
        "a=" * 20_000,
        "Digest a=b" + " " * 60_000 + "=",
    ],
    ids=range(8),
)
def test_a_long_challenge_takes_no_time(text):
    began = time.process_time()
    parse_challenges([text])
    assert time.process_time() - began < 0.5


def test_challenges_with_quotes_token68_and_rubbish():
    negotiate, basic = parse_challenges(['Negotiate abc==, Basic realm="say \\"yes\\""'])
    assert negotiate.scheme == "negotiate"
    assert basic.parameters == {"realm": 'say "yes"'}
    assert parse_challenges(["", "=,=", '"']) == []


def test_digest_is_preferred_wherever_it_stands():
    for headers in (['Basic realm="r"', 'Digest realm="r", nonce="n", qop="auth"'],) * 2:
        authenticator = HttpAuthenticator(MUFASA)
        assert authenticator.challenged(headers, sent=None)
        assert authenticator.authorization("GET", "/").startswith("Digest ")
        headers.reverse()


def test_basic_where_there_is_nothing_better():
    for digest in ("MD4", "SHA-1"):
        authenticator = HttpAuthenticator(MUFASA)
        headers = [f'Digest realm="r", nonce="n", algorithm={digest}', 'Basic realm="r"']
        assert authenticator.challenged(headers, sent=None)
        scheme, _, encoded = authenticator.authorization("GET", "/").partition(" ")
        assert (scheme, base64.b64decode(encoded)) == ("Basic", b"Mufasa:Circle of Life")


def test_auth_int_alone_is_not_answered():
    assert not HttpAuthenticator(MUFASA).challenged(['Digest realm="r", nonce="n", qop="auth-int"'], sent=None)


def test_nonce_is_counted_up():
    authenticator = HttpAuthenticator(MUFASA)
    authenticator.challenged(['Digest realm="r", nonce="n", qop="auth", opaque="o"'], sent=None)
    sent = [authenticator.authorization("GET", "/a%20b?c=d") for _ in range(3)]
    assert [re.search(r"nc=(\w+)", header)[1] for header in sent] == ["00000001", "00000002", "00000003"]
    assert all('uri="/a%20b?c=d"' in header and 'opaque="o"' in header for header in sent)
    assert len({re.search(r'cnonce="(\w+)"', header)[1] for header in sent}) == 3


def test_a_refused_login_is_not_sent_again():
    authenticator = HttpAuthenticator(MUFASA)
    authenticator.challenged(['Digest realm="r", nonce="1", qop="auth"'], sent=None)
    sent = authenticator.authorization("GET", "/")
    assert not authenticator.challenged(['Digest realm="r", nonce="2", qop="auth"'], sent=sent)


def test_a_stale_nonce_is_replaced():
    authenticator = HttpAuthenticator(MUFASA)
    authenticator.challenged(['Digest realm="r", nonce="1", qop="auth"'], sent=None)
    sent = authenticator.authorization("GET", "/")
    assert authenticator.challenged(['Digest realm="r", nonce="2", qop="auth", stale=true'], sent=sent)


def test_an_old_nonce_may_be_refused_without_a_word_of_stale():
    authenticator = HttpAuthenticator(MUFASA)
    authenticator.challenged(['Digest realm="r", nonce="1", qop="auth"'], sent=None)
    authenticator.authorization("GET", "/")
    sent = authenticator.authorization("GET", "/")
    assert authenticator.challenged(['Digest realm="r", nonce="2", qop="auth"'], sent=sent)


def test_without_credentials_nothing_is_sent():
    authenticator = HttpAuthenticator(None)
    assert not authenticator.challenged(['Basic realm="r"'], sent=None)
    assert authenticator.authorization("GET", "/") is None


@pytest.mark.parametrize(
    ("challenge", "with_qop", "hashed_by"),
    [
        ('Digest realm="r", nonce="n", qop=""', False, "MD5"),
        ('Digest realm="r", nonce="n", qop="auth auth-int"', True, "MD5"),
        ('Digest realm="r"; nonce="n"; qop="auth"', True, "MD5"),
        ('Digest realm="r", nonce="n", qop="auth", algorithm=SHA256', True, "SHA-256"),
        ('Digest realm="r", nonce="n", algorithm=sha256-sess, qop=auth', True, "SHA-256-sess"),
    ],
)
def test_challenges_as_firmwares_write_them(challenge, with_qop, hashed_by):
    login = HttpAuthenticator(MUFASA)
    assert login.challenged([challenge], sent=None)
    sent = login.authorization("GET", "/x")
    values = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', sent)}
    assert ("qop" in values) is with_qop
    expected = digest_response(
        MUFASA, method="GET", target="/x", realm="r", nonce="n", algorithm=hashed_by,
        qop="auth" if with_qop else None, cnonce=values.get("cnonce", ""),
    )  # fmt: skip
    assert values["response"] == expected
