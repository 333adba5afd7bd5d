import pytest

from capture_async.addresses import target_of


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("http://192.168.0.64/a/b?c=d&e=f", "/a/b?c=d&e=f"),
        ("http://user:p%40ss@10.0.0.1:8080/snap#x", "/snap"),
        ("HTTPS://10.0.0.1", "/"),
        (" http://10.0.0.1/with blank%20and/한?q=1 2 ", "/with%20blank%20and/%ED%95%9C?q=1%202"),
        ("http://10.0.0.1//evil.invalid/x", "//evil.invalid/x"),
    ],
)
def test_of_an_address_path_and_query_are_used(address, target):
    assert target_of(address) == target


@pytest.mark.parametrize("address", ["", "/snapshot", "rtsp://10.0.0.1/main", "http:///x"])
def test_what_is_no_http_address(address):
    with pytest.raises(ValueError, match="address"):
        target_of(address)
