import ssl

import pytest

from bay_observation.errors import ConfigError
from bays.provider_configs import Tls
from capture_async.http.tls import tls_context


def test_by_default_certificates_and_names_are_checked():
    context = tls_context(Tls())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_unverified_is_warned_of(caplog):
    context = tls_context(Tls(verify=False))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert "tls.verify is false" in caplog.text


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"tls\.ca_file: .*none\.pem"):
        tls_context(Tls(ca_file=tmp_path / "none.pem"))
