"""What a check of the health page found, in short facts that can be said in another language.

The English of each stands here. The page has the Korean by the same names (`web/src/facts.ts`).
"""

from typing import Literal

from dashboard.api.models import Check, Fact

State = Literal["ok", "warning", "failed", "unknown"]

FACTS = {
    "newest": "{time}",
    "untracked": "no batch was tracked yet",
    "working": "{n} of {all}",
    "quorum": "quorum {n}",
    "failing": "failing: {names}",
    "dark": "dark: {names}",
    "clock_wrong": "clock wrong: {names}",
    "out_of_pose": "out of pose: {names}",
    "no_word": "no capture of it has left word yet",
    "heard": "heard at {time}",
    "no_spool": "the observer has none",
    "wait": "{n} wait",
    "wait_since": "{n} wait, the first for {minutes} min",
    "set_aside": "{n} set aside",
    "publishes": "publishes what waits",
    "not_running": "does not run",
    "has_server": "a server has the models",
    "no_server": "no server",
    "inferred": "{time}",
    "inference_failed": "{time}: {reason}",
    "not_inferred": "nothing in the last day",
    "tasks": "waiting {waiting}, running {running}, deferred {deferred}",
    "unclaimed": "no triggerer runs {n} of its triggers",
    "waits_long": "the oldest waits {minutes} min",
    "unserved": "no triggerer that lives serves it",
    "free": "{gib} GiB free ({share})",
    "lasts": "not full within ten years",
    "full_in": "full in {days} days",
    "location": "{where}",
    "said": "{words}",
}
"""By name; `said` is what an error says, which has no other language."""


def fact(name: str, **values: object) -> Fact:
    """One of `FACTS` with its values.

    Raises:
        KeyError: there is no such fact, or a value of it is missing.
    """
    texts = {key: str(value) for key, value in values.items()}
    return Fact(name=name, values=texts, text=FACTS[name].format_map(texts))


def check(name: str, state: State, *facts: Fact) -> Check:
    """What was found of one thing."""
    return Check(name=name, state=state, detail="; ".join(one.text for one in facts), facts=list(facts))
