"""Tables that other programs hold in memory and pass on by Arrow's protocol: polars, DuckDB, pandas, PyArrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.arrow_columns import ArrowColumns
from identirep.datasets.batches import unreadable
from identirep.datasets.markers import Markers

__all__ = ["ArrowObject", "is_stream"]

# Rows that are turned into numbers at once.
_BATCH_ROWS = 65_536


def is_stream(source: Any) -> bool:
    """Tell whether an object passes on its columns by Arrow's protocol."""
    return hasattr(source, "__arrow_c_stream__") and not isinstance(source, type)


class ArrowObject(ArrowColumns):
    """Any object with ``__arrow_c_stream__``; what it gives only once is kept."""

    def __init__(self, source: Any, markers: Markers) -> None:
        import pyarrow as pa

        # Messages call it by its kind, as they call a file by its name.
        path = Path(type(source).__name__)
        try:
            # Of tables in memory this is a view.
            self._table = pa.RecordBatchReader.from_stream(source).read_all()
            self._table.validate(full=True)
        except unreadable() as error:
            raise ValueError(
                f"{path.name} cannot be read: got {error}, expected columns by Arrow's protocol. Write it to a file "
                "and load that."
            ) from None
        super().__init__(path, self._table.schema, markers)

    def _record_batches(self, places: Sequence[int]) -> Iterator[Any]:
        import pyarrow as pa

        # By place: several columns may have no name.
        named = [str(i) for i in range(len(places))]
        # Frames in memory may be a single chunk, which is not to be copied at once.
        table = pa.table([self._table.column(place) for place in places], names=named)
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)
