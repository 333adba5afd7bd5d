"""Every fuzzing target bears its seeds, cut and changed; what a fuzzer found stays here as a case."""

import random

import pytest

from lab.fuzzing.__main__ import main
from lab.fuzzing.targets import TARGETS, seeds

FOUND = {
    "bay_file": [b"{{ bay }}: b", b"? [a]\n", b"a: 2025-13-01\n", b"[" * 5000, b"=:=:\n", b"? {a: b}\n: c\n"],
    "inference_message": [b"[" * 100_000, b"{}", b"[]", b"\xff"],
    "reference": [b'{"stage": ["x"]}', b'{"stage": {}}', b"[]", b'{"size": 1e400}'],
    "artifact_fusion": [b"", b"\x80\x04}", b"\x80\x04]\x94.", b"\x80\x04h\x00."],
}


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_comes_of_them(name):
    changes = random.Random(1)
    for seed in [*seeds(name), *FOUND.get(name, []), b"", b"\x00"]:
        TARGETS[name](seed)
        for _ in range(30):
            content = bytearray(seed or b"\x00")
            for _ in range(changes.randint(1, 5)):
                content[changes.randrange(len(content))] = changes.randrange(256)
            TARGETS[name](bytes(content[: changes.randint(1, len(content))]))


def test_an_unknown_target_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["nothing"])
    assert caught.value.code == 2
    assert "no target nothing; there are artifact_capture" in capsys.readouterr().err
