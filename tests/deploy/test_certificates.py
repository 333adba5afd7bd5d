"""The certificates that the first start makes: who trusts them, for which names, and when they are replaced."""

import shutil
import socket
import ssl
import stat
import subprocess
import threading

import pytest

SERVERS = ("postgres", "redis", "api", "proxy")


@pytest.fixture
def main(host):
    """A main server that has started once."""
    host.provide_secrets()
    return host


def shake_hands(host, server, name, authority=None):
    """A TLS connection to a server that shows its certificate, by that name.

    Raises:
        ssl.SSLError: the client does not trust it.
    """
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(host.secrets / f"tls_{server}_certificate", host.secrets / f"tls_{server}_key")
    trusted = ssl.create_default_context(cafile=authority or host.secrets / "tls_ca_certificate")
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's default from 3.13 on
    ours, theirs = socket.socketpair()

    def serve():
        try:
            shown.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        trusted.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


def contents(host):
    return {path.name: path.read_text() for path in host.secrets.glob("tls_*")}


@pytest.mark.slow(0.1)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "postgres", "redis", "api-server"])
def test_each_server_is_recognised_by_each_of_its_names(main, server, name):
    shake_hands(main, server, name)


@pytest.mark.slow(0.4)
def test_another_name_or_another_authority_is_not(main, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(main, "api", "10.150.150.1")
    mine = {path.name: path.read_bytes() for path in main.secrets.glob("tls_*")}
    for path in main.secrets.glob("tls_*"):
        path.unlink()
    assert main.run("start-main.sh", "dev").status == 0
    (tmp_path / "former").write_bytes(mine["tls_ca_certificate"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(main, "api", "localhost", tmp_path / "former")


@pytest.mark.slow(0.5)
def test_production_is_recognised_by_the_addresses_of_its_env_file(host):
    assert host.run("start-main.sh", "prod", **host.on_local_disk).status == 0
    for server in SERVERS:
        shake_hands(host, server, "10.150.150.1")


@pytest.mark.slow(1)
def test_keys_are_their_owner_s_and_each_is_another_one(main):
    keys = [main.secrets / f"tls_{name}_key" for name in ("ca", *SERVERS)]
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    assert len({key.read_text() for key in keys}) == len(keys)
    assert all("PRIVATE KEY" not in main.secrets.joinpath(f"tls_{name}_certificate").read_text() for name in SERVERS)


@pytest.mark.slow(0.6)
def test_another_name_brings_other_certificates_of_the_same_authority(main):
    before = contents(main)
    result = main.run("start-main.sh", "dev", TLS_NAMES="airflow.yard.example 10.0.0.7")
    assert result.status == 0, result.said
    after = contents(main)
    assert {name for name in before if before[name] != after[name]} == {
        f"tls_{server}_{kind}" for server in SERVERS for kind in ("key", "certificate")
    }
    for name in ("airflow.yard.example", "10.0.0.7", "localhost"):
        shake_hands(main, "api", name)


@pytest.mark.slow(0.4)
def test_a_certificate_that_ends_soon_is_replaced(main):
    before = contents(main)
    openssl = shutil.which("openssl")
    (main.programs / "openssl").write_text(
        f'#!/bin/sh\ncase "$*" in *-attime*tls_redis*) exit 1 ;; esac\nexec {openssl} "$@"\n'
    )
    (main.programs / "openssl").chmod(0o755)
    assert "made" in main.run("start-main.sh", "dev").said
    after = contents(main)
    assert {name for name in before if before[name] != after[name]} == {"tls_redis_key", "tls_redis_certificate"}


@pytest.mark.slow(1)
def test_a_damaged_certificate_is_replaced(main):
    for damage in ("", "x", main.secrets.joinpath("tls_api_certificate").read_text()):
        (main.secrets / "tls_postgres_certificate").write_text(damage)
        (main.secrets / "tls_redis_key").unlink()
        assert main.run("start-main.sh", "dev").status == 0
    for server in SERVERS:
        shake_hands(main, server, "localhost")


@pytest.mark.slow(1)
def test_other_certificates_are_other_containers(main):
    def digest():
        return [line for line in main.run("start-main.sh", "dev").calls.splitlines() if "TLS_DIGEST=" in line][-1]

    first = digest()
    assert first == digest() != "TLS_DIGEST="
    (main.secrets / "tls_redis_certificate").unlink()
    assert digest() != first


def test_an_authority_without_its_key_is_named(main):
    (main.secrets / "tls_ca_key").unlink()
    result = main.run("start-main.sh", "dev")
    assert result.status == 1
    assert "tls_ca_key is missing: restore it from your backup" in result.said
    assert " up " not in result.calls


@pytest.mark.slow(0.2)
@pytest.mark.parametrize(
    "names",
    ["a,DNS:b", "x/y", "*.example", "-a", "a b;c", "$(touch x)", "a..", "x" * 300, "IP:1", "\N{HANGUL SYLLABLE GA}"],
)
def test_a_name_that_is_none_is_refused(main, names):
    before = contents(main)
    result = main.run("start-main.sh", "dev", TLS_NAMES=names)
    assert result.status == 1
    assert "TLS_NAMES=" in result.said
    assert "write an IPv4 address or a host's name" in result.said
    assert contents(main) == before


@pytest.mark.parametrize("script", ["start-observers.sh", "start-processors.sh"])
@pytest.mark.parametrize("damage", ["missing", "the key as well", "another file"])
def test_a_worker_needs_the_authority_s_certificate_and_no_key(main, script, damage):
    path = main.secrets / "tls_ca_certificate"
    if damage == "missing":
        path.unlink()
    elif damage == "another file":
        path.write_text("ca")
    else:
        path.write_text(path.read_text() + (main.secrets / "tls_ca_key").read_text())
    result = main.run(script, "dev", "demo_bay")
    assert result.status == 1
    assert str(path) in result.said
    assert " up " not in result.calls


@pytest.mark.slow(0.6)
def test_openssl_that_is_missing(host):
    programs = host.folder / "few"
    programs.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for name in subprocess.run(["ls", folder], capture_output=True, text=True, check=True).stdout.split():
            if name != "openssl" and not (programs / name).exists():
                (programs / name).symlink_to(f"{folder}/{name}")
    for name in ("docker", "docker-compose"):
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(host.programs / name)
    result = host.run("start-main.sh", "dev", PATH=str(programs))
    assert result.status == 1
    assert "openssl is not installed" in result.said
