"""Columns of a table that go to the output as they are, and what the output says of its latents."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identirep.cli.answers import FORMAT_VERSION
from identirep.cli.found import latent_entries
from identirep.cli.tables import write_table
from identirep.datasets import match_columns, open_table
from identirep.encoding import plain

__all__ = ["METADATA_KEY", "Kept", "kept_columns", "output_schema"]

# Of the schema; each latent's field has its verdict as well, under this and a dot.
METADATA_KEY = "identirep"


@dataclass(frozen=True)
class Kept:
    """Columns to keep, which are read block by block."""

    schema: Any
    blocks: Callable[[], Iterator[Any]]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)


def kept_columns(
    path: Path, keep: Sequence[str] | None, made: Sequence[str], out: Path, reading: dict[str, Any]
) -> Kept:
    """Find the columns to keep, in their order in the file; raise if the output cannot hold them."""
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
        return Kept(pa.schema([]), lambda: iter(()))
    ending = out.suffix.lower()
    schema = _schema_of(file, chosen)
    if ending == ".csv":
        schema = pa.schema([field.with_type(_values_of(field.type)) for field in schema])
    elif not file.has_types:
        schema = pa.schema(list(zip(chosen, _types_of_texts(file, chosen), strict=True)))
    _check_types(schema, out)
    if ending == ".feather" and any(pa.types.is_dictionary(of) for of in schema.types):
        # Such a file has one dictionary for all blocks.
        whole = file.as_they_are(chosen).unify_dictionaries()
        return Kept(whole.schema, lambda: iter([whole]))
    return Kept(schema, lambda: (_cast(block, schema, ending == ".csv") for block in _blocks_of(file, chosen)))


def output_schema(kept: Kept, names: Sequence[str], model: Any, run: Path, content: str) -> Any:
    """Return the schema of the output; names and verdicts of the latents are in its metadata."""
    import pyarrow as pa

    latents = latent_entries(model)
    verdicts = {entry["name"]: entry["verdict"] for entry in latents} if content == "latents" else {}
    fields = list(kept.schema)
    for name in names:
        metadata = {f"{METADATA_KEY}.verdict": verdicts[name]} if name in verdicts else None
        fields.append(pa.field(name, pa.float64(), metadata=metadata))
    about = {"format_version": FORMAT_VERSION, "content": content, "run": run.resolve().name, "latents": latents}
    return pa.schema(fields, {METADATA_KEY: json.dumps(about)})


def _blocks_of(file: Any, columns: Sequence[str]) -> Iterator[Any]:
    """Yield columns of a file as they are; sheets of workbooks are read whole."""
    if hasattr(file, "blocks_as_they_are"):
        return file.blocks_as_they_are(columns)
    return iter([file.as_they_are(columns)])


def _schema_of(file: Any, columns: Sequence[str]) -> Any:
    import pyarrow as pa

    if not file.has_types:
        return pa.schema([(name, pa.string()) for name in columns])
    return file.as_they_are(columns).schema if not hasattr(file, "schema_of") else file.schema_of(columns)


def _cast(block: Any, schema: Any, is_text: bool) -> Any:
    """Return a block with the types of the output: of categories the values where these are all that it has."""
    import pyarrow as pa

    columns = []
    for column, field in zip(block.columns, schema, strict=True):
        values = column if column.type == field.type else plain(column).cast(field.type)
        if is_text and "binary" in str(field.type):
            _check_texts(field.name, values, column.type)
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=schema)


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


def _values_of(kind: Any) -> Any:
    """Return the type of the values of a column of categories, runs or views, which is all that a text file has."""
    import pyarrow as pa
    from pyarrow import types

    is_coded = types.is_dictionary(kind) or types.is_run_end_encoded(kind) or str(kind) == "string_view"
    return plain(pa.array([], kind)).type if is_coded else kind


def _check_texts(name: str, column: Any, kind: Any) -> None:
    """Raise if bytes are no text, which is all that a text file has."""
    import pyarrow as pa

    try:
        column.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        raise ValueError(
            f"--keep has bytes that are no text: got {name!r} of type {kind}, expected texts for a .csv file. "
            "Leave it out, or write another format."
        ) from None


def _types_of_texts(file: Any, columns: Sequence[str]) -> list[Any]:
    """Return the types of columns of a text file: numbers, if not a single cell would be written otherwise."""
    import pyarrow as pa

    possible = [[pa.int64(), pa.float64()] for _ in columns]
    has_cells = [False] * len(columns)
    for block in file.blocks_as_they_are(columns):
        for j, column in enumerate(block.columns):
            has_cells[j] |= column.null_count < len(column)
            possible[j] = [kind for kind in possible[j] if _is_written_so(column, kind)]
    found = zip(possible, has_cells, strict=True)
    return [kinds[0] if kinds and has_any else pa.string() for kinds, has_any in found]


def _is_written_so(texts: Any, kind: Any) -> bool:
    """Tell whether all cells are what numbers of a type are written as."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        written = texts.cast(kind).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    same = compute.equal(texts, written)
    if kind == pa.float64():
        same = compute.or_(same, compute.equal(texts, compute.binary_join_element_wise(written, "0", ".")))
    return texts.null_count == len(texts) or bool(compute.all(same).as_py())
