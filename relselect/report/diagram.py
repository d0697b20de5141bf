"""The schema as a picture: the entity's table first, the others below the table by which they are reached.

A table hangs on the nearest table that a foreign key joins to it, in either direction. Where it was measured what the model
loses without a table, the table and the way to it are drawn as strong as the loss.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from relselect.report.families import family_class
from relselect.report.record import AblationRecord, RunRecord
from relselect.report.svg import WIDE, Canvas, FigureLayout
from relselect.report.words import count, number, shorten

__all__ = ["diagram_figure"]

#: Tables that are drawn at most, and the height of one.
_MOST, _STEP = 30, 32.0


@dataclass(frozen=True)
class _Node:
    """A table in the picture: its depth, its place, the place of the table it hangs on, and how it is joined to it."""

    name: str
    depth: int
    place: int
    parent: int | None
    key: str


def diagram_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The tables as a tree from the entity's table on; those that carry signal are strong."""
    nodes = _tree(record)[:_MOST]
    if len(nodes) < 2:
        return None
    losses = _losses(record)
    most = max((row["drop"] or 0.0 for row in losses.values()), default=0.0)
    indent = 30.0 if layout is WIDE else 16.0
    css = family_class(record, None if record["choice"] is None else record["choice"]["family"])
    strong = [name for name, row in losses.items() if (row["low"] or 0.0) > 0]
    summary = f"Tables reached from {nodes[0].name}; with signal: {', '.join(strong) or 'none measured'}"
    art = Canvas("fig-schema", "Schema of the database", summary, layout, _STEP * len(nodes) + 4)
    for node in nodes:
        if node.parent is not None:
            parent = nodes[node.parent]
            at, top = 14 + parent.depth * indent, _STEP * parent.place + 26
            signal = any(each.name in strong for each in nodes if _below(nodes, each, node))
            line = f"link signal {css}" if signal else "link"
            middle = _STEP * node.place + 15
            art.line(at, top, at, middle, line)
            art.line(at, middle, 8 + node.depth * indent, middle, line)
    for node in nodes:
        _draw(art, record, node, losses.get(node.name), most, indent, layout, css)
    return art.markup()


def _draw(
    art: Canvas,
    record: RunRecord,
    node: _Node,
    loss: AblationRecord | None,
    most: float,
    indent: float,
    layout: FigureLayout,
    css: str,
) -> None:
    """One table: its box, its rows, and a bar of what is lost without it."""
    left, y = 8 + node.depth * indent, _STEP * node.place + 3
    wide = 210.0 if layout is WIDE else 132.0
    matters = loss is not None and (loss["low"] or 0.0) > 0
    art.rect(left, y, wide, 24, f"table{f' signal {css}' if matters else ''}{' entity' if node.depth == 0 else ''}", 5)
    letters = 28 if layout is WIDE else 17
    art.text(left + 10, y + 16, shorten(node.name, letters), "label plain", tip=f"{node.name} {node.key}".strip())
    right = left + wide + 10
    if loss is not None and loss["drop"] is not None and most > 0:
        room = layout.width - layout.values - right
        art.rect(right, y + 8, max(loss["drop"], 0.0) / most * min(room, 220.0), 8, f"bar {css}")
        art.text(right + max(loss["drop"], 0.0) / most * min(room, 220.0) + 8, y + 16, number(loss["drop"]), "value")
    elif layout is WIDE:
        rows = next(table["rows"] for table in record["database"]["tables"] if table["name"] == node.name)
        art.text(right, y + 16, f"{count(rows)} rows", "axis")


def _losses(record: RunRecord) -> dict[str, AblationRecord]:
    """Table -> what is lost without it."""
    found = record["rests_on"]
    study = None if found is None else found["importance"]
    rows = [] if study is None else study["ablations"]
    return {row["table"]: row for row in rows if row["kind"] == "table" and row["drop"] is not None}


def _tree(record: RunRecord) -> list[_Node]:
    """The tables in the order of drawing: each below the nearest table that it is joined to, breadth first."""
    tables = {table["name"]: table for table in record["database"]["tables"]}
    entity = record["task"]["entity"]
    if entity not in tables:
        return []
    children: dict[str, list[tuple[str, str]]] = {entity: []}
    level = [entity]
    while level:
        following: list[str] = []
        for name in level:
            for other, key in _joined(record, name):
                if other in tables and other not in children:
                    children[other] = []
                    children[name].append((other, key))
                    following.append(other)
        level = following
    nodes: list[_Node] = []

    def visit(name: str, depth: int, parent: int | None, key: str) -> None:
        place = len(nodes)
        nodes.append(_Node(name, depth, place, parent, key))
        for other, by in children[name]:
            visit(other, depth + 1, place, by)

    visit(entity, 0, None, "")
    return nodes


def _joined(record: RunRecord, name: str) -> list[tuple[str, str]]:
    """The tables that foreign keys join to a table, with the keys: first those that point to it, then those it points to."""
    found = []
    for table in record["database"]["tables"]:
        for key in table["foreign_keys"]:
            if key["table"] == name and table["name"] != name:
                found.append((table["name"], f"by {table['name']}.{'+'.join(key['columns'])}"))
    for table in record["database"]["tables"]:
        if table["name"] == name:
            found += [(key["table"], f"by {name}.{'+'.join(key['columns'])}") for key in table["foreign_keys"]]
    return found


def _below(nodes: list[_Node], node: _Node, top: _Node) -> bool:
    """Whether a table is another or hangs on it."""
    at: _Node | None = node
    while at is not None and at is not top:
        at = None if at.parent is None else nodes[at.parent]
    return at is top
