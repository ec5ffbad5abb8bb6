"""Spark's analysed plan -> a flow. Pure Python on `plan.toJSON()`: one call into the JVM, testable without
one.

The JSON holds every operator in pre-order, every attribute with its `exprId`, and every expression, but not
where a relation lies on disk. So the caller hands in `leaves`: exprId of a leaf's output -> (dataset,
column), or a
`str`, the reason why it is opaque (an RDD).

A column is resolved downwards from the operator that hands it out, never through a global map of ids: Union
gives out the ids of its first child, and a cached or self-joined frame shows the same id in two places.

Kinds are the same as in `columns`: a bare attribute IDENTITY, an aggregate's operand AGGREGATION, CASE
conditions CONDITIONAL, window keys WINDOW; Filter, Join, Aggregate's keys and Sort steer the whole result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import flow as words
from .flow import Column, Flow, Kind, Origin

#: What a leaf's output attribute is: a column of a dataset, None for a constant, or why it was not followed.
Leaf = tuple[str, str] | str | None

MAX_JSON = 64 * 1024 * 1024

_VALUE_WINDOWS = ("Lag", "Lead", "NthValue", "FirstValue", "LastValue")
_EMPTY_LEAVES = ("OneRowRelation", "Range", "LocalRelation", "EmptyRelation", "CommandResult")
_NOT_EXPRESSIONS = ("output", "plan", "cteDefs", "child", "children", "left", "right")
_LEFT_ONLY_JOINS = ("LeftSemi", "LeftAnti")


@dataclass(eq=False)
class _Node:
    """An operator or an expression."""

    name: str
    fields: dict[str, Any]
    children: list[_Node] = field(default_factory=list)
    trees: dict[str, list[_Node]] = field(default_factory=dict)

    def expressions(self, key: str) -> list[_Node]:
        """The trees under one field: none, one, or a list of them; the same objects at every call."""
        if key not in self.trees:
            self.trees[key] = [_tree(flat) for flat in _flat_trees(self.fields.get(key))]
        return self.trees[key]

    def all_expressions(self) -> list[_Node]:
        """Every expression of an operator."""
        keys = [
            k
            for k in self.fields
            if k not in _NOT_EXPRESSIONS or (k == "right" and self.name == "LateralJoin")
        ]
        return [tree for key in keys for tree in self.expressions(key)]

    def subplans(self) -> list[_Node]:
        """The plans inside a subquery expression."""
        return self.expressions("plan")

    @property
    def id(self) -> int | None:
        """The exprId of an attribute or alias."""
        found = self.fields.get("exprId")
        return int(found["id"]) if isinstance(found, dict) and "id" in found else None


def flow(plan: str, leaves: Mapping[int, Leaf], *, names: Iterable[str] | None = None) -> Flow:
    """The flow of one analysed plan (`target` None). `names` are the written columns, by position.

    A command that writes (its first child is the query) may be passed as it is.
    """
    if len(plan) > MAX_JSON:
        return Flow(None, "PLAN", doubts=(f"a plan of {len(plan)} characters is too long to follow",))
    root = _tree(json.loads(plan))
    if root.name.endswith("Command") and root.children:
        root = root.children[0]
    walk = _Walk(root, leaves)
    outputs = walk.outputs(root)
    written = list(names) if names is not None else [walk.name_of(root, each) for each in outputs]
    columns: dict[str, Column] = {}
    for name, output in zip(written, outputs, strict=False):
        columns[name] = walk.column(root, output)
    influences = walk.influences(root)
    doubts = [influences.doubt] if influences.doubt else []
    doubts += sorted({leaf for leaf in walk.leaves_read if isinstance(leaf, str)})
    if len(written) != len(outputs):
        doubts.append(f"{len(outputs)} values for {len(written)} columns")
    reads = frozenset(leaf[0] for leaf in walk.leaves_read if isinstance(leaf, tuple))
    return Flow(None, "PLAN", reads, columns, influences.origins, doubts=tuple(doubts))


_Step = tuple[Kind, "_Node", int]


class _Walk:
    def __init__(self, root: _Node, leaves: Mapping[int, Leaf]) -> None:
        self._leaves = leaves
        self._outputs: dict[int, list[int]] = {}
        self._names: dict[int, str] = {}
        self._definitions: dict[int, _Node] = {}
        self._homes: dict[
            int, _Node
        ] = {}  # operator of a subquery's plan -> the operator that holds the subquery
        self.leaves_read: set[Leaf] = set()
        self._note(root)

    def _note(self, root: _Node) -> None:
        for node in _walk(root):
            if node.name == "CTERelationDef":
                self._definitions[node.fields["id"]] = node
            for expression in node.all_expressions():
                for part in _walk(expression):
                    for plan in part.subplans():
                        self._homes.update((id(inner), node) for inner in _walk(plan))
                        self._note(plan)

    # -- what an operator hands out

    def outputs(self, node: _Node) -> list[int]:
        """The exprIds of an operator's columns, in order."""
        key = id(node)
        if key not in self._outputs:
            self._outputs[key] = list(self._outputs_of(node))
        return self._outputs[key]

    def _outputs_of(self, node: _Node) -> Iterator[int]:
        match node.name:
            case "Project" | "Aggregate":
                items = node.expressions("projectList" if node.name == "Project" else "aggregateExpressions")
                yield from self._ids(items)
            case "Window":
                yield from self.outputs(node.children[0])
                yield from self._ids(node.expressions("windowExpressions"))
            case "Generate":
                dropped = set(node.fields.get("unrequiredChildIndex") or [])
                inner = self.outputs(node.children[0])
                yield from (each for i, each in enumerate(inner) if i not in dropped)
                yield from self._ids(node.expressions("generatorOutput"))
            case "Join" | "AsOfJoin" | "LateralJoin":
                yield from self.outputs(node.children[0])
                if _join_type(node) not in _LEFT_ONLY_JOINS:
                    for right in [*node.children[1:], *self._lateral(node)]:
                        yield from self.outputs(right)
            case "WithCTE":
                yield from self.outputs(node.children[-1])
            case "UnionLoop":
                yield from self.outputs(node.children[0])
            case _:
                own = node.expressions("output") or node.expressions("outputAttrs")
                if own:
                    yield from self._ids(own)
                elif node.children:
                    yield from self.outputs(node.children[0])

    def _ids(self, items: Iterable[_Node]) -> Iterator[int]:
        for item in items:
            if item.id is not None:
                self._names.setdefault(item.id, str(item.fields.get("name", "")))
                yield item.id

    def name_of(self, node: _Node, output: int) -> str:
        self.outputs(node)
        return self._names.get(output, f"_{output}")

    # -- closure

    def column(self, node: _Node, output: int) -> Column:
        return self._close([(words.IDENTITY, node, output)])

    def _close(self, steps: list[_Step]) -> Column:
        origins: set[Origin] = set()
        doubt: str | None = None
        seen: set[tuple[Kind, int, int]] = set()
        todo = list(steps)
        while todo:
            kind, node, output = todo.pop()
            key = (kind, id(node), output)
            if key in seen:
                continue
            seen.add(key)
            for found in self._down(node, output):
                if isinstance(found, str):
                    doubt = doubt or found
                elif isinstance(found[1], _Node):
                    todo.append((kind.then(found[0]), found[1], found[2]))
                else:
                    origins.add(Origin(found[1], found[2], kind.then(found[0])))
        return Column(frozenset(origins), doubt)

    def _down(self, node: _Node, output: int) -> Iterator[Any]:  # noqa: PLR0912 - one arm per operator
        """One step down: (kind, node, exprId), (kind, dataset, column), or the reason of a gap."""
        for item in self._defining(node):
            if item.id == output and item.name == "Alias":
                yield from self._references(node, item.children[0], words.IDENTITY)
                return
        match node.name:
            case "Union" | "UnionLoop" | "Except" | "Intersect":
                ids = self.outputs(node)
                if output in ids:
                    at = ids.index(output)
                    sides = node.children if node.name.startswith("Union") else node.children[:1]
                    for side in sides:
                        yield words.IDENTITY, side, self.outputs(side)[at]
                    return
            case "CTERelationRef" | "UnionLoopRef":
                definition = self._definition(node)
                ids = self.outputs(node)
                if definition is not None and output in ids:
                    inner = definition.children[0]
                    yield words.IDENTITY, inner, self.outputs(inner)[ids.index(output)]
                    return
            case "Generate":
                if output in set(self._ids(node.expressions("generatorOutput"))):
                    for generator in node.expressions("generator"):
                        yield from self._references(node, generator, words.TRANSFORMATION)
                    return
            case "Expand":
                ids = self.outputs(node)
                if output in ids:
                    at = ids.index(output)
                    for row in _rows(node.fields.get("projections")):
                        yield from self._references(node, row[at], words.IDENTITY)
                    return
        for child in [*node.children, *self._lateral(node)]:
            if output in self.outputs(child):
                yield words.IDENTITY, child, output
                return
        if not node.children:
            yield from self._leaf(node, output)
        else:
            yield f"the result of {node.name} was not followed"

    def _definition(self, reference: _Node) -> _Node | None:
        return self._definitions.get(int(reference.fields.get("cteId", reference.fields.get("loopId", -1))))

    def _defining(self, node: _Node) -> list[_Node]:
        keys = {"Project": "projectList", "Aggregate": "aggregateExpressions", "Window": "windowExpressions"}
        return node.expressions(keys[node.name]) if node.name in keys else []

    def _leaf(self, node: _Node, output: int) -> Iterator[Any]:
        if output in self._leaves:
            leaf = self._leaves[output]
            if isinstance(leaf, tuple):
                yield (words.IDENTITY, *leaf)
            elif isinstance(leaf, str):
                yield leaf
        elif node.name not in _EMPTY_LEAVES:
            yield f"{node.name} was not followed"

    def _references(self, node: _Node, expression: _Node, kind: Kind) -> Iterator[Any]:
        """The attributes that an expression of `node` rests on, each as a step from the operator's inputs."""
        for found_kind, attribute, outer in self._values(expression, kind):
            if isinstance(attribute, _Node):
                for output in self.outputs(attribute):
                    yield found_kind, attribute, output
                continue
            owner = self._owner(node, attribute)
            if owner is None and not outer:
                yield f"attribute #{attribute} was not found"
            elif owner is not None:
                yield found_kind, owner, attribute

    def _owner(self, node: _Node, attribute: int) -> _Node | None:
        for child in [*node.children, *self._lateral(node)]:
            if attribute in self.outputs(child):
                return child
        # A correlated subquery names attributes of the operator that it stands in.
        home = self._homes.get(id(node))
        return self._owner(home, attribute) if home is not None else None

    def _values(  # noqa: PLR0912 - one arm per kind of expression
        self, node: _Node, kind: Kind
    ) -> Iterator[tuple[Kind, int | _Node, bool]]:
        match node.name:
            case "AttributeReference":
                if node.id is not None:
                    yield kind, node.id, False
            case "OuterReference":
                for inner_node in [*node.children, *node.expressions("e")]:
                    yield from ((k, a, True) for k, a, _ in self._values(inner_node, kind))
            case "Alias":
                yield from self._values(node.children[0], kind)
            case "ScalarSubquery" | "ListQuery":
                yield from ((kind, plan, False) for plan in node.subplans())
            case "Exists":
                return
            case "CaseWhen":
                branches = len(node.fields.get("branches") or [])
                for i, child in enumerate(node.children):
                    is_condition = i < 2 * branches and i % 2 == 0
                    inner = words.CONDITIONAL if is_condition else words.TRANSFORMATION
                    yield from self._values(child, kind.then(inner))
            case "If":
                for i, child in enumerate(node.children):
                    inner = words.CONDITIONAL if i == 0 else words.TRANSFORMATION
                    yield from self._values(child, kind.then(inner))
            case "WindowExpression":
                yield from self._values(node.children[0], kind)
                yield from self._values(node.children[1], kind.then(words.WINDOW))
            case "AggregateExpression":
                handed_on = node.children[0].name in _VALUE_WINDOWS
                inner = words.TRANSFORMATION if handed_on else words.AGGREGATION
                yield from self._values(node.children[0], kind.then(inner))
                for child in node.children[1:]:  # FILTER (WHERE …)
                    yield from self._values(child, kind.then(words.CONDITIONAL))
            case _:
                for child in node.children:
                    yield from self._values(child, kind.then(words.TRANSFORMATION))
                for plan in node.subplans():
                    yield kind.then(words.TRANSFORMATION), plan, False

    # -- the whole result

    def influences(self, root: _Node) -> Column:
        steps: list[_Step] = []
        doubt: str | None = None
        for node in self._reached(root):
            for found in self._steering(node):
                if isinstance(found, str):
                    doubt = doubt or found
                else:
                    steps.append(found)
            if not node.children:
                self._read(node)
        closed = self._close(steps)
        return Column(closed.origins, closed.doubt or doubt)

    def _read(self, node: _Node) -> None:
        outputs = self.outputs(node)
        for output in outputs:
            if output in self._leaves:
                self.leaves_read.add(self._leaves[output])
        known = node.name in _EMPTY_LEAVES or node.name in ("CTERelationRef", "UnionLoopRef")
        if not known and not any(output in self._leaves for output in outputs):
            self.leaves_read.add(f"{node.name} was not followed")

    def _steering(self, node: _Node) -> Iterator[Any]:
        keys = {
            "Filter": [("condition", words.FILTER)],
            "Join": [("condition", words.JOIN)],
            "LateralJoin": [("condition", words.JOIN)],
            "Aggregate": [("groupingExpressions", words.GROUP_BY)],
            "Deduplicate": [("keys", words.GROUP_BY)],
            "Sort": [("order", words.SORT)],
        }
        for key, kind in keys.get(node.name, []):
            for expression in node.expressions(key):
                yield from self._references(node, expression, kind)
        if node.name in ("Except", "Intersect"):
            right = node.children[1]
            yield from ((words.FILTER, right, output) for output in self.outputs(right))

    def _reached(self, root: _Node) -> list[_Node]:
        reached: dict[int, _Node] = {}
        todo = [root]
        while todo:
            node = todo.pop()
            if id(node) in reached:
                continue
            reached[id(node)] = node
            if node.name == "WithCTE":
                todo.append(node.children[-1])
            else:
                todo.extend(node.children)
            if node.name in ("CTERelationRef", "UnionLoopRef"):
                definition = self._definition(node)
                if definition is not None:
                    todo.append(definition)
            for expression in node.all_expressions():
                for part in _walk(expression):
                    todo.extend(part.subplans())
        return list(reached.values())

    def _lateral(self, node: _Node) -> list[_Node]:
        """The right side of a LateralJoin, which is an expression and not a child."""
        if node.name != "LateralJoin":
            return []
        return [p for e in node.expressions("right") for part in _walk(e) for p in part.subplans()]


