"""Replies of cameras, well-formed and not."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture_async.onvif.replies import (
    Profile,
    SoapError,
    read_clock,
    read_media_address,
    read_profiles,
    read_reply,
    read_services,
    read_uri,
)
from capture_async.refusals import Refusal
from lab.simulation import soap

PROFILES = soap.profiles_reply([soap.Profile("sub", "sub stream", 640, 360), soap.Profile("main", "full", 1920, 1080)])
MAIN = Profile("main", "full", (1920, 1080), True, "VS")


def read(operation, text, *, status=200, kind="application/soap+xml"):
    return read_reply(operation, status, kind, text.encode() if isinstance(text, str) else text)


def test_what_a_good_camera_answers():
    clock = read_clock(read("GetSystemDateAndTime", soap.date_and_time_reply(datetime(2025, 7, 2, 7, 10, tzinfo=UTC))))
    assert (clock.utc, clock.zone) == (datetime(2025, 7, 2, 7, 10, tzinfo=UTC), timedelta(hours=9))
    assert clock.local - clock.utc == timedelta(hours=9)
    media = read_media_address(read("GetCapabilities", soap.capabilities_reply("http://10.0.0.1")))
    assert media == "http://10.0.0.1/onvif/media_service"
    services = read_services(read("GetServices", soap.services_reply("http://10.0.0.1")))
    assert services["media"] == "http://10.0.0.1/onvif/media_service"
    assert read_profiles(read("GetProfiles", PROFILES))[1] == MAIN
    uri = read_uri(read("GetSnapshotUri", soap.media_uri_reply("GetSnapshotUri", "http://a/b?c=d&e")))
    assert uri == "http://a/b?c=d&e"


@pytest.mark.parametrize(
    "changed",
    [
        PROFILES.replace('xmlns:tt="http://www.onvif.org/ver10/schema" ', ""),  # undeclared prefixes
        PROFILES.replace("<trt:Profiles token", "<q:Extra>1</q:Extra><trt:Profiles token"),
        PROFILES.replace("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"),
        PROFILES.replace('encoding="UTF-8"', 'encoding="utf-16"'),
        PROFILES.replace('encoding="UTF-8"', 'encoding="no-such"'),
        "\r\n \n" + PROFILES,
        "--xx\r\nContent-Type: application/xop+xml\r\n\r\n" + PROFILES + "\r\n--xx--",
        PROFILES.replace("</s:Body></s:Envelope>", ""),
        PROFILES[:-20],
        PROFILES.replace(">1920<", ">1920.0<").replace(">1080<", "> 1080 <"),
        PROFILES.replace("PT60S", "PT99999999999999999999S"),
        PROFILES.replace("full", "f\x00ull"),
        "\ufeff" + PROFILES,
    ],
    ids=range(13),
)
def test_what_is_sloppy_and_can_be_read(changed):
    main = read_profiles(read("GetProfiles", changed))[1]
    assert (main.token, main.size, main.size_is_known) == ("main", (1920, 1080), True)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16", "euc-kr"])
def test_the_charset_of_http_outranks_that_of_xml(charset):
    body = PROFILES.encode(charset)
    assert (
        read_profiles(read("GetProfiles", body, kind=f'application/soap+xml; charset="{charset}"'))[1].token == "main"
    )


@pytest.mark.parametrize(
    ("encoder", "size", "known"),
    [
        ("<tt:Name>e</tt:Name><tt:UseCount>1</tt:UseCount>", (2048, 1536), False),
        ("<tt:Resolution><tt:Width>0</tt:Width><tt:Height>0</tt:Height></tt:Resolution>", (2048, 1536), False),
        ("<tt:Resolution><tt:Width>much</tt:Width><tt:Height>9</tt:Height></tt:Resolution>", (2048, 1536), False),
        ("<tt:Resolution><tt:Width>704</tt:Width><tt:Height>480</tt:Height></tt:Resolution>", (704, 480), True),
    ],
)
def test_a_profile_whose_encoder_does_not_say_its_size_has_its_source_s(encoder, size, known):
    """Dahua's main stream, set to H.265, in the older Media service."""
    text = soap._envelope(
        '<trt:GetProfilesResponse><trt:Profiles token="a"><tt:VideoSourceConfiguration>'
        '<tt:SourceToken>s</tt:SourceToken><tt:Bounds x="0" y="0" width="2048" height="1536"/>'
        f"</tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration>{encoder}</tt:VideoEncoderConfiguration></trt:Profiles></trt:GetProfilesResponse>"
    )
    (profile,) = read_profiles(read("GetProfiles", text))
    assert (profile.size, profile.size_is_known, profile.name) == (size, known, "a")


