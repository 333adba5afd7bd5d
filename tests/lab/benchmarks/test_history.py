"""The history's benchmark: a server that is filled once and asked again; a folder that cannot be asked is named."""

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lab.benchmarks.filled import Fill, _source
from lab.benchmarks.history import main
from tracking.history.schema import SCHEMA_VERSION

FILL = Fill(
    2,
    5,
    "2025-01-01T00:00:00+00:00",
    8,
    2000,
    2,
    SCHEMA_VERSION,
    _source(),
    {"bay00": 9, "bay01": 8},
    {"events": 40},
    0.5,
)


def asked(folder, capsys):
    status = main(["--folder", str(folder), "--out", str(folder)])
    return status, capsys.readouterr().err


def test_a_folder_that_was_never_filled(tmp_path, capsys):
    assert asked(tmp_path / "none", capsys) == (
        2,
        f"{tmp_path}/none holds no filled server: fill an empty folder with --fill FOLDER\n",
    )


def test_a_folder_that_was_not_filled_to_its_end(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    status, error = asked(tmp_path, capsys)
    assert (status, error.startswith(f"{tmp_path} was not filled to its end")) == (2, True)


@pytest.mark.parametrize("other", [{"schema": "0001"}, {"source": "0123456789ab"}])
def test_a_folder_of_another_version(tmp_path, capsys, other):
    replace(FILL, **other).keep(tmp_path)
    status, error = asked(tmp_path, capsys)
    assert (status, "was filled by another version" in error) == (2, True)


@pytest.mark.parametrize("text", ["{", '{"bays": 3, "horses": 2}', "[]"])
def test_a_note_that_cannot_be_read(tmp_path, capsys, text):
    (tmp_path / "fill.json").write_text(text)
    status, error = asked(tmp_path, capsys)
    assert (status, "fill.json cannot be read" in error) == (2, True)


def test_what_was_kept_is_read_again(tmp_path):
    FILL.keep(tmp_path)
    assert asdict(Fill.of(tmp_path)) == asdict(FILL)


def test_a_folder_with_something_in_it_is_not_filled(tmp_path, capsys):
    (tmp_path / "letter").write_text("dear yard master")
    assert main(["--fill", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.fixture
def place():
    """A folder that the server's own user can reach, which pytest's is not."""
    with tempfile.TemporaryDirectory(prefix="bay-history-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.slow(20)
@pytest.mark.usefixtures("postgresql")
def test_filled_once_and_asked_twice(place):
    folder = place / "kept"
    assert main(["--bays", "2", "--blocks", "20", "--scale", "0", "--fill", str(folder)]) == 0
    kept = Fill.of(folder)
    assert (kept.bays, kept.blocks, kept.days) == (2, 20, 8)
    for _ in range(2):
        assert main(["--folder", str(folder), "--repeats", "3", "--out", str(place)]) in (0, 1)  # however busy it is
        results = json.loads((place / "history.json").read_text())
        rows = {figure["question"]: figure["rows"] for figure in results["figures"]}
        assert results["rows"] == kept.rows
        assert rows["what stands in the bay now"] == pytest.approx(20, abs=3)
        assert rows["where was block T at a time"] == 1
        assert rows["all events of a day"] > 40
