"""Odd strings: whatever a client says ends up in quotes or as a parameter, never as SQL."""

import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.gateway import catalog, query, statement
from dev.gateway.condition import Source
from dev.gateway.errors import Refusal
from dev.gateway.preferences import Count
from dev.gateway.statement import Media
from tests.integration.gateway.project import Scratch

PROBES = [
    "select=id;drop table things",
    "select=id,(select 1)",
    "select=id::int)from things;--",
    "select=id::int; drop table things",
    "select=name::text collate nocase",
    'select=x":id',
    'select="id\\" from secret --"',
    "select=pg_sleep(3)",
    "select=id from secret",
    "select=*,secret.*",
    "select=doc->>a'||(select 1)||'",
    "order=id;select pg_sleep(3)",
    "order=id desc nulls last",
    "order=(select 1)",
    'order=id"',
    "order=1",
    "id=eq.1;drop table things",
    "id=eq.1 or 1=1",
    "id=in.(1) or (1=1",
    "name=eq.' or '1'='1",
    "name=eq.$1",
    "name=eq.\\'; drop table things; --",
    'name=in.("a\\"}\' or true --")',
    "name=like.%' or true --",
    "name=fts(english'::regconfig,'x).y",
    "id=is.null or true",
    "id=is.true) or (1=1",
    "1=1) or (1=eq.1",
    "id)or(1=eq.1",
    'id"=eq.1',
    "or=(id.eq.1,id.eq.2);drop table things",
    "or=(id.eq.1) or (1.eq.1)",
    "and=(id.eq.1,or(1=1))",
    "limit=1;drop table things",
    "limit=1 union select 1",
    "offset=0 union select 1",
    "columns=id)values(1);--",
    "on_conflict=id) do nothing;--",
]


@pytest.mark.parametrize("probe", PROBES)
def test_an_odd_query_string_is_refused_or_harmless(scratch: Scratch, probe: str) -> None:
    name, _, value = probe.partition("=")

    answer = scratch.ask("GET", f"/rest/v1/things?{urlencode({name: value})}")

    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        # 42601 would mean that the string had reached Postgres as syntax
        assert answer.json()["code"] != "42601", answer.text
    assert scratch.sql("select count(*) from public.things") == [(5,)]


@pytest.mark.parametrize(
    "probe", [probe for probe in PROBES if not probe.startswith(("select", "order", "limit"))]
)
def test_an_odd_filter_deletes_nothing(scratch: Scratch, probe: str) -> None:
    name, _, value = probe.partition("=")

    answer = scratch.ask("DELETE", f"/rest/v1/things?{urlencode({name: value})}&id=eq.0")

    assert answer.status_code in (204, 400, 404)
    assert scratch.sql("select count(*) from public.things") == [(5,)]


@pytest.mark.parametrize(
    "name",
    [
        "things; drop table things",
        'things"',
        "things where true",
        "pg_class",
        "secret--",
        "public.things",
        "things\0",
        "rpc",
    ],
)
def test_an_odd_table_name_is_404(scratch: Scratch, name: str) -> None:
    assert scratch.ask("GET", f"/rest/v1/{quote(name)}").status_code == 404


@pytest.mark.parametrize("name", ["add(1)", 'add"', "pg_sleep", "add;select 1", "public.add", "add\0"])
def test_an_odd_function_name_is_404(scratch: Scratch, name: str) -> None:
    assert scratch.call(quote(name), {"a": 1}).status_code == 404


@pytest.mark.parametrize(
    "argument", ["a => 1); drop table things; --", 'a"', "a int) as x, pg_sleep(3) as y(b", "", "$1", "a\0"]
)
def test_an_odd_argument_name_is_404(scratch: Scratch, argument: str) -> None:
    by_body = scratch.call("add", {argument: 1})
    by_query = scratch.ask("GET", f"/rest/v1/rpc/add?{urlencode({argument: 1})}")

    assert by_body.status_code == 404
    assert by_query.status_code in (400, 404)


