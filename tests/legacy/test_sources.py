import base64
import csv
import json
import os
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


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"[1, 2]", "no dump, or half of one"),
        ("a.json", b"7", "no dump, or half of one"),
        ("a.json", json.dumps({key(): {"C_4": frame()}}).encode()[:-9], "no dump, or half of one"),
        ("a.json", b"\xff\xfe\x00", "no dump, or half of one"),
        ("a.json", b"", "it is empty"),
        ("a.jsonl", b"", "it is empty"),
        ("a.csv", b"batch_id,block_id\n", "no column class_name, stage, confidence, x"),
        ("a.csv", b"", "no column block_id"),
        ("a.pkl", pickle.dumps({"batch_id": old_id(), "blocks": [block()]})[:-20], "a pickle that builds objects"),
        ("a.pickle", b"", "a pickle that builds objects"),
    ],
)
def test_a_file_that_cannot_be_read_stops_itself_alone(tmp_path, read, name, content, said):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    (tmp_path / "z.json").write_text(json.dumps(hashes()))
    batches, problems = read(tmp_path)
    assert len(batches) == 3
    assert len(problems) == 1  # of both files
    assert "a file cannot be read: " in problems[0]
    assert said in problems[0]
    assert str(tmp_path) not in problems[0]


def test_folders_and_pipes_named_as_files_are_passed_over(tmp_path, read):
    (tmp_path / "a.csv").mkdir()
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.json").write_text(json.dumps(hashes()))
    assert len(read(tmp_path)[0]) == 3


def test_an_unknown_file_and_a_missing_one_are_named(tmp_path, read):
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
    bound = csv.field_size_limit()
    batches, problems = read(tmp_path / "floor.csv")
    assert csv.field_size_limit() == bound  # of the whole process: other readers keep theirs
    assert problems == []
    assert [(batch.slot, len(batch.blocks)) for batch in batches] == [(SLOT, 3), (SLOT + STEP, 3)]


def test_rows_in_any_order_and_over_several_tables_make_one_floor(tmp_path, read):
    """As of a table that is sorted by block, or of one for each block."""
    rows = [{"batch_id": old_id(SLOT + n * STEP)} | block(f"B-{k}", 10 + 20 * k) for k in range(3) for n in range(2)]
    (tmp_path / "a.csv").write_text(csv_of(rows[:3]))
    (tmp_path / "b.csv").write_text(csv_of(rows[2:]))  # the third row is in both
    batches, problems = read(tmp_path)
    assert problems == []
    assert [(batch.slot, sorted(one.block_id for one in batch.blocks)) for batch in batches] == [
        (SLOT, ["B-0", "B-1", "B-2"]),
        (SLOT + STEP, ["B-0", "B-1", "B-2"]),
    ]


def test_one_block_at_two_places_of_a_slot_is_named(tmp_path, read):
    rows = [{"batch_id": old_id()} | block(x=x) for x in (20, 60)]
    (tmp_path / "a.csv").write_text(csv_of(rows))
    batches, problems = read(tmp_path)
    assert [one.x for one in batches[0].blocks] == [20]
    assert "the same; the first one counts" in problems[0]


def test_a_table_of_another_encoding_is_named_with_the_remedy(tmp_path, read):
    rows = [{"batch_id": old_id()} | block(), {"batch_id": old_id()} | block("B-2", stage="소조립")]
    (tmp_path / "a.csv").write_bytes(csv_of(rows).encode("cp949"))
    batches, problems = read(tmp_path)
    assert [one.block_id for one in batches[0].blocks] == ["B-1"]
    assert "save it as UTF-8" in problems[0]


def test_rows_without_a_bay_are_of_the_mapping_s_one_bay_and_of_none_of_several(tmp_path, make_mapping, bay):
    (tmp_path / "a.csv").write_text(csv_of([{"time": "2025-07-02 10:00"} | block()], ["time", *COLUMNS[1:]]))
    for bays, count in (({"yard": {}}, 1), ({"yard": {}, "other": {}}, 0)):
        mapping = make_mapping(floor={"batch_id": None, "time": "time"}, bays=bays)
        problems = Problems()
        decoder = Decoder(mapping, {"yard": bay, "other": bay}, problems)
        assert len(list(batches_of([tmp_path], decoder, mapping, problems))) == count
        assert len(problems) == 1 - count


def test_what_would_upset_a_terminal_is_escaped(tmp_path, read):
    name = "cctv_image_state:\udcff\x1b[2J" + "x" * 5000
    (tmp_path / "a.jsonl").write_text(json.dumps({"key": name, "value": {"f": frame(camera="\x1b[2J\udcff\n")}}))
    decoded = "".join(read(tmp_path)[1])
    assert decoded.isprintable()
    problems = Problems()
    problems.add("a\x1b\udcff" + "x" * 5000, name)
    for one in problems:
        assert one.what.isprintable()
        assert one.first.isprintable()
        assert max(len(one.what), len(one.first)) < 500


def test_kinds_of_faults_without_end_are_counted_as_one():
    problems = Problems()
    for number in range(5000):
        problems.add(f"camera {number} is none", "here")
    assert len(problems) < 400
    assert sum(one.count for one in problems) == 5000


def test_a_key_that_is_no_text_is_dumped_and_read_back():
    name = b"state:\xff".decode("utf-8", "surrogateescape")
    line = dump_line(name, {"f": "블록".encode()})
    line.encode("ascii")
    assert json.loads(line) == {"key": name, "value": {"f": "블록"}}


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
