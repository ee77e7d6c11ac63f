"""Fits to tables that no memory holds: rows are written to a scratch directory, and networks trained from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from identirep.cli.console import progress, remark, say
from identirep.cli.features import Source, start_columns, where_of
from identirep.cli.remarks import remarks_of_values, repeated_rows
from identirep.cli.tables import Table, named
from identirep.directories import check_target
from identirep.engines import TableBlocks, as_one_error, files_of, written_rows
from identirep.mapped_rows import some_rows
from identirep.report import count

__all__ = ["in_memory", "table_on_disk"]

# Rows that are looked at for what may stand for something else, and by which the report describes axes.
_MOST_ROWS = 16_384


@contextmanager
def table_on_disk(
    data: Path, targets: Sequence[str], out: Path, options: dict[str, Any], scratch: Path | None
) -> Iterator[Table]:
    """Yield the rows of files as the table of a fit, on disk while the block lasts, and say what is in it."""
    check_target(out)
    folder = out.absolute().parent if scratch is None else scratch
    reading = {name: options.pop(name) for name in ("separator", "decimal", "sheet")}
    source = Source(data, TableBlocks(list(targets), **options, reading=reading), "stream", None)
    files = files_of(data)
    with as_one_error():
        start_columns(source, files)
        with written_rows(source.columns, _shown(files), folder) as rows:
            y: Any = rows.y
            table = Table(
                data.name if len(files) == 1 else str(data),
                rows.X,
                y,
                source.columns.target_names if rows.tasks is None else rows.tasks,
                rows.tasks is not None,
                target=None if rows.tasks is None else source.columns.target_names[0],
                weights=rows.sample_weight,
                weighted_by=source.columns.weights,
                left_out=rows.left_out,
                task_column=source.columns.tasks,
            )
            if table.weights is not None and not table.weights.all():
                counted = np.flatnonzero(table.weights)
                table = replace(table, n_without_weight=len(table.targets) - len(counted)).rows(counted)
            _announce(table, len(files))
            yield table


def in_memory(table: Table) -> Table:
    """Return some rows of a table on disk."""
    part = table.rows(some_rows(len(table.targets), _MOST_ROWS))
    return replace(part, X=named(np.asarray(part.X), part.X.names), targets=np.asarray(part.targets))


def _shown(files: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield files and what messages call them, and show how far reading has come."""
    with progress(len(files)) as done:
        for file in files:
            yield where_of(file, files), file
            done(file.name)


def _announce(table: Table, n_files: int) -> None:
    n_inputs = table.X.shape[1]
    layout = count(len(set(table.tasks.tolist())), "task") if table.is_long else count(len(table.tasks), "target")
    weighted = "" if table.weighted_by is None else f", weighted by {table.weighted_by}"
    say(
        f"{table.name}: {count(n_files, 'file')}, {len(table.targets):,} rows on disk, {count(n_inputs, 'input')}, "
        f"{layout}{weighted}."
    )
    if table.n_without_weight:
        remark(f"{count(table.n_without_weight, 'row')} of weight 0 left out.")
    # Columns that are no inputs were named when they were chosen.
    for text in remarks_of_values(replace(in_memory(table), left_out={})):
        remark(text)
    if n_repeated := repeated_rows(table):
        remark(f"{count(n_repeated, 'row')} with the inputs of others: equal rows stay together in every split.")