# -- reading the JSON


def _tree(flat: list[dict[str, Any]]) -> _Node:
    """A pre-order list with child counts -> a tree. Iterative: plans may be hundreds of operators deep."""
    root: _Node | None = None
    open_nodes: list[tuple[_Node, int]] = []
    for each in flat:
        node = _Node(str(each.get("class", "")).rsplit(".", 1)[-1].rstrip("$"), each)
        if open_nodes:
            parent, missing = open_nodes.pop()
            parent.children.append(node)
            if missing > 1:
                open_nodes.append((parent, missing - 1))
        elif root is None:
            root = node
        if each.get("num-children", 0):
            open_nodes.append((node, int(each["num-children"])))
    if root is None:
        raise ValueError("an empty plan")
    return root


def _walk(node: _Node) -> Iterator[_Node]:
    todo = [node]
    while todo:
        each = todo.pop()
        yield each
        todo.extend(reversed(each.children))


def _decoded(value: Any) -> Any:
    # Spark writes the same field now as JSON, now as text that holds JSON.
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _flat_trees(value: Any) -> Iterator[list[dict[str, Any]]]:
    """Every flat tree inside a field: a tree, a list of trees, an option of one."""
    value = _decoded(value)
    if not isinstance(value, list) or not value:
        return
    if isinstance(value[0], dict):
        if "class" in value[0] and "num-children" in value[0]:
            yield value
        return
    for each in value:
        yield from _flat_trees(each)


def _rows(value: Any) -> list[list[_Node]]:
    value = _decoded(value)
    return [[_tree(flat) for flat in _flat_trees(row)] for row in value] if isinstance(value, list) else []


def _join_type(node: _Node) -> str:
    kind = node.fields.get("joinType")
    name = kind.get("object", kind.get("product-class", "")) if isinstance(kind, dict) else str(kind)
    return str(name).rsplit(".", 1)[-1].rstrip("$")