def test_profiles_of_media2():
    text = (
        '<s:Envelope xmlns:s="x"><s:Body><tr2:GetProfilesResponse xmlns:tr2="http://www.onvif.org/ver20/media/wsdl">'
        '<tr2:Profiles token="h265"><tr2:Name>Main</tr2:Name><tr2:Configurations><tr2:VideoSource token="v">'
        '<tt:SourceToken>s1</tt:SourceToken></tr2:VideoSource><tr2:VideoEncoder token="e">'
        "<tt:Resolution><tt:Width>3840</tt:Width><tt:Height>2160</tt:Height></tt:Resolution></tr2:VideoEncoder>"
        "</tr2:Configurations></tr2:Profiles></tr2:GetProfilesResponse></s:Body></s:Envelope>"
    )
    assert read_profiles(read("GetProfiles", text)) == [Profile("h265", "Main", (3840, 2160), True, "s1")]


@pytest.mark.parametrize("zone", [("KST-9", 9), ("UTC0", 0), ("EST5EDT,M3.2.0", -5), ("<+03>-3", 3), ("IST-5:30", 5.5)])
def test_time_zones(zone):
    text = soap.date_and_time_reply(datetime(2025, 7, 2, tzinfo=UTC)).replace("KST-9", zone[0].replace("<", "&lt;"))
    assert read_clock(read("GetSystemDateAndTime", text)).zone == timedelta(hours=zone[1])


@pytest.mark.parametrize(("year", "usable"), [(1969, False), (1979, True), (2025, True), (9999, False), (0, False)])
def test_a_clock_far_off(year, usable):
    text = soap.date_and_time_reply(datetime(2025, 7, 2, tzinfo=UTC)).replace(">2025<", f">{year}<")
    assert (read_clock(read("GetSystemDateAndTime", text)).utc is not None) is usable


def test_fault_is_named():
    text = soap.fault_reply(soap.SoapFaultError("NotAuthorized", "go away"))
    with pytest.raises(SoapError, match=r"GetProfiles is answered: go away \(Sender/NotAuthorized\)") as caught:
        read("GetProfiles", text, status=400)
    assert caught.value.refusal is Refusal.LOGIN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><p>404 Not Found",
        b"\x00\x01\x02",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        soap.xml_bomb().encode(),
        PROFILES.replace("GetProfilesResponse", "GetProfileResponse").encode(),
        b"<s:Envelope><s:Body/></s:Envelope>",
    ],
)
def test_what_is_no_reply(body):
    with pytest.raises(SoapError, match="GetProfiles") as caught:
        read("GetProfiles", body)
    assert caught.value.refusal is None


READERS = {
    "GetSystemDateAndTime": (read_clock, soap.date_and_time_reply(datetime(2025, 7, 2, tzinfo=UTC))),
    "GetCapabilities": (read_media_address, soap.capabilities_reply("http://10.0.0.1")),
    "GetServices": (read_services, soap.services_reply("http://10.0.0.1")),
    "GetProfiles": (read_profiles, PROFILES),
    "GetSnapshotUri": (read_uri, soap.media_uri_reply("GetSnapshotUri", "http://a/b")),
}


@pytest.mark.slow(1)
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(READERS)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 60), st.binary(max_size=12)), max_size=6),
    st.sampled_from(["", "text/xml; charset=utf-16", "x; charset=\0", 'a; charset="latin-1"']),
)
def test_whatever_a_reply_holds_it_is_read_or_is_a_soap_error(operation, edits, kind):
    reader, text = READERS[operation]
    body = text.encode()
    for begin, length, put in edits:
        body = body[:begin] + put + body[begin + length :]
    with suppress(SoapError):
        reader(read(operation, body, kind=kind))


@pytest.mark.parametrize("name", ["Profiles", "Fault", "Service", "Detail"])
def test_a_reply_that_nests_deeply_is_read_soon(name):
    opened = "".join(f'<{name} token="t">' for _ in range(240))
    text = f"<Envelope><Body><GetProfilesResponse>{opened}{'<a/>' * 12_000}"
    began = time.process_time()
    with suppress(SoapError):
        read_profiles(read("GetProfiles", text))
    with suppress(SoapError):
        read("GetServices", text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "raw-unicode-escape", "undefined", "rot13", "zip"]
)
def test_an_encoding_that_is_no_document_s_is_passed_over(charset):
    for text in (PROFILES, "<" + "b-" * 200_000 + "a" * 100_000):
        began = time.process_time()
        with suppress(SoapError):
            assert read_profiles(read("GetProfiles", text, kind=f"text/xml; charset={charset}"))[1] == MAIN
        assert time.process_time() - began < 1.0
    declared = PROFILES.replace('encoding="UTF-8"', f'encoding="{charset}"')
    assert read_profiles(read("GetProfiles", declared))[1] == MAIN


@pytest.mark.parametrize(
    "charset", ["utf-16", "utf-16-le", "utf-32", "latin-1", "euc-kr", "gb2312", "shift_jis", "koi8-r"]
)
def test_a_document_s_encoding_is_read(charset):
    body = PROFILES.encode(charset)
    assert read_profiles(read("GetProfiles", body, kind=f"application/soap+xml; charset={charset}"))[1] == MAIN
