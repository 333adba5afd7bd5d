import base64
import json
import pickle

import pytest

from bay_observation.errors import ConfigError
from legacy.decoding import Decoder
from legacy.records import Problems
from legacy.sources import batches_of, dump_line

from .conftest import SLOT, STEP, block, floor, floor_key, frame, key, old_id

COLUMNS = ["batch_id", "block_id", "class_name", "stage", "confidence", "x", "y", "length", "width", "yaw", "height"]


@pytest.fixture
def read(make_mapping, bay):
    """read(path, ...): the batches of files, and what does not fit."""

    def reading(*paths, **changes):
        mapping, problems = make_mapping(**changes), Problems()
        decoder = Decoder(mapping, {"yard": bay}, problems)
        return list(batches_of(paths, decoder, mapping, problems)), [one.what for one in problems]

    return reading


def csv_of(rows, columns=COLUMNS, newline="\n"):
    lines = [",".join(columns)] + [",".join(str(row.get(name, "")) for name in columns) for row in rows]
    return newline.join(lines) + newline


def hashes():
    return {key(): {"C_4": frame(), "D_7": frame("D_7")}, floor_key(): floor(block())}


@pytest.mark.parametrize("form", ["document", "lines", "typed", "lines with a mark and empty lines"])
def test_dumps_of_every_form_say_the_same(tmp_path, read, form):
    path = tmp_path / "dump.json"
    if form == "document":
        path.write_text(json.dumps(hashes(), indent=2))
    elif form == "typed":
        path.write_text(json.dumps({name: {"type": "hash", "value": fields} for name, fields in hashes().items()}))
    else:
        text = "".join(
            dump_line(name, {k: v.encode() for k, v in fields.items()}) + "\n" for name, fields in hashes().items()
        )
        path.write_text(text if form == "lines" else "\ufeff" + text.replace("\n", "\n\n"))
    batches, problems = read(path)
    assert problems == []
    assert [len(batch.frames or ()) for batch in batches] == [1, 1, 0]
    assert [len(batch.blocks or ()) for batch in batches] == [0, 0, 1]


def test_bytes_of_a_dump_are_kept(tmp_path, read):
    path = tmp_path / "dump.jsonl"
    path.write_text(
        dump_line(key(), {"C_4": b"\x80\x04\xff"}) + "\n" + dump_line(key(), {"C_4": frame().encode()}) + "\n"
    )
    batches, problems = read(path)
    assert len(batches) == 1
    assert "not UTF-8" in problems[0]
    assert json.loads(dump_line("k", {"f": b"\xff"}))["value"]["f"] == {"base64": base64.b64encode(b"\xff").decode()}


def test_a_folder_is_searched(tmp_path, read):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "dump.json").write_text(json.dumps(hashes()))
    (tmp_path / "a" / "readme.txt").write_text("no dump")
    assert len(read(tmp_path)[0]) == 3


@pytest.mark.parametrize("content", [b"[1, 2]", b"7", b"{", b"\xff\xfe\x00"])
def test_what_is_no_dump_is_refused(tmp_path, read, content):
    path = tmp_path / "dump.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="no dump"):
        read(path)


def test_an_empty_file_an_unknown_one_and_a_missing_one_are_named(tmp_path, read):
    (tmp_path / "dump.json").write_bytes(b"")
    with pytest.raises(ConfigError, match="is empty"):
        read(tmp_path / "dump.json")
    with pytest.raises(ConfigError, match=r"\.json, \.jsonl, \.csv"):
        read(tmp_path / "dump.rdb")
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "gone.json")


def test_wrong_lines_stop_themselves_alone(tmp_path, read):
    good = dump_line(key(), {"C_4": frame().encode()})
    lines = [
        good,
        "{",
        "7",
        '{"key": 7, "value": {}}',
        '{"key": "cctv_image_state:x", "value": 7}',
        '{"key": "x", "value": {}}',
        good,
    ]
    (tmp_path / "dump.jsonl").write_text("\n".join(lines))
    batches, problems = read(tmp_path / "dump.jsonl")
    assert len(batches) == 2
    assert sorted(problems) == [
        "a key is no hash",
        "a key is none of the mapping's: redis.key, floor.key",
        'a line is no JSON object {"key": ..., "value": ...}',
    ]


