"""What a migration may not do at all, and what it may do only when the submission has said so.

A rule here is a fact about the text. What the text hides (a function that drops a table) shows when it is
tried: the dry run compares the schema before and after, the real run counts rows that nobody said would go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import grammar
from .grammar import File, Node, Statement, finding, qualified

APART = "`-- control-room: no transaction`"
#: Never, whatever is allowed: they leave the transaction, the target's role, or the database.
FORBIDDEN: dict[str, tuple[str, str]] = {
    "transaction_stmt": ("transaction-control", f"transactions are the runner's: mark the file {APART}"),
    "alter_system_stmt": ("server-setting", "settings of the server are not a schema's"),
    "load_stmt": ("server-file", "a library of the server is loaded"),
    "createdb_stmt": ("other-database", "a database is made"),
    "dropdb_stmt": ("other-database", "a database is dropped"),
    "alter_database_set_stmt": ("server-setting", "settings of a database are not a schema's"),
    "alter_role_set_stmt": ("server-setting", "settings of a role are not a schema's"),
    "discard_stmt": ("session-state", "the session is the runner's"),
    "prepare_stmt": ("session-state", "a prepared statement hides what it does"),
    "execute_stmt": ("session-state", "a prepared statement hides what it does"),
}  # fmt: skip
_IDENTITY = ("role", "session_authorization")
_GUARDS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
_UNSAFE = ("standard_conforming_strings", "session_replication_role", "allow_system_table_mods", *_IDENTITY)
_DROPS = {
    "OBJECT_TABLE": "drop-table",
    "OBJECT_FOREIGN_TABLE": "drop-table",
    "OBJECT_MATVIEW": "drop-table",
    "OBJECT_SCHEMA": "drop-schema",
    "OBJECT_SEQUENCE": "drop-sequence",
    "OBJECT_TYPE": "drop-type",
    "OBJECT_DOMAIN": "drop-type",
    "OBJECT_EXTENSION": "drop-extension",
}
#: Outside of a transaction a file may run twice when its runner dies in the middle: it must be able to.
_REPEATABLE: dict[str, Callable[[Node], bool]] = {
    "index_stmt": lambda n: bool(n.get("concurrent") and n.get("if_not_exists") and n.get("idxname")),
    "drop_stmt": lambda n: bool(n.get("concurrent") and n.get("missing_ok")),
    "alter_enum_stmt": lambda n: bool(n.get("skip_if_new_val_exists")),
    "reindex_stmt": lambda n: True,
    "vacuum_stmt": lambda n: True,
    "refresh_mat_view_stmt": lambda n: True,
    "variable_set_stmt": lambda n: True,
}
LEDGER = "control_room"
NOT_REPEATABLE = (
    "outside of a transaction stand only statements that may be done twice: create index concurrently if not "
    "exists, drop index concurrently if exists, alter type add value if not exists, reindex, vacuum, refresh"
)


@dataclass(frozen=True)
class Danger:
    """`about` is what can be named in an allowance; what is `final` cannot be allowed. `made_by` is the file
    that makes what is destroyed: while that one waits as well, nothing is lost."""

    rule: str
    message: str
    about: str = ""
    final: bool = False
    level: str = "error"
    made_by: str = ""


Dangers = Iterator[Danger]


class Scene:
    """What all the files together make and call: a table that is dropped by those who make it loses nothing,
    and a function's body counts when one of them calls it."""

    def __init__(self) -> None:
        self._made: dict[str, str] = {}
        self._called: set[str] = set()
        self._rules: dict[str, Callable[[Node, File], Dangers]] = {
            "variable_set_stmt": self._setting,
            "copy_stmt": self._copy,
            "drop_stmt": self._drop,
            "drop_owned_stmt": self._drop_owned,
            "truncate_stmt": self._truncate,
            "delete_stmt": self._delete,
            "update_stmt": self._update,
            "merge_stmt": self._merge,
            "alter_table_stmt": self._alter,
        }

    def enter(self, file: File) -> None:
        """Take note of a file before any is judged."""
        for statement in file.statements:
            if statement.kind == "create_function_stmt":
                continue
            for kind, node in walk({statement.kind: statement.node}):
                # one that may have been there before is not theirs
                if kind == "create_stmt" and not node.get("if_not_exists"):
                    self._made.setdefault(made(node["relation"]), file.name)
                elif kind == "into" and "rel" in node:
                    self._made.setdefault(made(node["rel"]), file.name)
                elif kind in ("func_call", "funccall"):
                    self._called.add(last_name(node.get("funcname", [])))

    def look(self, file: File) -> Iterator[Node]:
        """Every finding about one file."""
        seen: set[tuple[str, int, str]] = set()
        for statement in file.statements:
            for it in self._judge(file, statement):
                if (it.rule, statement.line, it.about) not in seen:
                    seen.add((it.rule, statement.line, it.about))
                    yield finding(
                        it.rule, it.level, it.message, file.name, statement.line, it.about, final=it.final
                    ) | {"made_by": it.made_by}

    def _judge(self, file: File, statement: Statement) -> Dangers:
        kind, node = statement.kind, statement.node
        if not file.whole and not _REPEATABLE.get(kind, _never)(node):
            yield Danger("not-repeatable", NOT_REPEATABLE, final=True)
        if file.whole and _stands_apart(kind, node):
            said = f"this cannot run inside a transaction: put it into a file marked {APART}"
            yield Danger("needs-no-transaction", said, final=True)
        yield from self._inside({kind: node}, file)
        body = _body(kind, node, self._called)
        if body is None:
            return
        language, text = body
        match language:
            case "plpgsql":
                inner, hidden = grammar.trees(text)
            case "sql":
                inner, hidden = grammar.statements_of(text)
            case _:
                inner, hidden = [], True
        for each in inner:
            yield from self._inside(each, file)
        if hidden:
            yield Danger("dynamic-sql", "what this will do cannot be read: it makes statements as it runs")

    def _inside(self, tree: Node, file: File) -> Dangers:
        for kind, node in walk(tree):
            if kind in FORBIDDEN:
                rule, message = FORBIDDEN[kind]
                yield Danger(rule, message, final=True)
            elif kind in self._rules:
                yield from self._rules[kind](node, file)
            yield from _ledger(kind, node)

    def _maker(self, range_var: Node) -> str:
        """The file that makes this table, if one does. A temporary one is found before any other."""
        temporary = self._made.get(f"pg_temp.{range_var.get('relname', '')}", "")
        if temporary and "schemaname" not in range_var:
            return temporary
        return self._made.get(relation(range_var), "")

    def _setting(self, node: Node, file: File) -> Dangers:
        name = str(node.get("name", ""))
        if name in _UNSAFE or node.get("kind") == "VAR_RESET_ALL":
            rule = "other-role" if name in _IDENTITY else "session-state"
            yield Danger(rule, f"{name or 'every setting'} is the runner's to set", final=True)
        elif name in _GUARDS:
            yield Danger("timeouts", f"{name} comes from the parameters of the run", name)

    def _copy(self, node: Node, file: File) -> Dangers:
        if node.get("is_program") or node.get("filename"):
            yield Danger("server-file", "files and programs of the server are out of reach", final=True)
        elif node.get("is_from"):
            yield Danger("copy-from-stdin", "there are no rows that could be sent along", final=True)

    def _drop(self, node: Node, file: File) -> Dangers:
        rule = _DROPS.get(node.get("remove_type", ""))
        for item in node.get("objects", []):
            names = names_of(item)
            about = ".".join(names) if rule == "drop-schema" or len(names) > 1 else qualified(None, names[-1])
            maker = self._maker(dict(zip(("relname", "schemaname"), reversed(names), strict=False)))
            if rule:
                yield Danger(
                    rule, f"{about} is dropped", about, made_by=maker if rule == "drop-table" else ""
                )
            yield from _cascade(node, about)

    def _drop_owned(self, node: Node, file: File) -> Dangers:
        yield Danger("drop-owned", "everything that a role owns is dropped")

    def _truncate(self, node: Node, file: File) -> Dangers:
        for each in node.get("relations", []):
            about = relation(each["range_var"])
            file.deletes.append(about)
            yield Danger("truncate", f"{about} is emptied", about, made_by=self._maker(each["range_var"]))
            yield from _cascade(node, about)

    def _delete(self, node: Node, file: File) -> Dangers:
        about = relation(node)
        file.deletes.append(about)
        if not bounded(node.get("where_clause")):
            said = f"every row of {about} is deleted"
            yield Danger("delete-without-where", said, about, made_by=self._maker(node["relation"]))

    def _update(self, node: Node, file: File) -> Dangers:
        about = relation(node)
        if not bounded(node.get("where_clause")):
            said = f"every row of {about} is changed"
            yield Danger("update-without-where", said, about, made_by=self._maker(node["relation"]))

    def _merge(self, node: Node, file: File) -> Dangers:
        clauses = (each.get("merge_when_clause", {}) for each in node.get("merge_when_clauses", []))
        if any(each.get("command_type") == "CMD_DELETE" for each in clauses):
            file.deletes.append(relation(node))
            said = f"rows of {relation(node)} are deleted where the merge says so"
            yield Danger("merge-deletes", said, relation(node))

    def _alter(self, node: Node, file: File) -> Dangers:
        table, maker = relation(node), self._maker(node.get("relation", {}))
        for each in node.get("cmds", []):
            command = each.get("alter_table_cmd", {})
            about = f"{table}.{command.get('name', '')}"
            match command.get("subtype"):
                case "AT_DropColumn":
                    yield Danger("drop-column", f"{about} is dropped", about, made_by=maker)
                case "AT_AlterColumnType":
                    # whether it is narrower is known when it was tried; without a dry run it counts as that
                    yield Danger(
                        "changes-type", f"the type of {about} changes", about, level="note", made_by=maker
                    )
                case _:
                    pass
            yield from _cascade(command, about)


