"""The page knows each rule's sentence: it says it in Korean, and knows it by what the rule writes."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_WORDS = re.compile(r'^  (\w+): \[\s*"([^"]+)",\s*"([^"]+)",?\s*\],', re.MULTILINE)


def test_the_page_knows_the_sentence_of_every_rule() -> None:
    rules = yaml.safe_load((ROOT / "deploy/monitoring/bays.rules.yml").read_text(encoding="utf-8"))
    written = {
        rule["alert"]: re.sub(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}", r"{\1}", rule["annotations"]["summary"])
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    page = (ROOT / "dashboard/web/src/alertWords.ts").read_text(encoding="utf-8")
    assert {name: english for name, english, _ in _WORDS.findall(page)} == written
