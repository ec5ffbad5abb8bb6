"""Who puts the questions, hears the answers, and notes each that breaks a law."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.acceptance.fuzz import words
from tests.acceptance.fuzz.house import House

#: Puts a few questions that are drawn from a strategy.
Ask = Callable[[st.SearchStrategy[Any], Callable[[Any], None]], None]

OURS = re.compile(r"[A-Z][A-Z_]+")
#: The Data API's own: no right to the function, no function of such arguments.
OF_THE_DOOR = re.compile(r"42501|PGRST20[23]")
#: Refused before any function of ours is asked: JSON that no jsonb can hold, or an argument that is not of its type.
OF_THE_WIRE = re.compile(r"PGRST1\d\d|22P0[25]|2200[3789]|22021|22030")
#: A server refuses an address of more before anybody of ours sees it.
LONGEST_IN_AN_ADDRESS = 300


@dataclass
class Witness:
    """Notes what is wrong and goes on: one run shows all of it."""

    house: House
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

    def hear(self, what: str, question: str, status: int, answer: str, *, above: bool = False) -> None:
        """`above`: the platform's operator asks, who may know every tenant's name."""
        self.asked += 1
        self.statuses[status] += 1
        if status >= 500:
            self.note(what, f"answers {status}", question, answer)
        if not above and (told := self.house.leaked(answer, question)):
            self.note(what, f"tells {told}", question, answer)

    def note(self, what: str, law: str, question: str, answer: str) -> None:
        self.faults.setdefault(f"{what} {law}", f"{question[:600]}\n    -> {answer[:400]}")

    def told(self) -> str:
        return "\n".join(f"{law}\n    {example}" for law, example in sorted(self.faults.items()))

    def summary(self, door: str) -> str:
        return f"{self.asked} requests at the {door}: {dict(sorted(self.statuses.items()))}"


def actors() -> st.SearchStrategy[str | None]:
    return st.sampled_from(["admin", "admin", "admin", "operator", "viewer", None])


# ------------------------------------------------------------------------------------------------- the edge door


def knock_at_the_edge(witness: Witness, ask: Ask, only: str = "") -> None:
    """Each operation of the OpenAPI document, by what its schemas allow and by what they do not."""
    house = witness.house
    api = schemathesis.openapi.from_dict(house.doors.ask("GET", "/openapi.json").json())
    base = f"{house.doors.supabase}/functions/v1/api/v1"
    tokens = {role: house.token(role) for role in House.ROLES}
    session = requests.Session()
    session.trust_env = False

    def put(question: tuple[Any, str | None]) -> None:
        case, who = question
        bearer = tokens.get(who or "", who)
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        answer = case.call(base_url=base, session=session, headers=headers, timeout=60, allow_redirects=False)
        body = answer.request.body or ""
        asked = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        said = f"{who} {answer.request.method} {unquote(answer.request.url)} {asked}"
        what = case.operation.label
        witness.hear(what, said, answer.status_code, answer.text)
        try:
            case.validate_response(answer, checks=[response_schema_conformance, content_type_conformance])
        except FailureGroup as group:
            why = "; ".join(f"{one.title}: {one.message}" for one in group.exceptions)
            witness.note(
                what, f"answers {answer.status_code} not as documented: {why[:300]}", said, answer.text
            )
            return
        if answer.status_code >= 400 and not OURS.fullmatch(answer.json()["code"]):
            witness.note(what, f"answers {answer.json()['code']}, none of our words", said, answer.text)

    for found in api.get_all_operations():
        operation = found.ok()
        if only in operation.label:
            for mode in _modes(operation):
                ask(_cases(house, operation, mode), put)


def _modes(operation: Any) -> Iterator[GenerationMode]:
    yield GenerationMode.POSITIVE
    if operation.body or operation.path_parameters or operation.query:
        yield GenerationMode.NEGATIVE


@st.composite
def _cases(draw: st.DrawFn, house: House, operation: Any, mode: GenerationMode) -> tuple[Any, str | None]:
    """What the document makes one think of, often with numbers and names of things that are there."""
    case = draw(operation.as_strategy(generation_mode=mode))
    for part in ("path_parameters", "query", "body"):
        drawn = getattr(case, part)
        if isinstance(drawn, dict):
            better = {
                name: draw(words.things(house, name))
                if words.known(house, name) and draw(st.integers(0, 2))
                else value
                for name, value in drawn.items()
            }
            if part != "body":
                better = {
                    name: str(value)[:LONGEST_IN_AN_ADDRESS]  # whatever it is, it is written there
                    if len(str(value)) > LONGEST_IN_AN_ADDRESS
                    else value
                    for name, value in better.items()
                }
            setattr(case, part, better)
    if isinstance(case.query, dict):
        case.query.pop("follow", None)  # it would stay open for two minutes
    bearers = st.sampled_from(house.attempt_tokens) if "/attempts/" in case.path else actors()
    return case, draw(bearers)


# ------------------------------------------------------------------------------------------------- the Data API


def knock_at_the_data_api(witness: Witness, ask: Ask, only: str = "") -> None:
    """Each function of schema public, by its arguments as the catalog knows them and the fields that its room reads."""
    house = witness.house
    keys = {
        "service": house.doors.environment["SUPABASE_SERVICE_ROLE_KEY"],
        None: house.doors.environment["SUPABASE_ANON_KEY"],
    }
    tokens: dict[str | None, str] = {role: house.token(role) for role in House.ROLES} | keys

    def put(name: str, question: tuple[str, str | None]) -> None:
        text, who = question
        headers = {
            "apikey": keys.get(who, keys[None]),
            "authorization": f"Bearer {tokens[who]}",
            "content-type": "application/json",
        }
        answer = house.doors.http.post(
            f"/rest/v1/rpc/{name}", headers=headers, content=text.encode("utf-8", "surrogatepass"), timeout=60
        )
        said = f"{who} POST /rpc/{name} {text}"
        witness.hear(name, said, answer.status_code, answer.text, above=who == "service")
        if answer.status_code < 400:
            return
        body = answer.json() if answer.text.startswith("{") else None
        if not isinstance(body, dict) or list(body) != ["code", "message", "details", "hint"]:
            witness.note(name, f"answers {answer.status_code} in no form of ours", said, answer.text)
        elif not (OURS.fullmatch(body["code"]) or OF_THE_DOOR.fullmatch(body["code"])) and not (
            OF_THE_WIRE.fullmatch(body["code"]) and (text in words.BEYOND or typed[name])
        ):
            witness.note(name, f"answers {body['code']}, none of our words", said, answer.text)

    typed = {}
    for name, wanted, fields in house.functions():
        if only in name:
            typed[name] = [kind for _, kind in wanted] != ["jsonb"]
            who = (
                st.sampled_from(["service", "service", "admin", None])
                if name.startswith("platform_")
                else actors()
            )
            ask(
                st.tuples(words.arguments(house, wanted, fields), who),
                lambda question, name=name: put(name, question),
            )
