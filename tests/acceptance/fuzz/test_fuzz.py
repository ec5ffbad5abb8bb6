"""Both doors, asked for whatever one can ask for: each answer is one of ours, and none tells of the neighbour.

Everyday the questions are the same; `--long` asks more than 20,000, of another seed each time (`--seed N` plays one again).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.acceptance.fuzz.house import House, inhabited
from tests.acceptance.fuzz.witness import Ask, Witness, knock_at_the_data_api, knock_at_the_edge

#: How many questions of each operation (twice: fitting and not) and of each function.
EVERYDAY, LONG_AT_THE_EDGE, LONG_AT_THE_DATA_API = 1, 55, 100


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with inhabited() as found:
        yield found


@pytest.fixture
def witness(house: House) -> Witness:
    return Witness(house)


@pytest.fixture
def asking(is_long: bool, request: pytest.FixtureRequest) -> Callable[[int], Ask]:
    """Draws so many questions at a time, in the everyday suite always the same."""
    begun = request.config.getoption("--seed") or random.randrange(2**32)
    if is_long:
        print(f"seed {begun}")

    def of(many: int) -> Ask:
        def ask(questions: st.SearchStrategy[Any], put: Callable[[Any], None]) -> None:
            @settings(
                max_examples=many,
                phases=[Phase.generate],
                derandomize=not is_long,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(questions)
            def once(question: Any) -> None:
                put(question)

            (seed(begun)(once) if is_long else once)()

        return ask

    return of


def test_the_edge_door_answers_as_its_document_says_whatever_is_asked(
    witness: Witness, asking: Callable[[int], Ask], is_long: bool
) -> None:
    knock_at_the_edge(witness, asking(LONG_AT_THE_EDGE if is_long else EVERYDAY))

    print(witness.summary("edge door"))
    assert witness.asked >= (10_000 if is_long else 150)
    assert not witness.faults, witness.told()


def test_the_data_api_answers_in_our_words_whatever_is_asked(
    witness: Witness, asking: Callable[[int], Ask], is_long: bool
) -> None:
    knock_at_the_data_api(witness, asking(LONG_AT_THE_DATA_API if is_long else EVERYDAY))

    print(witness.summary("Data API"))
    assert witness.asked >= (10_000 if is_long else 100)
    assert not witness.faults, witness.told()


# what is taken out, in SQL; at which door that shows, and how
CONTROLS = {
    "an error that prints rows": (
        # row security would keep the neighbour's out even so: its owner goes as well
        "create or replace function public.list_entries(jsonb) returns jsonb language plpgsql security definer set search_path = '' as"
        " 'begin raise exception ''%'', (select string_agg(e.title, '' '') from catalog.entries e); end';"
        " alter function public.list_entries(jsonb) owner to supabase_admin",
        lambda witness, ask: knock_at_the_data_api(witness, ask, "list_entries"),
        "tells",
    ),
    "the check of ids": (
        "create or replace function ground.want_id(p jsonb, p_field text) returns bigint language sql as 'select (p ->> p_field)::bigint'",
        lambda witness, ask: knock_at_the_data_api(witness, ask, "get_run"),
        "none of our words",
    ),
    "the form of an answer": (
        "create or replace function public.list_members(jsonb) returns jsonb language sql as 'select ''{\"items\": [7]}''::jsonb'",
        lambda witness, ask: knock_at_the_edge(witness, ask, "GET /members"),
        "not as documented",
    ),
}


@pytest.mark.parametrize("what", CONTROLS)
def test_what_is_taken_out_is_missed(witness: Witness, asking: Callable[[int], Ask], what: str) -> None:
    """The last of this file: the house is not mended."""
    taken_out, knock, shows = CONTROLS[what]
    with psycopg.connect(witness.house.doors.environment["DATABASE_URL"], autocommit=True) as clock:
        clock.execute(taken_out)

    knock(witness, asking(15))

    assert any(shows in fault for fault in witness.faults), witness.summary("control")
