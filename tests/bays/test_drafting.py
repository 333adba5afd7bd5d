"""A new bay's file from another's: its own network, not enabled, and nothing to be told of it."""

from ipaddress import IPv4Network

import pytest

from bays import load_bay
from bays.__main__ import main
from bays.checking import check_bay
from bays.loading import bay_file, witnesses_file


def test_a_new_bay_has_a_network_of_its_own(make_bay, bays_folder, capsys):
    old = make_bay("yard")
    assert main(["new", "yard_2", "--from", "yard", "--description", 'the "second"']) == 0
    assert "bay-observation bay check yard_2" in capsys.readouterr().out
    new = load_bay("yard_2")
    assert str(new.network.camera_subnet) == "127.60.1.0/24"
    assert str(new.network.observer_ip) == "127.60.1.1"
    assert [int(c.host) - 256 for c in new.cameras] == [int(c.host) for c in old.cameras]
    assert (new.enabled, new.description) == (False, 'the "second"')
    assert new.layout == old.layout
    assert check_bay(new, [old]) == []


def test_the_network_may_be_given(make_bay):
    make_bay("yard")
    assert main(["new", "yard_2", "--from", "yard", "--subnet", "10.3.0.0/16"]) == 0
    assert str(load_bay("yard_2").cameras[0].host) == "10.3.0.183"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["yard", "--from", "yard"], "is there already"),
        (["yard_2", "--from", "nowhere"], "there is no bay nowhere"),
        (
            ["yard_2", "--from", "yard", "--subnet", "127.60.0.0/24"],
            "overlaps 127.60.0.0/24 of bay yard: give another --subnet",
        ),
        (["yard_2", "--from", "yard", "--subnet", "10.3.0.0/28"], "smaller than"),
        (["Yard 2", "--from", "yard"], "is no bay id"),
    ],
)
def test_what_cannot_be_drafted_makes_no_file(make_bay, bays_folder, capsys, arguments, words):
    make_bay("yard")
    assert main(["new", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in bays_folder.iterdir()] == ["yard.yaml"]


def test_what_was_not_given_is_asked(make_bay, monkeypatch, capsys):
    make_bay("yard")
    answers = iter(["yard", "The second hall", IPv4Network("10.9.0.0/24")])
    monkeypatch.setattr("bays.__main__.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("bays.__main__.click.prompt", lambda *_, **__: next(answers))
    assert main(["new", "yard_2"]) == 0
    new = load_bay("yard_2")
    assert (new.description, str(new.network.camera_subnet)) == ("The second hall", "10.9.0.0/24")


def test_without_a_terminal_it_says_what_to_give(make_bay, bays_folder, capsys):
    make_bay("yard")
    assert main(["new", "yard_2"]) == 2
    assert "--from BAY: which bay is the new one like? There are yard" in capsys.readouterr().err
    assert not (bays_folder / "yard_2.yaml").exists()


def test_the_first_comment_is_of_the_new_bay(make_bay, bays_folder):
    make_bay("yard")
    path = bays_folder / "yard.yaml"
    path.write_text("# The yard's hall,\n# surveyed in 2024.\n\n" + path.read_text() + "# its last line\n")
    assert main(["new", "yard_2", "--from", "yard"]) == 0
    first, second, *others = (bays_folder / "yard_2.yaml").read_text().splitlines()
    assert first.startswith("# yard_2, like yard at first.")
    assert not second.startswith("#")
    assert others[-1] == "# its last line"


def test_how_the_other_bay_s_marks_look_is_not_the_new_bay_s(make_bay, capsys):
    """One line says so, with what to run; also where a file of an earlier bay of the name lies there."""
    make_bay("yard")
    witnesses_file("yard").write_bytes(b"")
    assert main(["new", "yard_2", "--from", "yard"]) == 0
    again = "bay-observation camera keep-witnesses yard_2 --frames frames\n"
    said = capsys.readouterr().out
    assert (
        "how yard's marks look (yard.witnesses.npz) stays with yard: once the cameras of yard_2 hang: " + again in said
    )
    bay_file("yard_2").unlink()
    witnesses_file("yard_2").write_bytes(b"")
    assert main(["new", "yard_2", "--from", "yard"]) == 0
    said = capsys.readouterr().out
    assert said.endswith(
        f"yard_2.witnesses.npz: is of an earlier yard_2: once its cameras hang, keep how its marks look again: {again}"
    )
    assert "stays with" not in said
