"""Results for people: markdown tables, and the page that says what was run, where and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from identirep.experiments.experiment import Experiment, Row, Table

__all__ = ["markdown_page", "markdown_table"]


def markdown_page(
    experiment: Experiment, rows: list[Row], *, command: str, machine: Mapping[str, Any], missing: int
) -> str:
    """Return the page of an experiment: what was run where by which command, and what came out."""
    parts = [f"# {experiment.title}", experiment.description, f"```\n{command}\n```"]
    parts.append(", ".join(f"{name}: {value}" for name, value in machine.items()) + ".")
    if missing:
        parts.append(f"**Not complete: {missing} cells are not finished.** The command above resumes.")
    parts.append("Entries: mean ± standard deviation (worst) over seeds, or over pairs of fits.")
    for table in experiment.tables:
        text = markdown_table(table, rows)
        if text:
            parts.append(f"## {table.title}\n\n{text}")
    parts.extend(f"![{name}]({name}.png)" for name in experiment.figures)
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table, rows: Sequence[Row]) -> str:
    """Return a table in markdown, lines in the order of the rows; empty if no row qualifies."""
    chosen = [row for row in rows if _qualifies(row, table)]
    if not chosen:
        return ""
    lines: dict[tuple[Any, ...], list[Row]] = {}
    for row in chosen:
        lines.setdefault(tuple(row.get(key) for key in table.keys), []).append(row)
    if table.across is None:
        head = [*table.keys, *(column.label for column in table.columns), "runs"]
    else:
        spread = list(dict.fromkeys(row[table.across] for row in chosen))
        head = [*table.keys, *map(str, spread)]
    text = [_line(head), _line(["---"] * len(head))]
    for names, group in lines.items():
        if table.across is None:
            entries = [column.text([row.get(column.name) for row in group]) for column in table.columns]
            entries.append(str(len(group)))
        else:
            column = table.columns[0]
            parts = ([row.get(column.name) for row in group if row[table.across] == value] for value in spread)
            entries = [column.text(part) for part in parts]
        text.append(_line([*map(str, names), *entries]))
    return "\n".join(text)


def _qualifies(row: Row, table: Table) -> bool:
    if any(key not in row for key in table.keys) or not any(row.get(c.name) is not None for c in table.columns):
        return False
    return all(
        row.get(name) in value if isinstance(value, tuple) else row.get(name) == value
        for name, value in table.where.items()
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
