"""A store on S3, against a real server (moto's), beside what S3 cannot do."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from artifacts import ArtifactStore, Replicator, StoreFault, data_path, exclusive
from artifacts.filesystem import MARKER
from artifacts.object_storage import ObjectStorage
from bay_observation.errors import ArtifactError, ConfigError, StoreUnavailableError
from inference.types import Observation

from .conftest import BAY, batch_name

BUCKET = "airflow-data"
ROOT = f"s3://{BUCKET}/yard/shared"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    for name in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason=f"no {name}: make install")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    assert host
    server.stop()


@pytest.fixture
def s3(endpoint, monkeypatch):
    """A client of an empty bucket; the environment that a host would have."""
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    client = s3fs.S3FileSystem(use_listings_cache=False)
    if client.exists(BUCKET):
        client.rm(BUCKET, recursive=True)
    client.mkdir(BUCKET)
    yield client
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(s3):
    return ArtifactStore(ROOT)


@pytest.mark.slow(1)
def test_what_is_saved_is_loaded(store, s3, a_capture):
    reference = store.save("capture", BAY, batch_name(9), a_capture(9))
    assert store.load(reference) == a_capture(9)
    assert store.is_whole(reference)
    assert store.find("capture", BAY, batch_name(9)) == reference
    assert store.find("capture", BAY, batch_name(10)) is None
    assert store.find("observation", BAY, batch_name(9)) is None
    assert s3.find(BUCKET) == [f"{BUCKET}/yard/shared/{reference.path}"]
    assert store.where(reference) == f"{ROOT}/{reference.path}"


@pytest.mark.slow(1)
def test_the_reference_is_that_of_a_folder(store, tmp_path, a_capture):
    here = ArtifactStore(tmp_path).save("capture", BAY, batch_name(9), a_capture(9))
    assert store.save("capture", BAY, batch_name(9), a_capture(9)) == here


@pytest.mark.slow(1)
def test_batches_are_listed_in_slot_order(store, a_capture):
    assert store.batch_ids("capture", BAY) == []
    for hour in (11, 9, 10):
        store.save("capture", BAY, batch_name(hour), a_capture(hour))
    store.save("capture", "4bay", batch_name(9, "4bay"), a_capture(9, bay="4bay"))
    store.save("observation", BAY, batch_name(12), Observation(batch_name(12), BAY, ()))
    assert store.batch_ids("capture", BAY) == [batch_name(hour) for hour in (9, 10, 11)]
    assert store.batch_ids("observation", BAY) == [batch_name(12)]


@pytest.mark.slow(1)
def test_publishing_the_same_again_changes_nothing(store, s3, a_capture):
    reference = store.save("capture", BAY, batch_name(9), a_capture(9))
    puts = []
    s3_write = ObjectStorage.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectStorage, "write", lambda *a, **k: puts.append(a) or s3_write(*a, **k))
        assert store.save("capture", BAY, batch_name(9), a_capture(9)) == reference
    assert puts == []


@pytest.mark.slow(1)
def test_what_is_damaged_or_gone_is_refused(store, s3, a_capture):
    reference = store.save("capture", BAY, batch_name(9), a_capture(9))
    key = f"{BUCKET}/yard/shared/{reference.path}"
    whole = s3.cat_file(key)
    s3.pipe_file(key, whole[:-1])
    with pytest.raises(ArtifactError, match=rf"{ROOT}/.*truncated"):
        store.load(reference)
    s3.pipe_file(key, whole[:-1] + b"x")
    with pytest.raises(ArtifactError, match="its sha256 is not the published one"):
        store.load(reference)
    assert not store.is_whole(reference)
    s3.pipe_file(key, b"foreign")
    with pytest.raises(ArtifactError, match="foreign"):
        store.find("capture", BAY, batch_name(9))
    s3.rm(key)
    with pytest.raises(ArtifactError, match="no such artifact"):
        store.load(reference)
    assert not store.is_whole(reference)


@pytest.mark.slow(1)
def test_the_check_before_the_commit_keeps_it_from_being_published(store, s3, a_capture):
    def refuse():
        raise ArtifactError("not wanted any more")

    with pytest.raises(ArtifactError, match="not wanted"):
        store.save("capture", BAY, batch_name(9), a_capture(9), before_commit=refuse)
    assert s3.find(BUCKET) == []


@pytest.mark.slow(1)
def test_a_new_object_never_takes_the_place_of_another(s3):
    files = ObjectStorage(ROOT)
    files.write("a/b", b"first", new=True)
    with pytest.raises(FileExistsError):
        files.write("a/b", b"second", new=True)
    assert files.read("a/b", 100) == b"first"


@pytest.mark.slow(2)
def test_a_spool_is_replicated_to_it(store, s3, spool, a_capture):
    for hour, jpeg in ((9, b"spooled"), (10, b"spooled")):
        spooled = a_capture(hour, jpeg)
        spool.add(*_made(spooled), None, None)
    standing = store.save("capture", BAY, batch_name(9), a_capture(9, b"of another observer"))
    done = Replicator(spool, store).once()
    assert (done.published, done.aside) == (1, 1)
    assert store.load(standing) == a_capture(9, b"of another observer")
    assert store.batch_ids("capture", BAY) == [batch_name(9), batch_name(10)]


def _made(capture):
    from artifacts.store import _made

    return _made("capture", BAY, capture.batch_id, capture)


@pytest.mark.slow(1)
def test_a_marked_store_is_told_from_another_prefix(s3, monkeypatch, a_capture):
    monkeypatch.setenv("STORE_MARKER", "required")
    with pytest.raises(StoreUnavailableError, match=MARKER):
        ArtifactStore(ROOT).save("capture", BAY, batch_name(9), a_capture(9))
    ObjectStorage(ROOT).write(MARKER, b"here\n")
    ArtifactStore(ROOT).save("capture", BAY, batch_name(9), a_capture(9))


@pytest.mark.slow(1)
def test_a_bucket_that_is_not_there(s3, a_capture):
    with pytest.raises(StoreUnavailableError, match=r"s3://no-such-bucket/.*cannot be published"):
        ArtifactStore("s3://no-such-bucket/x").save("capture", BAY, batch_name(9), a_capture(9))


@pytest.mark.slow(1)
def test_a_server_that_is_gone(s3, monkeypatch, a_capture):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailableError, match="is it up") as failed:
        ArtifactStore(ROOT).save("capture", BAY, batch_name(9), a_capture(9))
    assert failed.value.fault == StoreFault.DISCONNECTED


@pytest.mark.slow(1)
def test_without_credentials(s3, monkeypatch, tmp_path, a_capture):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreUnavailableError, match="credentials") as failed:
        ArtifactStore(ROOT).save("capture", BAY, batch_name(9), a_capture(9))
    assert failed.value.fault == StoreFault.PERMISSION


# -- without a server --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "root", ["s3://", "s3://key:secret@bucket/x", "s3://bucket/../other", "s3://bucket//x", "s3://BUCKET", "s3://b/x?y"]
)
def test_a_root_that_is_none_is_refused_and_not_repeated(root):
    with pytest.raises(ConfigError, match=r"no s3://bucket/prefix") as refused:
        ArtifactStore(root)
    assert "secret" not in str(refused.value)


def test_an_unknown_kind_of_root():
    with pytest.raises(ConfigError, match="ftp:// is no kind of store"):
        ArtifactStore("ftp://host/data")


@pytest.mark.parametrize("path", ["../other/x", "a/../../x", "/etc/passwd", "a//b"])
def test_nothing_leaves_the_prefix(path):
    for use in (
        ObjectStorage(ROOT).status,
        lambda path: ObjectStorage(ROOT).read(path, 1),
        lambda path: ObjectStorage(ROOT).write(path, b""),
    ):
        with pytest.raises(ConfigError, match="leaves the store"):
            use(path)


def test_tracking_needs_the_lock_of_a_database():
    store = ArtifactStore(ROOT)
    with pytest.raises(ConfigError, match=r"S3 has no locks.*set HISTORY_DB to a PostgreSQL"):
        ObjectStorage(ROOT).lock("tracking/yard/.lock", 1)
    assert not store.has_locks
    with exclusive(store, "tracking", BAY, held_elsewhere=True):
        pass


def test_what_must_be_a_folder_says_so(monkeypatch):
    monkeypatch.setenv("DATA_PATH", ROOT)
    with pytest.raises(ConfigError, match=r"is no folder.*HISTORY_DB to a PostgreSQL"):
        data_path()
    with pytest.raises(ConfigError, match="is no folder"):
        _ = ArtifactStore().root


def test_nothing_of_it_is_imported_before_it_is_used():
    code = (
        "import sys; from artifacts import ArtifactStore; ArtifactStore('s3://bucket/x');"
        "print(sorted({'s3fs', 'fsspec', 'botocore', 'aiobotocore'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
