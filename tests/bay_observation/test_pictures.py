"""A picture is read, or is an OSError, whatever else Pillow and its extensions raise."""

from io import BytesIO

import pytest
from PIL import Image

from bay_observation.pictures import opened_picture


def png(size=(40, 30)):
    content = BytesIO()
    Image.new("L", size).save(content, "PNG")
    return content.getvalue()


def test_bytes_and_files_are_read(tmp_path):
    (tmp_path / "one.png").write_bytes(png())
    for source in (png(), tmp_path / "one.png"):
        with opened_picture(source) as image:
            assert image.size == (40, 30)


@pytest.mark.parametrize("content", [b"", b"<html>", png()[:30], png()[:-30]])
def test_what_is_none_is_refused(content):
    with pytest.raises(OSError, match=r"identify|truncated|broken"), opened_picture(content) as image:
        image.convert("L")


def test_one_that_unfolds_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(OSError, match="decompression bomb"), opened_picture(png()):
        pass


def test_an_opener_that_looks_for_what_is_not_installed(monkeypatch):
    def look(_):
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", look)
    with pytest.raises(OSError, match="cannot identify image file"), opened_picture(b"<html>"):
        pass
