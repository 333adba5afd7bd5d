import pytest

from capture_async.addresses import named_port, target_of


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("http://192.168.0.64/a/b?c=d&e=f", "/a/b?c=d&e=f"),
        ("http://user:p%40ss@10.0.0.1:8080/snap#x", "/snap"),
        ("HTTPS://10.0.0.1", "/"),
        (" http://10.0.0.1/with blank%20and/한?q=1 2 ", "/with%20blank%20and/%ED%95%9C?q=1%202"),
        ("http://10.0.0.1//evil.invalid/x", "//evil.invalid/x"),
        ("/snapshot?channel=1", "/snapshot?channel=1"),
        ("http://10.0.0.1:99999/x", "/x"),
    ],
)
def test_of_an_address_path_and_query_are_used(address, target):
    assert target_of(address) == target


@pytest.mark.parametrize("address", ["", "snapshot", "//10.0.0.1/x", "rtsp://10.0.0.1/main", "http:///x"])
def test_what_is_no_http_address(address):
    with pytest.raises(ValueError, match="address"):
        target_of(address)


@pytest.mark.parametrize(
    ("address", "port"),
    [("http://10.0.0.1:8000/x", 8000), ("http://10.0.0.1/x", None), ("http://10.0.0.1:0/x", None)]
    + [(f"http://10.0.0.1:{port}/x", None) for port in ("99999", "eighty", "-1", "")],
)
def test_the_port_that_an_address_names(address, port):
    assert named_port(address) == port