def test_a_huge_line_is_passed_over(tmp_path, read, monkeypatch):
    monkeypatch.setattr("legacy.sources._MOST_LINE_BYTES", 2000)
    good = dump_line(key(), {"C_4": frame().encode()})
    (tmp_path / "dump.jsonl").write_text("\n".join([good, dump_line(key(), {"C_4": b"x" * 7000}), good]))
    batches, problems = read(tmp_path / "dump.jsonl")
    assert len(batches) == 2
    assert "a line of more than" in problems[0]


def test_a_hash_of_too_many_fields_is_not_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr("legacy.sources._MOST_FIELDS", 1)
    (tmp_path / "dump.json").write_text(json.dumps(hashes()))
    assert "a hash of more than" in read(tmp_path / "dump.json")[1][0]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_of_a_csv_file_become_batches(tmp_path, read, newline):
    rows = [{"batch_id": old_id(SLOT + n * STEP)} | block(f"B-{k}", 10 + 20 * k) for n in range(2) for k in range(3)]
    (tmp_path / "floor.csv").write_bytes(("\ufeff" + csv_of(rows, newline=newline)).encode())
    batches, problems = read(tmp_path / "floor.csv")
    assert problems == []
    assert [(batch.slot, len(batch.blocks)) for batch in batches] == [(SLOT, 3), (SLOT + STEP, 3)]


def test_a_row_without_a_block_is_an_empty_floor(tmp_path, read):
    (tmp_path / "floor.csv").write_text(csv_of([{"batch_id": old_id()}]))
    batches, problems = read(tmp_path / "floor.csv")
    assert (batches[0].blocks, problems) == ((), [])


def test_rows_may_name_bay_and_time(tmp_path, read):
    rows = [{"bay": "yard", "time": "2025-07-02 10:00:00"} | block()]
    (tmp_path / "floor.csv").write_text(csv_of(rows, ["bay", "time", *COLUMNS[1:]]))
    batches, problems = read(tmp_path / "floor.csv", floor={"batch_id": None, "bay": "bay", "time": "time"})
    assert (batches[0].slot, problems) == (SLOT, [])


def test_wrong_rows_stop_themselves_alone(tmp_path, read):
    rows = [
        {"batch_id": old_id()} | block(),
        {"batch_id": "yard_x"} | block("B-2"),
        {"batch_id": old_id()} | block("B-3", x="wide"),
        {"batch_id": old_id()} | block(),
        {"batch_id": old_id()} | block("B-4", 60),
    ]
    (tmp_path / "floor.csv").write_bytes(
        csv_of(rows).encode() + old_id().encode() + b",B-5,\xff\xfe,,0.5,1,1,1,1,0,1\n"
    )
    batches, problems = read(tmp_path / "floor.csv")
    assert [one.block_id for one in batches[0].blocks] == ["B-1", "B-4"]
    assert len(problems) == 4


def test_missing_columns_are_named(tmp_path, read):
    (tmp_path / "floor.csv").write_text("batch_id,block_id\n")
    with pytest.raises(ConfigError, match="no column class_name, stage, confidence, x"):
        read(tmp_path / "floor.csv")


def test_pickles_name_their_batch_by_their_folder_or_a_field(tmp_path, read):
    folder = tmp_path / old_id()
    folder.mkdir()
    (folder / "result.pkl").write_bytes(pickle.dumps({"blocks": [block()]}))
    (tmp_path / "all.pickle").write_bytes(
        pickle.dumps([{"batch_id": old_id(SLOT + STEP), "blocks": []}, {"blocks": []}])
    )
    batches, problems = read(tmp_path)
    assert sorted(batch.slot for batch in batches) == [SLOT, SLOT + STEP]
    assert "names no batch" in problems[0]
