"""A bay's file in the page: shown, checked, never written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "/api/v1/bays/yard/file"
Token = Callable[[str], dict[str, str]]


def check(api: Any, token: Token, text: str) -> Any:
    answer = api.post(f"{FILE}/check", headers=token("operator-of-yard"), json={"text": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_change_is_a_difference_and_a_floor_and_the_file_stays(
    api: Any, ask: Callable[..., Any], token: Token, tmp_path: Path
) -> None:
    file = tmp_path / "bays" / "yard.yaml"
    text = ask("bays/yard/file", "operator-of-yard")["text"]
    assert text == file.read_text(encoding="utf-8")

    found = check(api, token, text.replace("camera_quorum: ", "camera_quorum: 1 # "))

    assert found["faults"] == []
    assert "+++ b/bays/yard.yaml" in found["diff"]
    assert "+camera_quorum: 1" in found["diff"]
    assert (found["width"], len(found["areas"]), len(found["cameras"])) == (150, 21, 12)
    assert file.read_text(encoding="utf-8") == text
    assert check(api, token, text)["diff"] == ""


def test_faults_are_named_with_their_line_and_without_the_hosts_folders(
    api: Any, ask: Callable[..., Any], token: Token, tmp_path: Path
) -> None:
    text = ask("bays/yard/file", "operator-of-yard")["text"]

    found = check(api, token, text.replace("timezone: Asia/Seoul", "timezone: Asia/Soul") + "\nno_such_key: 1\n")

    assert any("no_such_key" in fault for fault in found["faults"])
    assert all(fault.startswith("yard.yaml:") for fault in found["faults"])
    assert str(tmp_path) not in str(found["faults"])
    assert found["areas"] == []
    for broken in ("", "[", "a: &a [*a]", "\x00"):
        assert check(api, token, broken)["faults"] != []


def test_who_may_not_correct_the_bay_does_not_see_its_hosts(api: Any, token: Token) -> None:
    for person in ("reader-of-yard", "operator-of-other"):
        assert api.get(FILE, headers=token(person)).status_code == 403
        assert api.post(f"{FILE}/check", headers=token(person), json={"text": ""}).status_code == 403


def test_a_file_that_is_wrong_is_shown_to_be_mended(api: Any, token: Token, tmp_path: Path) -> None:
    (tmp_path / "bays" / "yard.yaml").write_text("description: [", encoding="utf-8")

    assert api.get(FILE, headers=token("operator-of-yard")).json()["text"] == "description: ["
