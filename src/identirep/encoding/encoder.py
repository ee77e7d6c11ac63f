"""TableEncoder: tables of mixed columns as matrices of numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, IntArray
from identirep.datasets import Markers
from identirep.encoding.columns import Column, judge_columns
from identirep.encoding.frames import as_table, is_frame
from identirep.encoding.recipe import Recipe, Unseen
from identirep.encoding.values import plain
from identirep.encoding.words import gaps_remark, left_out_remark
from identirep.parameters import Choice, Either, Rule, Texts, Whole, parameter_faults, raise_faults
from identirep.shapes import Damage

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TableEncoder", "check_columns"]

_MAX_NAMED = 5
_HOW_TO_KEEP = "To keep one, name it in keep, or in categorical if it is a text."


class TableEncoder(TransformerMixin, BaseEstimator):
    """Turn a table of mixed columns into a matrix of numbers.

    Numbers stay as they are. Texts with few values become one input for each value, dates become days since 1970 and
    their place in the year, the week and the day, lists of equal length one input for each number, and gaps are filled.
    Columns that number the rows, free texts and ids, constant and empty columns are left out, and it is said which.

    Parameters
    ----------
    impute : {"auto", "mean", "median", "none"}, default "auto"
        What stands in gaps of numbers: the mean or the median of the rows of the fit, or nothing (NaN). "auto" is
        "mean", and "none" in an `IdentifiableRegressor` whose regressor takes gaps. Where many rows have a gap, one
        more input says which. In categories, missing is a value like any other.
    categorical : sequence of str, optional
        Names of columns that are categories whatever they look like, such as codes that are whole numbers. Default:
        texts with at most `max_categories` values of which there are half as many as rows, at most.
    keep : sequence of str, optional
        Names of columns that are inputs although they number the rows or are constant.
    max_categories : int, default 30
        Most inputs of a category: of a category with more values the rarest share one, as do those of less than 3 rows.
    missing : str or sequence of str, optional
        What stands for a missing number beside the usual markers, as for `load_table`.

    Attributes
    ----------
    columns_ : tuple of Column
        What was found in each column of the fit: its `name`, `kind`, and `why_not` it is an input.
    left_out_ : dict
        Columns that are no inputs, and why.
    feature_names_in_ : array of str
        Columns that are inputs, in the order of the table: those that `transform` needs.
    n_features_in_ : int
        Number of these.
    gaps_ : dict
        Share of missing values in each input that has any, but for categories, where missing is a value.
    remarks_ : list of str
        What is to be said of the columns of the fit: those left out, and those with gaps.

    Notes
    -----
    Takes tables of pandas, polars and Arrow, whatever has ``__arrow_c_stream__``, and matrices, whose columns are
    called x0, x1, ... `transform` takes columns by name, in any order, beside others. What it has not seen in the fit
    has a meaning, and one warning: a new value of a category is one of the rare values, or none of the known ones; a
    gap is filled as in the fit. A column of another type is an error. Texts that are ISO dates are dates, and texts
    that are all numbers are numbers.

    Made of :class:`sklearn.preprocessing.OneHotEncoder` and :class:`sklearn.impute.SimpleImputer`, so that a run
    directory holds it without pickle. Nothing is learnt from targets, nor from rows outside of the fit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from identirep import TableEncoder
    >>> table = pa.table({"mass": [1.0, 2.0, 4.0, 8.0] * 5, "colour": ["red", "blue"] * 10})
    >>> encoder = TableEncoder().fit(table)
    >>> list(encoder.get_feature_names_out())
    ['mass', 'colour=blue', 'colour=red']
    >>> encoder.transform(table)[:2]
    array([[1., 0., 1.],
           [2., 1., 0.]])
    """

    _parameter_rules: ClassVar[dict[str, Rule]] = {
        "impute": Choice("auto", "mean", "median", "none"),
        "categorical": Either(Choice(None), Texts()),
        "keep": Either(Choice(None), Texts()),
        "max_categories": Whole(2),
        "missing": Either(Choice(None), Texts()),
    }

    def __init__(
        self,
        *,
        impute: str = "auto",
        categorical: Sequence[str] | None = None,
        keep: Sequence[str] | None = None,
        max_categories: int = 30,
        missing: str | Sequence[str] | None = None,
    ) -> None:
        self.impute = impute
        self.categorical = categorical
        self.keep = keep
        self.max_categories = max_categories
        self.missing = missing

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns are inputs, the values of categories, and what stands in gaps.

        Parameters
        ----------
        X : table or array-like, shape (n_samples, n_columns)
            Inputs of the rows of training.
        y : object, optional
            Not used.

        Returns
        -------
        TableEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If no column is an input, a column of numbers has texts in it, or the parameters are not valid.
        """
        self._fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to a table and return it as numbers, which is faster than one after the other.

        Parameters
        ----------
        X : table or array-like, shape (n_samples, n_columns)
            Inputs of the rows of training.
        y : object, optional
            Not used.
        **fit_params : object
            Not used.

        Returns
        -------
        array, shape (n_samples, n_outputs)
            Numbers.
        """
        return self._fit_transform(X)

    def transform(self, X: Any) -> Any:
        """Return a table as numbers, by what was learnt in the fit.

        Parameters
        ----------
        X : table or array-like, shape (n_samples, n_columns)
            The columns of the fit by name, in any order, beside others; of a matrix by position.

        Returns
        -------
        array, shape (n_samples, n_outputs)
            Numbers, float64, NaN in gaps if none are filled; a data frame if `set_output` asks for one.

        Raises
        ------
        ValueError
            If columns are missing, have another type than in the fit, or hold infinite numbers.
        """
        check_is_fitted(self)
        columns, n_rows = self._columns_of(X)
        gathered: Unseen | None = self.__dict__.get("_unseen")
        unseen = Unseen() if gathered is None else gathered
        encoded = self._recipe.encode(columns, n_rows, unseen)
        if gathered is None and (remarks := self._recipe.remarks(unseen)):
            warnings.warn(" ".join(remarks), UserWarning, stacklevel=2)
        return encoded

    @contextmanager
    def _blocks_of_one_table(self) -> Iterator[None]:
        """Let what is transformed meanwhile be blocks of one table, whose one warning comes at the end."""
        self._unseen = unseen = Unseen()
        try:
            yield
        finally:
            del self._unseen
        if remarks := self._recipe.remarks(unseen):
            warnings.warn(" ".join(remarks), UserWarning, stacklevel=3)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the numbers, such as ``colour=red``, ``when: days since 1970`` or ``embedding[0]``.

        Parameters
        ----------
        input_features : object, optional
            Not used: the names are those of the columns of the fit.

        Returns
        -------
        array of str, shape (n_outputs,)
            Names, no two alike.
        """
        check_is_fitted(self)
        return np.array(self._recipe.names, dtype=object)

    def _fit_transform(self, X: Any) -> Array:
        """Learn all that there is, and return the numbers of the rows."""
        raise_faults(parameter_faults(self))
        table = as_table(X)
        if not table.num_rows:
            raise ValueError("X is empty: got 0 rows, expected at least one. Pass rows.")
        categorical, keep, known = _listed(self.categorical), _listed(self.keep), set(table.column_names)
        raise_faults(
            [
                f"{option} matches no column: got {name!r}, expected columns of the table. Check the spelling."
                for option, names in (("categorical", categorical), ("keep", keep))
                for name in names
                if name not in known
            ]
        )
        markers = Markers.of(self.missing)
        self.columns_ = tuple(
            judge_columns(
                table,
                markers=markers,
                categorical=categorical,
                keep=keep,
                most_categories=self.max_categories,
            )
        )
        check_columns(self.columns_)
        kept = [column for column in self.columns_ if column.is_input]
        columns = {column.name: plain(table.column(column.name)) for column in kept}
        self._recipe = Recipe.learnt(kept, columns, markers, self.impute, self.max_categories)
        return self._recipe.encode(columns, table.num_rows, Unseen())

    def _columns_of(self, X: Any) -> tuple[dict[str, Any], int]:
        """Take the inputs out of a table by name, of a matrix by position; also the number of rows."""
        table, n_columns = as_table(X), len(self.columns_)
        if not is_frame(X):
            if table.num_columns != n_columns:
                raise ValueError(
                    f"X has {table.num_columns} features, but {type(self).__name__} is expecting {n_columns} features "
                    "as input: got a matrix, expected the columns of the fit. Pass these."
                )
            table = table.rename_columns([column.name for column in self.columns_])
        names = [each.name for each in self._recipe.inputs]
        check_names(names, table.column_names, "X")
        return {name: plain(table.column(name)) for name in names}, table.num_rows

    @property
    def left_out_(self) -> dict[str, str]:
        """Columns that are no inputs, and why."""
        check_is_fitted(self)
        return {column.name: column.why_not for column in self.columns_ if column.why_not}

    @property
    def gaps_(self) -> dict[str, float]:
        """Share of missing values in each input that has any; of categories they are a value of their own."""
        check_is_fitted(self)
        return self._recipe.gaps

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Columns that are inputs, in the order of the table."""
        return np.array([each.name for each in self._fitted().inputs], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of columns that are inputs."""
        return len(self._fitted().inputs)

    @property
    def _places(self) -> dict[str, IntArray]:
        """Where the numbers of each input are in the rows that `transform` returns."""
        return self._fitted().places

    def _fitted(self) -> Recipe:
        try:
            return self.__dict__["_recipe"]
        except KeyError:
            # What looks for attributes of a fit expects this of those that are not there.
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.") from None

    def __sklearn_is_fitted__(self) -> bool:
        return "_recipe" in self.__dict__

    @property
    def remarks_(self) -> list[str]:
        """Sentences on columns that were left out and on gaps, as a fit says them."""
        check_is_fitted(self)
        n_rows = self.columns_[0].n_rows
        found = [left_out_remark(self.left_out_, _HOW_TO_KEEP)]
        found.append(gaps_remark(self.gaps_, self._recipe.how_filled, n_rows))
        return [text for text in found if text]

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the fitted state but for what is of scikit-learn, see `_estimators`."""
        return {}, {"columns": [asdict(column) for column in self.columns_], **self._recipe.to_meta()}

    @property
    def _estimators(self) -> dict[str, Any]:
        found = {"imputer": self._recipe.imputer, "one_hot": self._recipe.one_hot}
        return {name: estimator for name, estimator in found.items() if estimator is not None}

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Self:
        """Take over a state that `_to_arrays` has returned; it needs its estimators yet."""
        self.columns_ = tuple(Column(**entry) for entry in meta["columns"])
        self._recipe = Recipe.of_meta(meta, Markers.of(self.missing))
        return self

    def _with_estimators(self, estimators: Mapping[str, Any]) -> Self:
        """Take over what `_estimators` has returned, which has to go with the rest."""
        self._recipe = self._recipe.with_estimators(estimators.get("imputer"), estimators.get("one_hot"))
        if (self._recipe.imputer is None) != (self.impute == "none" or not self._recipe.n_numbers):
            raise Damage("a table encoder with other settings")
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags


def check_columns(columns: Sequence[Column], left_out: Mapping[str, str] | None = None) -> None:
    """Raise for columns of numbers with texts in them, and if no column is an input; some were left out before."""
    faults = [
        f"column {column.name!r} is not numeric: got {column.why_not}, expected numbers. "
        f"{column.remedy[:1].upper()}{column.remedy[1:]}."
        for column in columns
        if column.is_fault
    ]
    hidden = len(faults) - _MAX_NAMED
    raise_faults(faults[:_MAX_NAMED] + ([f"And {hidden} more columns."] if hidden > 0 else []))
    if not any(column.is_input for column in columns):
        reasons = {**(left_out or {}), **{column.name: column.why_not for column in columns}}
        listed = ", ".join(f"{name!r} ({why})" for name, why in list(reasons.items())[:_MAX_NAMED])
        raise ValueError(
            f"features is empty: got {listed or 'no columns'}, expected at least one input. Name it in features, or in "
            "categorical, if it is one."
        )


def check_names(names: Sequence[str], found: Sequence[str], what: str) -> None:
    """Raise if inputs of a fit are not among the columns found."""
    known = set(found)
    lacking = [name for name in names if name not in known]
    if lacking:
        listed = ", ".join(repr(name) for name in lacking[:_MAX_NAMED])
        more = f" and {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
        raise ValueError(
            f"{what} lacks {len(lacking)} of the {len(names)} inputs of the model: got no column {listed}{more}, "
            "expected each by its name. Add or rename columns."
        )


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list([] if names is None else names)
