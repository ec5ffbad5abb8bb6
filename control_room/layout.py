"""Where things stand in a lineage picture: layers from left to right, few crossings, short lines.

Sugiyama's four steps, each in its plainest form: ranks by longest path, stand-ins for lines that pass a rank,
order by barycentre, heights pulled towards the neighbours' as far as the order and the distances allow.
https://doi.org/10.1109/TSMC.1981.4308636
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from control_room.flow import Flow, Step

_SWEEPS = 12
_GAP, _LANE_GAP = 26.0, 12.0
_PILL_PITCH = 34.0


@dataclass(frozen=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """Left and top of a box, and the rank that it stands in."""

    rank: int
    x: float
    y: float
    size: Size


@dataclass(frozen=True)
class Pill:
    """A step, drawn in front of the rank of what it made; `outs` are those of it that stand there."""

    step: Step
    outs: tuple[str, ...]
    rank: int
    x: float
    y: float
    size: Size


@dataclass(frozen=True)
class Layout:
    places: Mapping[str, Place]
    pills: Sequence[Pill]
    #: For a dataset and a later rank: the points through which a line from it to that rank goes.
    lanes: Mapping[tuple[str, int], Sequence[tuple[float, float]]]
    size: Size


@dataclass
class _Node:
    """A box, or the stand-in of a line that passes a rank."""

    dataset: str
    rank: int
    height: float
    anchor: float
    real: bool
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.anchor


def lay_out(flow: Flow, boxes: Mapping[str, Size], pills: Mapping[Step, Size], anchor: float) -> Layout:
    """`anchor`: how far below a box's top its lines begin."""
    ranks = _ranks(flow)
    nodes = [_Node(it, ranks[it], boxes[it].height, anchor, real=True) for it in flow.datasets]
    real = {node.dataset: node for node in nodes}
    chains: dict[tuple[str, int], list[_Node]] = {}
    links: list[tuple[_Node, _Node]] = []
    for source, target in dict.fromkeys(_pairs(flow.steps)):
        if ranks[source] < ranks[target]:
            chain = _chain(source, ranks[source], ranks[target], chains, nodes)
            links += list(pairwise([real[source], *chain, real[target]]))
    columns = _ordered(nodes, list(dict.fromkeys((id(a), id(b)) for a, b in links)))
    _settle(columns, links)
    widths = [max((boxes[n.dataset].width for n in column if n.real), default=0.0) for column in columns]
    gaps = _gaps(flow.steps, ranks, pills, len(columns))
    lefts = list(accumulate((w + g for w, g in zip(widths, gaps[1:], strict=False)), initial=0.0))
    # boxes of one rank are equally wide: their edges make two clean lines
    places = {
        name: Place(node.rank, lefts[node.rank], node.y, Size(widths[node.rank], boxes[name].height))
        for name, node in real.items()
    }
    lanes = {
        (source, until): [
            point
            for stand_in in chain
            for point in (
                (lefts[stand_in.rank], stand_in.middle),
                (lefts[stand_in.rank] + widths[stand_in.rank], stand_in.middle),
            )
        ]
        for (source, until), chain in chains.items()
    }
    middles = [left - gap / 2 for left, gap in zip(lefts, gaps, strict=True)]
    placed = _pills(flow.steps, real, pills, middles)
    bottoms = [place.y + place.size.height for place in places.values()] + [it.y + 20 for it in placed]
    return Layout(
        places, placed, lanes, Size(lefts[-1] + widths[-1] if columns else 0, max(bottoms, default=0))
    )


def _pairs(steps: Iterable[Step]) -> Iterable[tuple[str, str]]:
    return ((source, out) for step in steps for source in step.ins for out in step.outs if source != out)


def _ranks(flow: Flow) -> dict[str, int]:
    """Longest path from a source; a line that would close a circle counts for nothing."""
    before: dict[str, list[str]] = {name: [] for name in flow.datasets}
    after: dict[str, list[str]] = {name: [] for name in flow.datasets}
    for source, target in _pairs(flow.steps):
        before[target].append(source)
        after[source].append(target)
    ranks: dict[str, int] = {}
    for start in flow.datasets:
        _rank(start, before, ranks)
    for name in flow.datasets:  # a source stands right before what is made from it
        later = [ranks[it] for it in after[name] if ranks[it] > ranks[name]]
        if not before[name] and later:
            ranks[name] = min(later) - 1
    return ranks


def _rank(start: str, before: Mapping[str, list[str]], ranks: dict[str, int]) -> None:
    """Depth first without recursion: a chain of a thousand tables is no reason to fail."""
    path = [(start, iter(before[start]))]
    open_ = {start}
    while path:
        name, rest = path[-1]
        for source in rest:
            if source not in ranks and source not in open_:
                open_.add(source)
                path.append((source, iter(before[source])))
                break
        else:
            ranks[name] = max((ranks[it] + 1 for it in before[name] if it in ranks), default=0)
            open_.discard(name)
            path.pop()


