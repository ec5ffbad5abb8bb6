"""The house rules of docs/architecture.md, as far as text shows them: arrows, stanzas, names, in both languages.

Each rule is a function from text to complaints, so that it is tried on a broken example as well: a rule that
catches nothing proves nothing. What only the catalog knows (privileges, policies, keys) is in sql_tests.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parent.parent
MIGRATIONS = CLONE / "supabase" / "migrations"
FUNCTIONS = CLONE / "supabase" / "functions"

# doors compose across rooms; `door` and `public` are the two halves of one of them
DOORS = {"worker", "public"}
# schemas that a room makes beside its own
BELONGS_TO = {"staging": "catalog", "door": "public"}
WORDS_FOR_ALL = {"ground", "tenancy"}


@dataclass(frozen=True)
class Room:
    """One migration: a room, or a part of one that would be too long in one piece."""

    number: int
    name: str
    text: str
    stem: str = ""

    @property
    def code(self) -> str:
        """The text without comments; string literals stay, so that dynamic SQL is read as well."""
        return re.sub(r"--[^\n]*", "", self.text)


def rooms() -> list[Room]:
    found = []
    for file in sorted(MIGRATIONS.glob("*.sql")):
        match = re.fullmatch(r"\d{11}(\d\d)\d(_([a-z]+)(?:_[a-z]+)*)\.sql", file.name)
        assert match, (
            f"{file.name}: a migration is named <14 digits>_<room>[_<part>].sql; the last digits but one are its"
            " number, the last tells parts of the same number apart"
        )
        found.append(Room(int(match[1]), match[3], file.read_text(), match[1] + match[2]))
    return found


ROOMS = rooms()
# a room's number is that of its first part
NUMBERS = {room.name: room.number for room in reversed(ROOMS)}
NUMBERS |= {part: NUMBERS[whole] for part, whole in BELONGS_TO.items()}
EACH_ROOM = pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.stem)
# `job.py` is a file
A_ROOM = rf"(?<![\w.'])({'|'.join(NUMBERS)})\.(?!py\b)[a-z_%]"


def sql(text: str, number: int = 50, name: str = "queue") -> Room:
    """A broken example."""
    return Room(number, name, text)


# ------------------------------------------------------------------------------------------------ SQL: arrows


def named_rooms(text: str) -> set[str]:
    return set(re.findall(A_ROOM, text))


def upward_arrows(room: Room) -> list[str]:
    if room.name in DOORS:
        allowed = set(NUMBERS)
    else:
        allowed = {name for name, number in NUMBERS.items() if number <= room.number}
    return sorted(named_rooms(room.code) - allowed)


@EACH_ROOM
def test_a_room_names_only_rooms_with_a_lower_number(room: Room) -> None:
    assert upward_arrows(room) == []


def test_an_arrow_upward_is_caught() -> None:
    assert upward_arrows(sql("select worker.tick(null); select ground.fail('X')")) == ["worker"]


def test_an_arrow_upward_in_dynamic_sql_is_caught() -> None:
    assert upward_arrows(sql("execute format('select callback.%I()', v)")) == ["callback"]


def borrowed_names(room: Room) -> list[str]:
    """Aliases and variables named like a room: they would make `job.id` mean two things."""
    names = "|".join(name for name in NUMBERS if name != "public")  # `public` is also a keyword
    aliases = re.findall(rf"\b(?:from|join|update|into)\s+[\w.]+\s+(?:as\s+)?({names})\b(?!\s*\.)", room.code)
    variables = re.findall(rf"(?m)^\s+({names})\s+[a-z_.\[\]]+(?:\s*:=[^;]*)?;", room.code)
    return sorted({*aliases, *variables})


@EACH_ROOM
def test_no_alias_and_no_variable_is_named_like_a_room(room: Room) -> None:
    assert borrowed_names(room) == []


def test_an_alias_named_like_a_room_is_caught() -> None:
    assert borrowed_names(sql("select job.id from queue.runs job")) == ["job"]
    assert borrowed_names(sql("declare\n    audit record;\nbegin")) == ["audit"]


def foreign_dynamic_sql(room: Room) -> list[str]:
    """Statements that are put together at run time name their own room, or what every room may name."""
    own = {room.name, *(part for part, whole in BELONGS_TO.items() if whole == room.name)} | WORDS_FOR_ALL
    if room.name in DOORS:
        own.add("staging")  # housekeeping drops what a lost lease has loaded
    statements = re.findall(
        r"(?<!for each row )(?<!for each statement )\bexecute\s+(?!function|on\b)(.*?);", room.code, re.S
    )
    return sorted({name for statement in statements for name in named_rooms(statement) - own})


@EACH_ROOM
def test_dynamic_sql_names_no_other_room(room: Room) -> None:
    assert foreign_dynamic_sql(room) == []


def test_dynamic_sql_that_names_another_room_is_caught() -> None:
    assert foreign_dynamic_sql(
        sql("execute 'delete from artifact.tags'; execute format('x queue.%I', t);")
    ) == ["artifact"]


# ----------------------------------------------------------------------------------------------- SQL: stanzas


def broken_stanzas(room: Room) -> list[str]:
    """`create function` is followed by its own `revoke`: PUBLIC may execute what nobody revoked."""
    complaints = []
    parts = re.split(r"(?m)^create (?:or replace )?function ", room.code)[1:]
    for part in parts:
        name = re.match(r"[\w.]+", part)
        assert name
        revoke = re.search(rf"(?m)^revoke all on function {re.escape(name[0])}\([^)]*\) from ([^;]*);", part)
        if not revoke or "public" not in revoke[1]:
            complaints.append(f"{name[0]} has no revoke of its own")
        elif name[0].startswith("public.") and revoke[1] != "public, anon, authenticated, service_role":
            # Supabase grants on what is made in public
            complaints.append(f"{name[0]} is not revoked from anon, authenticated and service_role")
        if (
            name[0].startswith(("public.", "worker."))
            and "grant execute" in part
            and "comment on function" not in part
        ):
            complaints.append(f"{name[0]} has no comment")
        if "set search_path = ''" not in part.split("$$")[0]:
            complaints.append(f"{name[0]} does not set search_path = ''")
    return complaints


@EACH_ROOM
def test_a_function_is_one_stanza(room: Room) -> None:
    assert broken_stanzas(room) == []


def test_a_function_without_revoke_is_caught() -> None:
    stanza = "create function queue.a()\nreturns void language sql set search_path = '' as $$ $$;\n"
    assert broken_stanzas(sql(stanza + "grant execute on function queue.a() to app_system;")) == [
        "queue.a has no revoke of its own"
    ]
    other = "revoke all on function queue.b() from public;"
    assert broken_stanzas(sql(stanza + other)) == ["queue.a has no revoke of its own"]


def open_tables(room: Room) -> list[str]:
    """Tables without row security enabled and forced, by direct statements or by a loop over names."""
    made = set(re.findall(r"(?m)^create (?:unlogged )?table (?:if not exists )?([\w.]+)", room.code))
    closed: dict[str, set[str]] = {"enable": set(), "force": set()}
    for how, found in closed.items():
        found |= set(re.findall(rf"alter table ([\w.]+) {how} row level security", room.code))
        for loop in re.findall(r"foreach \w+ in array array\[(.*?)\] loop(.*?)end loop", room.code, re.S):
            for schema in re.findall(rf"alter table (\w+)\.%I {how} row level security", loop[1]):
                found |= {f"{schema}.{name}" for name in re.findall(r"'(\w+)'", loop[0])}
    return sorted(made - (closed["enable"] & closed["force"]))


@EACH_ROOM
def test_row_security_is_enabled_and_forced_on_every_table(room: Room) -> None:
    assert open_tables(room) == []


def test_a_table_without_forced_row_security_is_caught() -> None:
    text = "create table queue.a (id int);\nalter table queue.a enable row level security;"
    assert open_tables(sql(text)) == ["queue.a"]


def unhosted(room: Room) -> list[str]:
    """What hosted Supabase refuses, or what would leave a power behind."""
    forbidden = {
        "event triggers": r"\bevent trigger\b",
        "reset role (the CLI may log in as another)": r"\breset role\b",
        "passwords": r"\bpassword\b\s*'",
        "the exposed schemas": r"pgrst\.db_schemas",
        "no(super|bypass) on roles": r"alter role \w+ (no)?(superuser|bypassrls)",
        "changes to tables of Storage or Auth": r"(alter|drop) table (storage|auth)\.",
    }
    complaints = [what for what, pattern in forbidden.items() if re.search(pattern, room.code)]
    if "grant app_owner, app_system to postgres;" not in room.code:
        complaints.append("does not become a member of the owners")
    # the very last word on it: what comes after may only tell others to look again
    end = re.sub(r"notify pgrst, '[a-z ]+';\s*", "", room.code).rstrip()
    if not end.endswith("revoke app_owner, app_system from postgres;"):
        complaints.append("does not leave the owners at its end")
    return complaints


@EACH_ROOM
def test_a_migration_runs_as_hosted_supabase_runs_it(room: Room) -> None:
    assert unhosted(room) == []


def test_a_migration_that_stays_a_member_of_the_owners_is_caught() -> None:
    assert unhosted(sql("grant app_owner, app_system to postgres;\nset role postgres;\n")) == [
        "does not leave the owners at its end"
    ]


def test_every_room_has_its_tests_under_its_name() -> None:
    of_all_rooms = {"95_surface", "96_lints", "97_keys", "97_wall", "98_mutants"}
    tested = {file.stem for file in (CLONE / "sql_tests").glob("*.sql")} - of_all_rooms

    assert {room.name for room in ROOMS} == {stem.split("_")[1] for stem in tested}
    assert tested <= {room.stem for room in ROOMS} | {"95_public"}  # one matrix for all parts of that door


# ------------------------------------------------------------------------------------------------ conformance


def broken_promises(page: str, tests: set[str], laws: dict[str, str]) -> list[str]:
    """Tests that the page names and nobody has written."""
    missing = [name for name in re.findall(r"`(test_\w+)`", page) if name not in tests]
    missing += [
        f'{stem} "{law}"'
        for stem, law in re.findall(r'`(\d\d_\w+)` "([^"]+)"', page)
        if law not in laws.get(stem, "")
    ]
    return missing


@pytest.mark.parametrize("page", ["docs/conformance.md", "SECURITY.md"])
def test_every_promise_names_a_test_that_is_there(page: str) -> None:
    tests = {
        name
        for file in tracked("tests/*.py")
        for name in re.findall(r"(?m)^(?:async )?def (test_\w+)", file.read_text())
    }
    laws = {file.stem: file.read_text() for file in (CLONE / "sql_tests").glob("*.sql")}

    assert broken_promises((CLONE / page).read_text(), tests, laws) == []


def test_a_promise_without_its_test_is_caught() -> None:
    page = '`test_here`, `test_gone`, `50_queue` "a law", `50_queue` "another"'

    assert broken_promises(page, {"test_here"}, {"50_queue": "is(1, 1, 'a law')"}) == [
        "test_gone",
        '50_queue "another"',
    ]


# ----------------------------------------------------------------------------------------------------- Python


def tracked(pattern: str) -> list[Path]:
    """Files of the repository, not what lies around in the clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern],
        cwd=CLONE,
        capture_output=True,
        text=True,
        check=True,
    )
    return [CLONE / line for line in listed.stdout.splitlines() if (CLONE / line).exists()]


