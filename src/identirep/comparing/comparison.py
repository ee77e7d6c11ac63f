"""Comparison of two fitted models, axis by axis, on rows that neither was trained on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray
from identirep.comparing.axes import KEPT, AxisPairs, least_rows, pair_axes
from identirep.inputs import column_names
from identirep.splits import row_groups

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Comparison", "Measured", "check_common_inputs", "compare", "compared", "inputs_of", "measure"]

_MOST_NAMED = 5
_OF_PAIRS = tuple(field.name for field in fields(AxisPairs))


@dataclass(frozen=True)
class Comparison:
    """What has become of the axes of an old model in a new one. Made by `compare`.

    Parameters
    ----------
    old_names, new_names : tuple of str
        Names of the axes of both models.
    partner : array of int, shape (n_old,)
        New axis that goes with each old one, one to one; -1 where there are fewer new ones.
    correlation : array, shape (n_old,)
        Correlation with the partner, sign removed.
    interval : array, shape (n_old, 2)
        Range that holds the correlation with 90% probability; NaN without a partner.
    sign : array, shape (n_old,)
        Sign (-1 or 1) by which the partner is multiplied to agree.
    verdict : tuple of str
        "kept" (a correlation of 0.9 or more), "turned" (into a mixture of new axes, which old ones carry in turn),
        "split" (into new axes that know more), "merged" (with other old axes), "lost".
    of : tuple of tuple of int
        New axes that the old one is kept in, turned or split into, or merged to; none if it is lost.
    new_verdict : tuple of str
        The same of each new axis: "kept", "turned", "split", "merged" or "new".
    new_of : tuple of tuple of int
        Old axes that the new one comes from.
    carried : array, shape (n_old,)
        Multiple correlation of each old axis with all new ones: what is left of it up to a linear map.
    matrix : array, shape (n_old, n_new)
        Correlation of each old axis with each new one.
    n_rows : int
        Rows that these numbers are from.
    rows : str
        Whether these are rows that neither model was trained on, in words.
    unseen : bool
        Whether they are known to be such rows; if not, correlations may be too high.
    common_targets, old_targets, new_targets : tuple of str
        Names of the targets of both models, and of one alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor, compare
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(900, 6))
    >>> y = np.repeat(X[:, :3], 5, axis=1) + 0.3 * rng.normal(size=(900, 15))
    >>> old, new = (
    ...     IdentifiableRegressor(3, regressor=LinearRegression(), random_state=0).fit(X[rows], y[rows])
    ...     for rows in (slice(300), slice(300, 600))
    ... )
    >>> compare(old, new, X).verdict
    ('kept', 'kept', 'kept')
    """

    old_names: tuple[str, ...]
    new_names: tuple[str, ...]
    partner: IntArray
    correlation: Array
    interval: Array
    sign: Array
    verdict: tuple[str, ...]
    of: tuple[tuple[int, ...], ...]
    new_verdict: tuple[str, ...]
    new_of: tuple[tuple[int, ...], ...]
    carried: Array
    matrix: Array
    n_rows: int
    rows: str
    unseen: bool
    common_targets: tuple[str, ...] = ()
    old_targets: tuple[str, ...] = ()
    new_targets: tuple[str, ...] = ()

    @property
    def kept(self) -> BoolArray:
        """Whether each old axis is kept, shape (n_old,)."""
        return np.array([word == KEPT for word in self.verdict], dtype=bool)

    def to_table(self) -> pyarrow.Table:
        """Return one row for each old axis, then for each new one that no old axis is kept in.

        Returns
        -------
        pyarrow.Table
            Columns ``axis``, ``verdict``, ``partner`` (of a new axis null), ``correlation``, ``low`` and ``high`` (ends
            of its interval), ``sign``, and ``of`` (names of the axes of the other model, joined by commas).
        """
        import pyarrow as pa

        rows = [
            {
                "axis": self.old_names[i],
                "verdict": self.verdict[i],
                "partner": self.new_names[j] if j >= 0 else None,
                "correlation": float(self.correlation[i]) if j >= 0 else None,
                "low": float(self.interval[i, 0]) if j >= 0 else None,
                "high": float(self.interval[i, 1]) if j >= 0 else None,
                "sign": int(self.sign[i]) if j >= 0 else None,
                "of": ", ".join(self.new_names[k] for k in self.of[i]),
            }
            for i, j in enumerate(self.partner)
        ]
        nothing = dict.fromkeys(("partner", "correlation", "low", "high", "sign"))
        rows += [
            {
                "axis": self.new_names[j],
                "verdict": word,
                **nothing,
                "of": ", ".join(self.old_names[k] for k in self.new_of[j]),
            }
            for j, word in enumerate(self.new_verdict)
            if word != KEPT
        ]
        text, number = pa.string(), pa.float64()
        kinds = {"axis": text, "verdict": text, "partner": text, "correlation": number, "low": number, "high": number}
        return pa.Table.from_pylist(rows, pa.schema({**kinds, "sign": pa.int64(), "of": text}))


def compare(old: Any, new: Any, X: Any) -> Comparison:
    """Say of each axis of an old model what has become of it in a new one.

    Parameters
    ----------
    old, new : IdentifiableRegressor or MTLCM
        Fitted models, of any numbers of latents and any targets. Their inputs may differ if they have names.
    X : array-like or table, shape (n_samples, n_features)
        Inputs (features, for `MTLCM`) of both: a table with the columns of either by their names, of any kind where a
        model encodes tables, or a matrix. Rows that neither model was trained on are used, as long as there are enough:
        30, and three for each axis.

    Returns
    -------
    Comparison
        Partner, correlation, sign and verdict of each old axis, and what new axes come from.

    Raises
    ------
    ValueError
        If the models have no input in common, `X` lacks inputs, or has too few rows.

    See Also
    --------
    align : The new model in the axes of the old one.

    Notes
    -----
    Rows are told by hashes of their inputs, which `IdentifiableRegressor` keeps; `MTLCM` and runs from before these
    were kept have none, and neither can rows be told in float32 that were trained on in float64: `rows` says so, and
    `unseen` is False. Relations are linear: an axis that comes back bent counts as far as its correlation goes.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep import MTLCM, compare
    >>> rng = np.random.default_rng(0)
    >>> H = rng.normal(size=(300, 3))
    >>> y = np.repeat(H, 5, axis=1) + 0.3 * rng.normal(size=(300, 15))
    >>> old, new = (MTLCM(random_state=0).fit(H[rows], y[rows]) for rows in (slice(150), slice(150, 300)))
    >>> found = compare(old, new, H)
    >>> found.verdict, found.unseen
    (('kept', 'kept', 'kept'), False)
    """
    measured = measure(old, new, X)
    return compared(old, new, measured)


class Measured(NamedTuple):
    """Latents of two models on the same rows, which rows these are in words, and whether neither has seen them."""

    old: Array
    new: Array
    rows: str
    unseen: bool


def measure(old: Any, new: Any, X: Any, of_new: Any = None) -> Measured:
    """Compute the latents of both models on rows that neither has seen, as far as there are enough.

    `X` has the inputs of both, unless those of the new model are given in another form.
    """
    check_common_inputs(old, new)
    own, others = inputs_of(old, X, "old"), inputs_of(new, X if of_new is None else of_new, "new")
    Z, W = old._latents_of(own), new._latents_of(others)
    known, seen = True, np.zeros(len(Z), dtype=bool)
    for model, inputs in ((old, own), (new, others)):
        found = model._saw(inputs) if hasattr(model, "_saw") else None
        known = known and found is not None
        seen |= False if found is None else found
    least = least_rows(Z.shape[1], W.shape[1])
    if len(Z) < least:
        raise ValueError(
            f"X has too few rows to compare {Z.shape[1]} axes with {W.shape[1]}: got {len(Z)}, expected at least "
            f"{least}. Pass more rows, best those that neither model was trained on."
        )
    if not known:
        rows = "rows; whether they were trained on is not known, so that correlations may be too high"
        used = ~seen if np.sum(~seen) >= least else np.ones(len(Z), dtype=bool)
        return Measured(Z[used], W[used], rows, False)
    if (n_unseen := int(np.sum(~seen))) >= least:
        return Measured(Z[~seen], W[~seen], "rows that neither was trained on", True)
    rows = (
        f"rows, {len(Z) - n_unseen:,} of which were trained on, so that correlations may be too high (at least {least} "
        "others are needed)"
    )
    return Measured(Z, W, rows, False)


def compared(old: Any, new: Any, measured: Measured) -> Comparison:
    """Compare two models by latents of both on the same rows."""
    pairs = pair_axes(measured.old, measured.new, row_groups(measured.old))
    tasks, new_tasks = ([str(name) for name in model.task_names_] for model in (old, new))
    return Comparison(
        old_names=old.latent_names_,
        new_names=new.latent_names_,
        **{name: getattr(pairs, name) for name in _OF_PAIRS},
        n_rows=len(measured.old),
        rows=measured.rows,
        unseen=measured.unseen,
        common_targets=tuple(name for name in tasks if name in set(new_tasks)),
        old_targets=tuple(name for name in tasks if name not in set(new_tasks)),
        new_targets=tuple(name for name in new_tasks if name not in set(tasks)),
    )


def check_common_inputs(old: Any, new: Any) -> None:
    """Raise if two models have no axes, or no input in common."""
    for name, model in (("old", old), ("new", new)):
        if isinstance(model, type) or not hasattr(model, "_latents_of"):
            raise TypeError(
                f"{name} has no axes: got {type(model).__name__}, expected a fitted IdentifiableRegressor or MTLCM. "
                "Pass a model."
            )
        check_is_fitted(model)
    first, second = (getattr(model, "feature_names_in_", None) for model in (old, new))
    if first is None or second is None:
        if old.n_features_in_ != new.n_features_in_ and first is second:
            raise ValueError(
                f"old and new cannot be compared: got {old.n_features_in_} and {new.n_features_in_} inputs without "
                "names, expected as many, or names. Fit both to tables with named columns."
            )
        return
    if not set(first) & set(second):
        raise ValueError(
            f"old and new have no input in common: got {_listed(first)} and {_listed(second)}, expected runs on the "
            "same kind of rows. Compare others."
        )


def inputs_of(model: Any, X: Any, which: str) -> Any:
    """Return the columns of a table that are inputs of a model, in its order; a matrix as it is.

    A model that encodes tables takes them as they are.
    """
    names, columns = getattr(model, "feature_names_in_", None), column_names(X)
    if names is None or columns is None:
        return X
    is_encoded = getattr(model, "_encoder", None) is not None
    present = set(map(str, columns)) if is_encoded else set(columns)
    if missing := [name for name in names if name not in present]:
        raise ValueError(
            f"X lacks {len(missing)} of the {len(names)} inputs of the {which} model: got no column "
            f"{_listed(missing)}, expected each by its name. Add or rename columns."
        )
    if is_encoded:
        return X
    return X.select(list(names)) if hasattr(X, "select") and not hasattr(X, "iloc") else X[list(names)]


def _listed(names: Any) -> str:
    shown = ", ".join(repr(str(name)) for name in list(names)[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
