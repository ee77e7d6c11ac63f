"""Tables of mixed columns as inputs of both stages: the part of `IdentifiableRegressor` that holds their encoder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from identirep._typing import BoolArray
from identirep.encoding import TableEncoder, as_table, is_frame, plain
from identirep.gaps import takes_gaps
from identirep.missing import as_numbers
from identirep.mtrn import MTRN
from identirep.persistence import Part, Run, restored
from identirep.row_weights import as_weights

__all__ = ["EncodedTables"]


class EncodedTables:
    """Base of models that take tables: what is learnt of their columns, used, written and read."""

    table_encoder: Any
    regressor: Any
    table_encoder_: TableEncoder | None

    @property
    def _encoder(self) -> TableEncoder | None:
        """What turns tables into inputs of stage one; None if these were numbers, as in runs from before."""
        return getattr(self, "table_encoder_", None)

    def _fit_encoder(self, stage: Any, X: Any, sample_weight: Any = None) -> Any:
        """Return the inputs of that stage one; of a table learn how to encode it, and warn of what is to be said.

        Nothing is learnt of rows of weight 0, in whose place others stand until they are left out; all others count
        alike.
        """
        self.table_encoder_ = None
        is_auto = isinstance(self.table_encoder, str)
        is_own = isinstance(stage, MTRN) and not isinstance(stage.encoder, str)
        if self.table_encoder is None or (is_auto and (is_own or not is_frame(X))):
            return X
        encoder = TableEncoder() if is_auto else clone(self.table_encoder)
        if encoder.impute == "auto" and takes_gaps(stage):
            encoder.set_params(impute="none")
        part, counted = _counted_rows(X, sample_weight)
        inputs = encoder.set_output(transform="default").fit_transform(part)
        if counted is not None:
            inputs = inputs[np.maximum(np.cumsum(counted) - 1, 0)]
        self.table_encoder_ = encoder
        if encoder.impute == "none" and encoder.gaps_ and not takes_gaps(stage):
            name, n = next(iter(encoder.gaps_)), len(encoder.gaps_)
            raise ValueError(
                f"inputs have gaps: got missing values in {name!r}{f' and {n - 1:,} more' if n > 1 else ''} with "
                f"impute='none', expected complete inputs, or a regressor that takes gaps. Pass impute='mean', or "
                "regressor='extra-trees'."
            )
        for remark in encoder.remarks_:
            warnings.warn(remark, UserWarning, stacklevel=3)
        return inputs

    def _inputs(self, X: Any) -> Any:
        """Return inputs as stage one takes them."""
        return X if self._encoder is None else self._encoder.transform(X)

    def _names_of_inputs(self, stage: Any) -> NDArray[Any] | None:
        """Names of the inputs of stage one, if they have any."""
        if self._encoder is not None:
            return self._encoder.get_feature_names_out()
        return getattr(stage, "feature_names_in_", None)

    def _encoder_part(self, estimators: dict[str, Any]) -> Part | None:
        """Return what is written of the encoder; what is of scikit-learn joins the other `estimators`."""
        if self._encoder is None:
            return None
        if found := self._encoder._estimators:
            estimators["table_encoder"] = found
        return Part.of(self._encoder)

    def _read_encoder(self, run: Run, estimators: Mapping[str, Any]) -> None:
        """Take over the encoder of a run, if it has one."""
        part = run.parts.get("table_encoder")
        self.table_encoder_ = None
        if part is not None:
            encoder = restored(TableEncoder, part)._with_estimators(estimators.get("table_encoder", {}))
            self.table_encoder_ = encoder.set_output(transform="default")

    @property
    def _takes_gaps(self) -> bool:
        return self.regressor == "extra-trees" if isinstance(self.regressor, str) else takes_gaps(self.regressor)


def _counted_rows(X: Any, sample_weight: Any) -> tuple[Any, BoolArray | None]:
    """Return the rows of weights above 0, and which these are; all, and None, where that is all or weights are bad."""
    if sample_weight is None:
        return X, None
    table: Any = as_table(X) if is_frame(X) else as_numbers(X)
    weights, _ = as_weights(sample_weight, len(table))
    if weights is None or weights.all():
        return X, None
    counted = weights > 0
    if not is_frame(X):
        return table[counted], counted
    import pyarrow as pa

    # Views of texts, as polars has them, cannot be filtered.
    columns = [plain(column).filter(pa.array(counted)) for column in table.columns]
    return pa.Table.from_arrays(columns, table.column_names, metadata=table.schema.metadata), counted