def imports(source: str, name: str = "<example>") -> Iterator[str]:
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def speaks_sql(source: str, name: str = "<example>") -> bool:
    drivers = {"psycopg", "psycopg_pool", "asyncpg", "psycopg2"}
    return any(it.split(".")[0] in drivers for it in imports(source, name))


def test_only_store_and_target_speak_sql() -> None:
    allowed = ("runner/store/", "runner/target/", "dev/", "tests/", "benches/")

    strangers = [
        str(file.relative_to(CLONE))
        for file in tracked("*.py")
        if speaks_sql(file.read_text(), str(file)) and not str(file.relative_to(CLONE)).startswith(allowed)
    ]

    assert strangers == []


def test_a_hidden_import_of_psycopg_is_caught() -> None:
    assert speaks_sql("def f():\n    from psycopg.rows import dict_row\n")
    assert not speaks_sql("import psychology  # psycopg")


def test_the_clients_are_http_only_and_know_no_room_of_the_runner() -> None:
    forbidden = {"runner", "dev", "psycopg"}

    strangers = {
        str(file.relative_to(CLONE)): found
        for file in tracked("control_room/*.py")
        if (found := {name.split(".")[0] for name in imports(file.read_text())} & forbidden)
    }

    assert strangers == {}


def test_the_gateway_knows_nothing_of_the_rooms() -> None:
    def sql_in(source: str) -> str:
        tree = ast.walk(ast.parse(source))
        return "\n".join(
            it.value for it in tree if isinstance(it, ast.Constant) and isinstance(it.value, str)
        )

    strangers = {
        str(file.relative_to(CLONE)): found
        for file in tracked("dev/gateway/*.py")
        if (found := named_rooms(sql_in(file.read_text())) - {"public"})
    }

    assert strangers == {}


