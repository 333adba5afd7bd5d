"""Plain snapshot addresses, and cameras that speak TLS."""

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bay_observation.errors import ConfigError
from capture_async import CaptureService, FailureReason
from capture_async.providers.http import HttpImageProvider

SLOT = datetime(2025, 7, 2, 7, 10, tzinfo=UTC)
SNAPSHOT = "/snapshot/boot 1?profile=main"


def http_bay(farm, *, cameras=None, **config):
    changes = {"image_provider": "http", "image_provider_config": config, "capture_attempts": 1}
    if cameras is not None:
        changes["cameras"] = cameras
    return farm.bay.model_copy(update=changes)


async def test_one_request_and_its_challenge_and_no_onvif(make_farm, credentials, frame_source):
    async with make_farm(cameras=2) as farm:
        await farm.set_time(SLOT)
        async with CaptureService(http_bay(farm, path=SNAPSHOT), credentials=credentials) as service:
            batch = await service.capture(SLOT)
        assert [image.jpeg for image in batch.images] == [frame_source(name, SLOT) for name in ("C_2", "C_4")]
        for counters in farm.counters.values():
            assert (counters.requests, counters.unauthorized, dict(counters.operations)) == (2, 1, {})


async def test_a_camera_s_own_address_goes_before_the_bay_s(make_farm, credentials):
    async with make_farm(cameras=2) as farm:
        first, second = farm.bay.cameras
        cameras = (first, second.model_copy(update={"snapshot": SNAPSHOT}))
        bay = http_bay(farm, cameras=cameras, path="/{name}.jpg")
        async with CaptureService(bay, credentials=credentials) as service:
            batch = await service.capture(SLOT)
    assert [image.camera_name for image in batch.images] == ["C_4"]
    (failure,) = batch.failures
    assert failure.reason is FailureReason.NO_SNAPSHOT_SERVICE
    assert "/C_2.jpg is answered 404" in failure.detail


@pytest.mark.parametrize(
    "config",
    [
        {"path": "snapshot.jpg"},
        {"path": "//10.0.0.1/x"},
        {"path": "http://10.0.0.1/x"},
        {"path": "/{host}.jpg"},
        {"path": "/x\r\nHost: y"},
        {"tls": {"verify": False, "ca_file": "/x"}},
        {"tls": {"ca": "/x"}},
    ],
)
def test_wrong_values_are_named(config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        HttpImageProvider(None, **config)


# -- TLS ----------------------------------------------------------------------------------


@pytest.fixture
def make_certificate(tmp_path):
    """make_certificate("127.60.0.183"): (server's context, PEM file) of a self-signed certificate."""

    def make(address):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem, private = tmp_path / "camera.pem", tmp_path / "camera.key"
        pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem, private)
        return context, str(pem)

    return make


async def capture_over_tls(make_farm, credentials, context, tls, *, provider="onvif"):
    async with make_farm(cameras=1, tls=context) as farm:
        camera = farm.bay.cameras[0].model_copy(update={"scheme": "https", "snapshot": SNAPSHOT})
        changes = {
            "cameras": (camera,),
            "image_provider": provider,
            "image_provider_config": {} if tls is None else {"tls": tls},
        }
        async with CaptureService(farm.bay.model_copy(update=changes), credentials=credentials) as service:
            batch = await service.capture(SLOT)
        await asyncio.sleep(0.05)  # TLS ends with a word of its own
    (outcome,) = batch.images + batch.failures
    return outcome


@pytest.mark.parametrize("provider", ["onvif", "http"])
async def test_a_self_signed_certificate_is_refused_until_it_is_named(
    make_farm, credentials, make_certificate, provider
):
    context, pem = make_certificate("127.60.0.183")
    failure = await capture_over_tls(make_farm, credentials, context, None, provider=provider)
    assert failure.reason is FailureReason.UNREACHABLE
    assert "image_provider_config.tls.ca_file" in failure.detail
    assert "self" in failure.detail  # OpenSSL's own word for what is wrong
    assert len(failure.attempts) == 1  # the next try would bring the same certificate
    assert (await capture_over_tls(make_farm, credentials, context, {"ca_file": pem}, provider=provider)).jpeg


async def test_a_certificate_for_another_address(make_farm, credentials, make_certificate):
    context, pem = make_certificate("10.0.0.1")
    failure = await capture_over_tls(make_farm, credentials, context, {"ca_file": pem})
    assert failure.reason is FailureReason.UNREACHABLE
    assert (await capture_over_tls(make_farm, credentials, context, {"ca_file": pem, "check_hostname": False})).jpeg


async def test_unverified_is_possible_and_warned_of_once(make_farm, credentials, make_certificate, caplog):
    context, _ = make_certificate("10.0.0.1")
    async with make_farm(cameras=2, tls=context) as farm:
        cameras = tuple(camera.model_copy(update={"scheme": "https"}) for camera in farm.bay.cameras)
        changes = {"cameras": cameras, "image_provider_config": {"tls": {"verify": False}}}
        async with CaptureService(farm.bay.model_copy(update=changes), credentials=credentials) as service:
            for _ in range(2):
                assert len((await service.capture(SLOT)).images) == 2
        await asyncio.sleep(0.05)
    warnings = [record for record in caplog.records if "tls.verify is false" in record.getMessage()]
    assert [record.levelno for record in warnings] == [logging.WARNING]


async def test_a_ca_file_that_is_none(make_farm, credentials, make_certificate, tmp_path):
    context, _ = make_certificate("127.60.0.183")
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=rf"tls\.ca_file: .*{name}"):
            await capture_over_tls(make_farm, credentials, context, {"ca_file": str(tmp_path / name)})


async def test_plain_http_at_a_tls_camera_and_the_reverse(make_farm, credentials, make_certificate):
    context, _ = make_certificate("127.60.0.183")
    async with (
        make_farm(cameras=1, tls=context) as farm,
        CaptureService(http_bay(farm), credentials=credentials) as service,
    ):
        (failure,) = (await service.capture(SLOT)).failures
    assert failure.reason is FailureReason.UNREACHABLE
    async with make_farm(cameras=1) as farm:
        cameras = (farm.bay.cameras[0].model_copy(update={"scheme": "https"}),)
        async with CaptureService(http_bay(farm, cameras=cameras), credentials=credentials) as service:
            (failure,) = (await service.capture(SLOT)).failures
    assert failure.reason is FailureReason.UNREACHABLE
