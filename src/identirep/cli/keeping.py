"""Columns of a table that go to the output as they are, and what the output says of its latents."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from identirep._typing import Array
from identirep.cli.answers import FORMAT_VERSION
from identirep.cli.found import latent_entries
from identirep.cli.tables import named, write_table
from identirep.datasets import match_columns, open_table
from identirep.encoding import plain

__all__ = ["METADATA_KEY", "kept_columns", "output_table"]

# Of the schema; each latent's field has its verdict as well, under this and a dot.
METADATA_KEY = "identirep"


def kept_columns(
    path: Path, keep: Sequence[str] | None, made: Sequence[str], out: Path, reading: dict[str, Any]
) -> Any:
    """Read the columns to keep as an Arrow table, in their order in the file; raise if the output cannot hold them."""
    import pyarrow as pa

    file = open_table(path, **{**reading, "missing": None})
    named_by_user = set(match_columns("keep", keep, file.columns))
    chosen = [name for name in file.columns if name in named_by_user]
    if clash := [name for name in chosen if name in set(made)]:
        raise ValueError(
            f"--keep has names of the output: got {clash[0]!r}, which is computed and kept, expected other columns. "
            "Rename it in the table, or leave it out."
        )
    if not chosen:
        return pa.table({})
    is_text = out.suffix.lower() == ".csv"
    kept = file.as_they_are(chosen)
    if is_text:
        columns = [_for_csv(name, column) for name, column in zip(chosen, kept.columns, strict=True)]
    else:
        columns = kept.columns if file.has_types else [_typed(column) for column in kept.columns]
    fields = [field.with_type(column.type) for field, column in zip(kept.schema, columns, strict=True)]
    kept = pa.table(columns, schema=pa.schema(fields))
    _check_types(kept.schema, out)
    return kept


def output_table(kept: Any, values: Array, names: Sequence[str], model: Any, run: Path, content: str) -> Any:
    """Join what is kept and what was computed; names and verdicts of the latents are in the metadata."""
    import pyarrow as pa

    computed = named(values, names)
    if kept.num_columns and kept.num_rows != computed.num_rows:
        raise ValueError(
            f"DATA has changed: got {kept.num_rows:,} rows to keep and {computed.num_rows:,} with inputs, expected the "
            "same file. Run it again."
        )
    latents = latent_entries(model)
    verdicts = {entry["name"]: entry["verdict"] for entry in latents} if content == "latents" else {}
    fields = [*kept.schema, *computed.schema]
    for i, field in enumerate(computed.schema, start=kept.num_columns):
        if field.name in verdicts:
            fields[i] = field.with_metadata({f"{METADATA_KEY}.verdict": verdicts[field.name]})
    about = {"format_version": FORMAT_VERSION, "content": content, "run": run.resolve().name, "latents": latents}
    schema = pa.schema(fields, {METADATA_KEY: json.dumps(about)})
    return pa.Table.from_arrays([*kept.columns, *computed.columns], schema=schema)


def _check_types(schema: Any, out: Path) -> None:
    """Raise if the format of the output has no place for a type, which writers say at the first row or before."""
    import pyarrow as pa

    bad = []
    with tempfile.TemporaryDirectory() as folder:
        for field in schema:
            try:
                write_table(Path(folder) / f"one{out.suffix}", pa.schema([field]).empty_table())
            except (pa.ArrowException, TypeError, ValueError):
                bad.append(f"{field.name!r} of type {field.type}")
    if bad:
        raise ValueError(
            f"--keep has columns that a {out.suffix.lower()} file cannot hold: got {', '.join(bad[:5])}, expected "
            "types of that format. Leave them out, or write another format."
        )


def _for_csv(name: str, column: Any) -> Any:
    """Return a column of categories, runs or views as its values, which is all that a text file has."""
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind) or str(kind) == "string_view":
        column = plain(column)
    if types.is_binary(column.type) or types.is_large_binary(column.type) or types.is_fixed_size_binary(column.type):
        try:
            column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            raise ValueError(
                f"--keep has bytes that are no text: got {name!r} of type {kind}, expected texts for a .csv file. "
                "Leave it out, or write another format."
            ) from None
    return column


def _typed(texts: Any) -> Any:
    """Return the cells of a text file as numbers, if not a single one would be written otherwise."""
    import pyarrow as pa
    from pyarrow import compute

    for kind in (pa.int64(), pa.float64()):
        try:
            numbers = texts.cast(kind)
        except pa.ArrowInvalid:
            continue
        written = numbers.cast(pa.string())
        same = compute.equal(texts, written)
        if kind == pa.float64():
            same = compute.or_(same, compute.equal(texts, compute.binary_join_element_wise(written, "0", ".")))
        if texts.null_count < len(texts) and compute.all(same).as_py():
            return numbers
    return texts