def test_no_module_is_named_after_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "helper", "misc"}

    assert [
        str(file) for file in tracked("*") if file.stem.lower() in nothing or file.parent.name in nothing
    ] == []


# ------------------------------------------------------------------------------------------------------- edge


def remote_imports(source: str) -> list[str]:
    """Only `npm:`, `node:` and relative imports: other hosts are not reached from a closed network."""
    statement = r"""(?m)^(?:import|export)\s[^;"']*?\bfrom\s*["']([^"'\n]+)["']"""
    others = r"""(?m)^import\s*["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']"""
    found = [(it,) for it in re.findall(statement, source)] + re.findall(others, source)
    return [it for pair in found for it in pair if it and not it.startswith(("npm:", "node:", "./", "../"))]


def test_edge_functions_import_from_npm_or_from_here() -> None:
    strangers = {
        str(file.relative_to(CLONE)): found
        for file in tracked("supabase/functions/*.ts")
        if (found := remote_imports(file.read_text()))
    }

    assert strangers == {}


def test_an_import_from_elsewhere_is_caught() -> None:
    assert remote_imports('import { x } from "jsr:@std/x";\nimport y from "./y.ts";') == ["jsr:@std/x"]


def test_the_entry_of_an_edge_function_has_at_most_ten_lines() -> None:
    long = {
        str(file.relative_to(CLONE)): lines
        for file in FUNCTIONS.glob("*/index.ts")
        if (
            lines := sum(
                1
                for line in file.read_text().splitlines()
                if line.strip() and not line.startswith(("//", "/*", " *"))
            )
        )
        > 10
    }

    assert long == {}