def _chain(
    source: str, first: int, last: int, chains: dict[tuple[str, int], list[_Node]], nodes: list[_Node]
) -> list[_Node]:
    """Stand-ins in the ranks between; lines from one dataset share them."""
    if (source, last) not in chains:
        shared = max(
            (it for (name, until), it in chains.items() if name == source and until < last),
            key=len,
            default=[],
        )
        new = [_Node(source, rank, 0.0, 0.0, real=False) for rank in range(first + 1 + len(shared), last)]
        nodes.extend(new)
        chains[source, last] = [*shared, *new]
    return chains[source, last]


def _ordered(nodes: list[_Node], links: list[tuple[int, int]]) -> list[list[_Node]]:
    columns: list[list[_Node]] = [[] for _ in range(max((it.rank for it in nodes), default=-1) + 1)]
    for node in nodes:
        columns[node.rank].append(node)
    for column in columns:
        column.sort(key=lambda it: (not it.real, it.dataset))
    left: dict[int, list[int]] = {}
    right: dict[int, list[int]] = {}
    for a, b in links:
        left.setdefault(b, []).append(a)
        right.setdefault(a, []).append(b)
    position = {id(it): place for column in columns for it, place in _positions(column)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = left if forward else right
        for column in columns if forward else reversed(columns):
            _sort_by_neighbours(column, neighbours, position)
            position.update({id(it): place for it, place in _positions(column)})
    return columns


def _sort_by_neighbours(
    column: list[_Node], neighbours: Mapping[int, list[int]], position: Mapping[int, float]
) -> None:
    column.sort(key=lambda it: _mean([position[n] for n in neighbours.get(id(it), [])], position[id(it)]))


def _positions(column: list[_Node]) -> Iterable[tuple[_Node, float]]:
    """0 at the top to 1 at the bottom, however many there are."""
    return ((it, index / max(len(column) - 1, 1)) for index, it in enumerate(column))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _settle(columns: list[list[_Node]], links: list[tuple[_Node, _Node]]) -> None:
    around: dict[int, list[_Node]] = {}
    for a, b in links:
        around.setdefault(id(a), []).append(b)
        around.setdefault(id(b), []).append(a)
    for column in columns:
        _spread(column, [0.0] * len(column))
    for _ in range(_SWEEPS):
        for column in (*columns, *reversed(columns)):
            wishes = [
                _mean([n.middle for n in around.get(id(it), [])], it.middle) - it.anchor for it in column
            ]
            _spread(column, wishes)
    top = min((it.y for column in columns for it in column), default=0.0)
    for column in columns:
        for node in column:
            node.y -= top


def _spread(column: list[_Node], wishes: Sequence[float]) -> None:
    """The nearest heights to the wished ones that keep the order and the distances: neighbours that would
    overlap are merged into a block, which stands where its members' wishes have their mean.
    """
    blocks: list[tuple[float, int]] = []  # wish of the block's first member, number of members
    offsets: list[float] = []
    below = 0.0
    for index, node in enumerate(column):
        if index:
            gap = _GAP if node.real and column[index - 1].real else _LANE_GAP
            below += column[index - 1].height + gap
        offsets.append(below)
        wish, count = wishes[index] - below, 1
        while blocks and blocks[-1][0] >= wish:
            before, many = blocks.pop()
            wish = (before * many + wish * count) / (many + count)
            count += many
        blocks.append((wish, count))
    index = 0
    for wish, count in blocks:
        for node in column[index : index + count]:
            node.y = wish + offsets[index]
            index += 1


def _gaps(
    steps: Iterable[Step], ranks: Mapping[str, int], pills: Mapping[Step, Size], count: int
) -> list[float]:
    """The room in front of each rank: its widest pill, and the lines' way to it and on."""
    widest = [20.0] * count
    for step in steps:
        for out in step.outs:
            widest[ranks[out]] = max(widest[ranks[out]], pills[step].width)
    return [width + 84.0 for width in widest]


def _pills(
    steps: Iterable[Step],
    real: Mapping[str, _Node],
    sizes: Mapping[Step, Size],
    middles: Sequence[float],
) -> list[Pill]:
    wanted: dict[int, list[tuple[float, Step, tuple[str, ...]]]] = {}
    for step in steps:
        for rank in sorted({real[out].rank for out in step.outs}):
            outs = tuple(out for out in step.outs if real[out].rank == rank)
            wanted.setdefault(rank, []).append((_mean([real[out].middle for out in outs], 0.0), step, outs))
    placed = []
    for rank, here in wanted.items():
        lowest = float("-inf")
        for wish, step, outs in sorted(here, key=lambda it: it[0]):
            lowest = max(wish, lowest + _PILL_PITCH)
            placed.append(Pill(step, outs, rank, middles[rank], lowest, sizes[step]))
    return placed