def walk(tree: Any) -> Iterator[tuple[str, Node]]:
    """Every (kind, node) of a tree, the outermost first."""
    queue: list[Any] = [tree]
    while queue:
        item = queue.pop(0)
        if isinstance(item, list):
            queue.extend(item)
        elif isinstance(item, dict):
            for kind, node in item.items():
                if isinstance(node, dict):
                    yield kind, node
                queue.append(node)


def relation(node: Node) -> str:
    """The table that a node speaks of."""
    range_var = node.get("relation", node)
    return qualified(range_var.get("schemaname"), str(range_var.get("relname", "?")))


def names_of(item: Node) -> list[str]:
    """a.b of a drop, which Postgres keeps as a list, a type name, or a single word."""
    if "list" in item:
        return [name for each in item["list"].get("items", []) for name in names_of(each)]
    if "type_name" in item:
        return [name for each in item["type_name"].get("names", []) for name in names_of(each)]
    if "object_with_args" in item:
        return [name for each in item["object_with_args"].get("objname", []) for name in names_of(each)]
    return [str(item.get("string", {}).get("sval", "?"))]


def made(range_var: Node) -> str:
    """As `_maker` looks for it."""
    if range_var.get("relpersistence") == "t":
        return f"pg_temp.{range_var.get('relname')}"
    return relation(range_var)


