"""What a fit learns of a table: which numbers are made of each column, and how gaps are filled."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from identirep._typing import Array, BoolArray, IntArray
from identirep.datasets import Markers
from identirep.encoding.columns import Column
from identirep.encoding.reading import check_zone, numbers_of, parts_of, texts_of
from identirep.encoding.values import CUT, as_dates, has_zone
from identirep.encoding.words import new_gaps_remark, new_values_remark
from identirep.parameters import raise_faults
from identirep.shapes import Damage

__all__ = ["Input", "Recipe", "Unseen"]

# Rows that a value of a category needs for an input of its own.
_LEAST_ROWS = 3
# Share of the rows, and number of them, from which gaps have an input that says where they are.
_SHARE_OF_GAPS, _ROWS_OF_GAPS = 0.01, 5
# Rounding of a sine: a part of a date that varies by no more is constant.
_CONSTANT = 1e-9
_MAX_NAMED = 5


@dataclass
class Unseen:
    """What rows had that the fit has not seen: rows with gaps by input, rows with a value by category."""

    gaps: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """A column that is an input, and what numbers are made of it: `parts` of a date, or `width` of a list."""

    name: str
    kind: str
    parts: tuple[str, ...] = ()
    width: int = 1
    # Whether dates have a time zone; None of no dates, and in runs that were written before it was kept.
    zone: bool | None = None

    @classmethod
    def of(cls, column: Column, values: Any) -> Input:
        """Say what is made of a column: of a date those parts that vary."""
        if column.kind not in ("date or time", "time of day"):
            return cls(column.name, column.kind, (), column.width)
        days = as_dates(values)
        found = parts_of(column.kind, days[~np.isnan(days)])
        parts = [name for name, part in found.items() if len(part) and np.ptp(part) > _CONSTANT]
        return cls(column.name, column.kind, tuple(parts or list(found)[:1]), zone=has_zone(values))

    @property
    def names(self) -> list[str]:
        """Names of the numbers; categories have theirs from their values."""
        if self.parts:
            return [f"{self.name}: {part}" for part in self.parts]
        return [f"{self.name}[{i}]" for i in range(self.width)] if self.kind == "list" else [self.name]


@dataclass(frozen=True)
class Recipe:
    """What was learnt, and how it is used."""

    inputs: tuple[Input, ...]
    markers: Markers
    # Share of missing values in each input that has any, but for categories.
    gaps: dict[str, float] = field(default_factory=dict)
    # Inputs beside which one more says where they are missing.
    indicated: tuple[str, ...] = ()
    imputer: SimpleImputer | None = None
    one_hot: OneHotEncoder | None = None

    @classmethod
    def learnt(
        cls,
        kept: Sequence[Column],
        columns: Mapping[str, Any],
        markers: Markers,
        impute: str,
        max_categories: int,
    ) -> Recipe:
        """Learn from the rows of a fit."""
        recipe = cls(tuple(Input.of(column, columns[column.name]) for column in kept), markers)
        n_rows = len(next(iter(columns.values())))
        numbers = recipe._numbers(columns, n_rows)
        is_gap = recipe._is_gap(numbers)
        share = is_gap.mean(axis=0)
        names = [each.name for each in recipe.numeric]
        gaps = {name: float(s) for name, s in zip(names, share, strict=True) if s > 0.0}
        imputer, one_hot, indicated = None, None, list[str]()
        if impute != "none" and recipe.n_numbers:
            # The last argument keeps columns of nothing but gaps, as zeros.
            strategy = "median" if impute == "median" else "mean"
            imputer = SimpleImputer(strategy=strategy, keep_empty_features=True).fit(numbers)
            indicated = _worth_an_input(names, is_gap)
        if recipe.categories:
            one_hot = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                min_frequency=_LEAST_ROWS,
                max_categories=max_categories,
                sparse_output=False,
                dtype=np.float64,
            ).fit(recipe._texts(columns))
        return replace(recipe, gaps=gaps, indicated=tuple(indicated), imputer=imputer, one_hot=one_hot)

    @cached_property
    def numeric(self) -> list[Input]:
        """Inputs that are no categories."""
        return [each for each in self.inputs if each.kind != "category"]

    @cached_property
    def categories(self) -> list[Input]:
        """Inputs that are categories."""
        return [each for each in self.inputs if each.kind == "category"]

    @cached_property
    def n_numbers(self) -> int:
        """How many numbers are made of inputs that are no categories."""
        return sum(len(each.names) for each in self.numeric)

    @property
    def how_filled(self) -> str:
        """What stands in gaps, in words."""
        if self.imputer is None:
            return "passed on as they are"
        n = len(self.indicated)
        where = f", and {n:,} more {'input says' if n == 1 else 'inputs say'} where" if n else ""
        return f"filled with the {self.imputer.strategy}{where}"

    @property
    def names(self) -> list[str]:
        """Names of all numbers, those of a column beside each other."""
        return self._layout[0]

    def encode(self, columns: Mapping[str, Any], n_rows: int, unseen: Unseen) -> Array:
        """Return the numbers of rows; what the fit has not seen is added to what earlier rows have of that."""
        numbers = self._numbers(columns, n_rows)
        blocks = [numbers]
        is_gap = self._is_gap(numbers)
        if self.indicated:
            names = [each.name for each in self.numeric]
            blocks.append(is_gap[:, [names.index(name) for name in self.indicated]].astype(np.float64))
        if self.imputer is not None and is_gap.any():
            self._add_gaps(is_gap, unseen)
            blocks[0] = self.imputer.transform(numbers)
        if self.one_hot is not None:
            texts = self._texts(columns)
            self._add_values(texts, unseen)
            with warnings.catch_warnings():
                # What is not known is said by name.
                warnings.simplefilter("ignore", UserWarning)
                blocks.append(self.one_hot.transform(texts))
        if len(blocks) == 1:
            return blocks[0]
        return np.ascontiguousarray(np.hstack(blocks)[:, self._layout[1]])

    def remarks(self, unseen: Unseen) -> list[str]:
        """Say what rows had that the fit has not seen: gaps in other inputs, and other values of categories."""
        found = list[str]()
        if unseen.gaps:
            assert self.imputer is not None
            found.append(new_gaps_remark(unseen.gaps, self.imputer.strategy))
        for i, each in enumerate(self.categories):
            if new := unseen.values.get(each.name):
                rest = "its rare values" if self._rare(i) else "none of its values"
                shown = [value if value is None else _cut(value) for value in new]
                found.append(new_values_remark(each.name, shown, sum(new.values()), rest))
        return found

    def to_meta(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "inputs": [asdict(each) for each in self.inputs],
            "gaps": self.gaps,
            "indicated": list(self.indicated),
        }

    @classmethod
    def of_meta(cls, meta: Mapping[str, Any], markers: Markers) -> Recipe:
        """Undo `to_meta`; estimators are missing yet."""
        inputs = tuple(Input(**{**entry, "parts": tuple(entry["parts"])}) for entry in meta["inputs"])
        gaps = {str(name): float(share) for name, share in meta["gaps"].items()}
        recipe = cls(inputs, markers, gaps, tuple(str(name) for name in meta["indicated"]))
        if not set(recipe.indicated) <= {each.name for each in recipe.numeric}:
            raise Damage("inputs for gaps of columns that are none")
        return recipe

    def with_estimators(self, imputer: Any, one_hot: Any) -> Recipe:
        """Return the recipe with estimators, which have to go with it."""
        for kind, estimator, n_inputs in (
            (SimpleImputer, imputer, self.n_numbers),
            (OneHotEncoder, one_hot, len(self.categories)),
        ):
            if estimator is not None and (type(estimator) is not kind or estimator.n_features_in_ != n_inputs):
                raise Damage(f"a {type(estimator).__name__} in the place of a {kind.__name__} of {n_inputs} columns")
        if (one_hot is None) != (not self.categories):
            raise Damage("categories without their values, or values without categories")
        return replace(self, imputer=imputer, one_hot=one_hot)

    @cached_property
    def _firsts(self) -> IntArray:
        """Place of the first number of each input that is no category."""
        widths = [len(each.names) for each in self.numeric]
        return np.cumsum([0, *widths])[:-1].astype(np.int64)

    @cached_property
    def _outputs(self) -> dict[str, list[tuple[str, int]]]:
        """Name of each number of an input, and where it is among numbers, gaps and categories."""
        outputs: dict[str, list[tuple[str, int]]] = {each.name: [] for each in self.inputs}
        found = [(each.name, name) for each in self.numeric for name in each.names]
        found += [(name, f"{name} is missing") for name in self.indicated]
        for i, each in enumerate(self.categories):
            found += [(each.name, name) for name in self._names_of_values(i)]
        for place, (column, name) in enumerate(found):
            outputs[column].append((name, place))
        return outputs

    @cached_property
    def _layout(self) -> tuple[list[str], IntArray]:
        """Names of all numbers in the order of the columns, and where each is among numbers, gaps and categories."""
        listed = [output for each in self.inputs for output in self._outputs[each.name]]
        return _distinct([name for name, _ in listed]), np.array([place for _, place in listed], dtype=np.int64)

    @property
    def places(self) -> dict[str, IntArray]:
        """Where the numbers of each input are in what `encode` returns."""
        ends = np.cumsum([0, *(len(self._outputs[each.name]) for each in self.inputs)])
        return {each.name: np.arange(ends[i], ends[i + 1]) for i, each in enumerate(self.inputs)}

    def _names_of_values(self, i: int) -> list[str]:
        """Name the inputs of the values of a category, the rare ones last."""
        assert self.one_hot is not None
        name, rare = self.categories[i].name, self._rare(i)
        known = [value for value in self.one_hot.categories_[i].tolist() if value not in rare]
        found = [f"{name} is missing" if value is None else f"{name}={_cut(value)}" for value in known]
        return found + ([f"{name}=others"] if rare else [])

    def _rare(self, i: int) -> set[str | None]:
        """Return the values of a category that share one input."""
        assert self.one_hot is not None
        found = self.one_hot.infrequent_categories_[i]
        return set() if found is None else set(found.tolist())

    def _numbers(self, columns: Mapping[str, Any], n_rows: int) -> Array:
        """Return all that is no category as numbers, NaN in gaps; ValueError for infinite ones."""
        numbers = np.empty((n_rows, self.n_numbers))
        for each, first in zip(self.numeric, self._firsts.tolist(), strict=True):
            check_zone(each.name, columns[each.name], each.zone)
            part = numbers_of(each.name, each.kind, columns[each.name], self.markers, each.parts, each.width)
            numbers[:, first : first + part.shape[1]] = part
        if np.isinf(numbers).any():
            self._raise_infinite(numbers)
        return numbers

    def _texts(self, columns: Mapping[str, Any]) -> NDArray[Any]:
        return np.column_stack([texts_of(columns[each.name]) for each in self.categories])

    def _is_gap(self, numbers: Array) -> BoolArray:
        """Tell where inputs are missing: a list, or a date, is as a whole unless some of its numbers are."""
        is_nan = np.isnan(numbers)
        if self.n_numbers == len(self.numeric):
            return is_nan
        return np.column_stack(
            [
                is_nan[:, first : first + len(each.names)].any(axis=1)
                for each, first in zip(self.numeric, self._firsts.tolist(), strict=True)
            ]
            or [np.zeros((len(numbers), 0), dtype=bool)]
        )

    def _add_gaps(self, is_gap: BoolArray, unseen: Unseen) -> None:
        """Count the gaps in inputs that had none in the fit."""
        for each, count in zip(self.numeric, is_gap.sum(axis=0).tolist(), strict=True):
            if count and each.name not in self.gaps:
                unseen.gaps[each.name] += count

    def _add_values(self, texts: NDArray[Any], unseen: Unseen) -> None:
        """Count the values of categories that the fit did not have."""
        assert self.one_hot is not None
        for i, each in enumerate(self.categories):
            known = set(self.one_hot.categories_[i].tolist())
            new = Counter(value for value in texts[:, i].tolist() if value not in known)
            if new:
                unseen.values.setdefault(each.name, Counter()).update(new)

    def _raise_infinite(self, numbers: Array) -> None:
        faults = []
        for each, first in zip(self.numeric, self._firsts.tolist(), strict=True):
            rows = np.flatnonzero(np.isinf(numbers[:, first : first + len(each.names)]).any(axis=1))
            if len(rows):
                faults.append(
                    f"column {each.name!r} has infinite values: got {len(rows)}, first at row {rows[0] + 1}, expected "
                    f"finite numbers. Drop those rows, or leave {each.name!r} out."
                )
        hidden = len(faults) - _MAX_NAMED
        raise_faults(faults[:_MAX_NAMED] + ([f"And {hidden} more columns."] if hidden > 0 else []))


def _worth_an_input(names: Sequence[str], is_gap: BoolArray) -> list[str]:
    """List the inputs with many gaps; of those that are missing in the same rows the first."""
    count = is_gap.sum(axis=0)
    least = max(_SHARE_OF_GAPS * len(is_gap), _ROWS_OF_GAPS)
    found: dict[bytes, str] = {}
    for j in np.flatnonzero((count >= least) & (count < len(is_gap))).tolist():
        found.setdefault(np.packbits(is_gap[:, j]).tobytes(), names[j])
    return list(found.values())


def _cut(value: str) -> str:
    return value if len(value) <= CUT else f"{value[:CUT]}..."


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are alike: a column may be called like a value of another."""
    used, found = set[str](), list[str]()
    taken = {name for name, count in Counter(names).items() if count == 1}
    for name in names:
        own, n = name, 2
        while own in used or (own != name and own in taken):
            own, n = f"{name} ({n})", n + 1
        used.add(own)
        found.append(own)
    return found
