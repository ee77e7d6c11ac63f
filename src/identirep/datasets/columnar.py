"""Parquet and Arrow files, of which only the requested columns are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.arrow_columns import ArrowColumns
from identirep.datasets.batches import unreadable
from identirep.datasets.kinds import look
from identirep.datasets.markers import Markers
from identirep.files import opened_by_arrow

# Rows decoded at once from Parquet; Arrow files have batches of their own.
_BATCH_ROWS = 8_192
_BUFFER_BYTES = 1 << 16
_NAMES = {"parquet": "parquet", "arrow": "feather or Arrow"}
_FILE, _STREAM = b"ARROW1", b"\xff\xff\xff\xff"


class ColumnarFile(ArrowColumns):
    """A Parquet file, or one of Arrow (Feather) or a stream of it, of which only the requested columns are decoded."""

    def __init__(self, path: Path, kind: str, markers: Markers) -> None:
        self.path = path
        self.kind = kind
        with path.open("rb") as file:
            head = file.read(len(_FILE))
        self._is_stream = head.startswith(_STREAM)
        if kind == "arrow" and not self._is_stream and head != _FILE:
            raise self._explain(ValueError("neither the mark of an Arrow file nor that of a stream"))
        try:
            schema = self._read_schema()
            # Decoded when asked for, and not all that calls itself UTF-8 is.
            _ = schema.names
        except unreadable() as error:
            raise self._explain(error) from None
        super().__init__(path, schema, markers)

    def _read_schema(self) -> Any:
        from pyarrow import ipc, parquet

        if self.kind == "parquet":
            return parquet.read_schema(opened_by_arrow(self.path))
        source = opened_by_arrow(self.path)
        with ipc.open_stream(source) if self._is_stream else ipc.open_file(source) as reader:
            return reader.schema

    def _record_batches(self, places: Sequence[int]) -> Iterator[Any]:
        """Yield the columns in batches that were validated: offsets of a damaged file would end the process."""
        import pyarrow as pa

        names = [str(i) for i in range(len(places))]
        try:
            for batch in self._decoded(sorted(set(places))):
                batch.validate(full=True)
                # More may be there: columns of Parquet whose names begin alike.
                found: dict[str, list[int]] = {}
                for i, name in enumerate(batch.schema.names):
                    found.setdefault(name, []).append(i)
                taken = dict.fromkeys(found, 0)
                columns = []
                for place in places:
                    name = self._names[place]
                    columns.append(batch.column(found[name][taken[name]]))
                    # Only columns without a name have one name, and these are read all or not at all.
                    taken[name] += len(found[name]) > 1
                yield pa.RecordBatch.from_arrays(columns, names)
        except unreadable() as error:
            raise self._explain(error) from None

    def _decoded(self, places: Sequence[int]) -> Iterator[Any]:
        """Decode without reading ahead: a row group may be the whole file."""
        from pyarrow import ipc, parquet

        source = opened_by_arrow(self.path)
        if self.kind == "parquet":
            names = [self._names[place] for place in places]
            with parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=names)
            return
        options = ipc.IpcReadOptions(included_fields=list(places))
        if self._is_stream:
            with ipc.open_stream(source, options=options) as reader:
                yield from reader
            return
        with ipc.open_file(source, options=options) as file:
            for i in range(file.num_record_batches):
                yield file.get_batch(i)

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that cannot be decoded."""
        with self.path.open("rb") as file:
            found = look(file.read(1 << 12))
        # One of this format that is damaged looks like what is expected.
        is_other = found is not None and self.path.suffix.lower() not in found.endings
        what = f"what looks like {found.what}" if found is not None and is_other else str(error)
        return ValueError(
            f"{self.path.name} cannot be read: got {what}, expected a {_NAMES[self.kind]} file. Check that the ending "
            "of its name tells its format, and that it is whole."
        )