@pytest.mark.parametrize("column", ['name"', "name) values ('x'); --", "name text) as x --", "\0", ""])
def test_an_odd_column_of_a_body_is_400(scratch: Scratch, column: str) -> None:
    answer = scratch.ask("POST", "/rest/v1/parents", json={column: "x"})

    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")


@pytest.mark.parametrize(
    "path",
    [
        "/rest/v1/things?name=eq.alpha%00x",
        "/rest/v1/things?select=id%00",
        "/rest/v1/things?id=eq.%00",
        "/rest/v1/things?%00=eq.1",
    ],
)
def test_a_nul_is_400(scratch: Scratch, path: str) -> None:
    assert scratch.ask("GET", path).status_code == 400


def test_bytes_that_are_no_text_are_400_or_harmless(scratch: Scratch) -> None:
    assert scratch.ask("GET", "/rest/v1/things?name=eq.%ff%fe").status_code in (200, 400)
    assert scratch.ask("GET", "/rest/v1/things?select=%ed%a0%80").status_code == 400


@pytest.mark.parametrize(
    "text", ["or=(" + "and(" * 8000, "or=(" * 500, "select=" + "a," * 5000, "id=in.(" + "1," * 20000]
)
def test_a_monstrous_query_string_is_answered(scratch: Scratch, text: str) -> None:
    assert scratch.ask("GET", f"/rest/v1/things?{text}").status_code in (200, 400, 414, 431)


# What SQL may hold outside of quotes: the words of this gateway, placeholders and punctuation.
WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        select from where as with count pg_catalog json_agg coalesce text null pgrst_source pgrst_row nullif
        current_setting true limit offset bigint order by asc desc nulls first last and or not any all is in
        false unknown like ilike distinct cast to_jsonb int to_tsvector to_tsquery plainto_tsquery
        phraseto_tsquery websearch_to_tsquery regconfig explain format json counted bit varying boolean
        character dec decimal double precision float integer numeric real smallint time zone without timestamp
        """,
    )
)
QUOTED = re.compile(r'"(?:[^"]|"")*"')
LITERAL = re.compile(r"'(?:response\.headers|response\.status|\[\]|)'")
SOURCE = Source(
    '"public"."things"',
    '"things"',
    {
        name: catalog.Column(name, kind, kind, None)
        for name, kind in (("id", "int8"), ("doc", "jsonb"), ("name", "text"), ("tags", "_text"))
    },
)
pieces = st.sampled_from(
    [
        *"()[]{}.,;:'\"$*!-<>= \\%/|&\t\n\0☃",
        *("->", "->>", "::", "--", "/*", "*/", "id", "name", "doc", "a b", "eq.", "in.(", "is.null", "like."),
        *("fts(", "not.", "or", "and", "asc", "desc", ".nullslast", "1", "-1", "$1", "union select"),
        *("pg_sleep(1)", "int", "text"),
    ]
)
strings = st.lists(pieces, max_size=12).map("".join)
names = (
    st.sampled_from(["select", "order", "id", "name", "doc->>a", "or", "and", "not.or", "limit", "offset"])
    | strings
)


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(names, strings), min_size=1, max_size=4),
    count=st.sampled_from([None, "exact", "planned", "estimated"]),
)
def test_sql_is_made_of_known_words_alone(pairs: list[tuple[str, str]], count: Count | None) -> None:
    try:
        wanted = query.parse(urlencode(pairs, errors="replace").encode())
    except Refusal:
        return
    steps = statement.read(
        SOURCE,
        wanted,
        limit=wanted.limit,
        offset=wanted.offset,
        count=count,
        max_rows=1000,
        media=Media.JSON,
    )
    for text, params in steps:
        bare = LITERAL.sub(" ", QUOTED.sub(" ", text.decode()))
        words = set(re.findall(r"[A-Za-z_]+", bare))

        assert words <= WORDS
        assert re.fullmatch(r"[\w\s().,:=<>@&|~*$+-]*", bare), bare
        assert set(re.findall(r"\$(\d+)", bare)) <= {str(number + 1) for number in range(len(params))}