def last_name(names: list[Node]) -> str:
    """f of x.f."""
    return names_of(names[-1])[0] if names else ""


def bounded(where: Node | None) -> bool:
    """Whether a condition says something about the rows: `true` and `1 = 1` do not."""
    if not where:
        return False
    return any(kind in ("column_ref", "sub_link", "func_call", "current_of_expr") for kind, _ in walk(where))


def _body(kind: str, node: Node, called: set[str]) -> tuple[str, str] | None:
    """(language, text) of what a statement runs: a `do`, or a function that one of the files calls."""
    if kind == "do_stmt":
        options, wanted = node.get("args", []), True
    elif kind == "create_function_stmt":
        options, wanted = node.get("options", []), last_name(node.get("funcname", [])) in called
    else:
        return None
    given = {
        each["def_elem"]["defname"]: each["def_elem"].get("arg", {}) for each in options if "def_elem" in each
    }
    language = str(given.get("language", {}).get("string", {}).get("sval", "plpgsql")).lower()
    text = names_of(given.get("as", {}))
    if not wanted or not text:
        return None
    tag = "control_room_body"
    return language, f"do ${tag}${text[0]}${tag}$" if language == "plpgsql" else text[0]


def _never(_: Node) -> bool:
    return False


def _cascade(node: Node, about: str) -> Dangers:
    if node.get("behavior") == "DROP_CASCADE":
        yield Danger("cascade", f"what depends on {about} goes as well, whatever it is", about)


def _stands_apart(kind: str, node: Node) -> bool:
    if kind == "vacuum_stmt":
        return bool(node.get("is_vacuumcmd"))
    return bool(node.get("concurrent")) and kind in ("index_stmt", "drop_stmt")


def _ledger(kind: str, node: Node) -> Dangers:
    schema = node.get("schemaname") if "relname" in node else None
    named = kind == "drop_stmt" and any(names_of(each)[0] == LEDGER for each in node.get("objects", []))
    if schema == LEDGER or named:
        said = f"the schema {LEDGER} holds the ledger, which is not for migrations"
        yield Danger("ledger", said, final=True)
