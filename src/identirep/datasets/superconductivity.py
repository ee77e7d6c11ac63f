"""The superconductivity data set: compositions, critical temperatures, and descriptors computed from compositions."""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from identirep._typing import Array, IntArray

__all__ = ["load_superconductivity"]

_STATISTICS = [prefix + name for name in ("mean", "gmean", "entropy", "range", "std") for prefix in ("", "wtd_")]
_TARGET = "critical_temp"


def load_superconductivity(*, fractions: bool = False, leaky_inputs: bool = False, return_X_y: bool = False) -> Any:
    """Load 21,263 superconductors with 81 targets; nothing is downloaded.

    The inputs are compositions. The targets are the critical temperature, measured, and 80 descriptors, which are
    deterministic functions of the composition: 10 statistics (mean, geometric mean, entropy, range, standard deviation,
    each plain and weighted by the share of the element) of 8 elemental properties. They are recomputed here by the
    author's formulas.

    Parameters
    ----------
    fractions : bool, default False
        Whether inputs are shares of the elements, which sum to one, instead of amounts in the formula unit. All targets
        depend on shares alone, and the size of a formula unit is arbitrary: networks fit shares far better.
    leaky_inputs : bool, default False
        Whether to append the critical temperature to the inputs although it is a target, which is the published
        setting. Only to compare with published numbers.
    return_X_y : bool, default False
        Whether to return ``(X, Y)`` instead of the Bunch.

    Returns
    -------
    sklearn.utils.Bunch or tuple of two arrays
        With attributes

        - ``X``, shape (21263, 86) or (21263, 87): amount of each element in the formula unit, or its share, and with
          `leaky_inputs` the critical temperature;
        - ``Y``, shape (21263, 81): the descriptors, named ``<statistic>_<property>``, and the critical temperature in
          kelvin;
        - ``feature_names``, ``target_names``: lists of str;
        - ``groups``, int array of shape (21263,): rows with equal number have the same normalised composition;
        - ``materials``, array of str, shape (21263,): the formulas;
        - ``DESCR``: provenance, citation and licence (CC BY 4.0).

    See Also
    --------
    sklearn.model_selection.GroupShuffleSplit : Splits that keep ``groups`` together.

    Notes
    -----
    More than a quarter of the rows repeat the composition of another row, so a random split leaks. Split by ``groups``,
    as in the example. Nine elements occur in no formula; their columns are zero.

    References
    ----------
    K. Hamidieh, "A data-driven statistical model for predicting the critical temperature of a superconductor",
    Computational Materials Science 154 (2018) 346-354. UCI Machine Learning Repository, DOI 10.24432/C53P47.

    Examples
    --------
    >>> from sklearn.model_selection import GroupShuffleSplit
    >>> from identirep.datasets import load_superconductivity
    >>> data = load_superconductivity()
    >>> data.X.shape, data.Y.shape
    ((21263, 86), (21263, 81))
    >>> split = GroupShuffleSplit(n_splits=1, test_size=0.25, random_state=0)
    >>> train, test = next(split.split(data.X, groups=data.groups))
    >>> set(data.groups[train]) & set(data.groups[test])
    set()
    """
    elements, amounts, temperature, materials = _read_compositions()
    property_names, properties = _read_properties(elements)
    Y = np.column_stack([_descriptors(amounts, properties), temperature])
    X = amounts / amounts.sum(axis=1, keepdims=True) if fractions else amounts
    feature_names = list(elements)
    if leaky_inputs:
        X, feature_names = np.column_stack([X, temperature]), [*elements, _TARGET]
    if return_X_y:
        return X, Y
    return Bunch(
        X=X,
        Y=Y,
        feature_names=feature_names,
        target_names=[f"{statistic}_{name}" for name in property_names for statistic in _STATISTICS] + [_TARGET],
        groups=_composition_groups(amounts),
        materials=materials,
        DESCR=_resource("README.md").read_text(encoding="utf-8"),
    )


def _descriptors(amounts: Array, properties: Array) -> Array:
    """Compute the ten statistics of each elemental property over the elements of each row; statistics vary fastest.

    With t_k the property of the k-th element present and p_k its share of the formula unit, the entropies are those of
    t_k / sum t and of p_k t_k / sum p t, and the weighted range is the range of p_k t_k. They are NaN for elements that
    occur in no row.
    """
    rows, present = np.nonzero(amounts)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    n_present = np.diff(starts, append=len(rows))

    def total(values: Array) -> Array:
        return np.add.reduceat(values, starts)

    def spread(values: Array) -> Array:
        return np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)

    def entropy(values: Array) -> Array:
        share = values / np.repeat(total(values), n_present)
        return -total(share * np.log(share))

    amount = amounts[rows, present]
    p = amount / np.repeat(total(amount), n_present)
    columns = []
    for values in properties.T:
        t = values[present]
        mean, weighted_mean = total(t) / n_present, total(p * t)
        columns += [
            mean,
            weighted_mean,
            np.exp(total(np.log(t)) / n_present),
            np.exp(total(p * np.log(t))),
            entropy(t),
            entropy(p * t),
            spread(t),
            spread(p * t),
            np.sqrt(total((t - np.repeat(mean, n_present)) ** 2) / n_present),
            np.sqrt(total(p * (t - np.repeat(weighted_mean, n_present)) ** 2)),
        ]
    return np.column_stack(columns)


def _composition_groups(amounts: Array) -> IntArray:
    """Number the distinct normalised compositions in order of appearance."""
    # Rounding makes formulas meet that are multiples of each other, whose shares differ in the last bits.
    shares = np.round(amounts / amounts.sum(axis=1, keepdims=True), 9)
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in shares], dtype=np.int64)


def _read_compositions() -> tuple[list[str], Array, Array, NDArray[Any]]:
    """Read element names, amounts, critical temperatures and formulas."""
    from pyarrow import csv

    with _resource("unique_m.csv.gz").open("rb") as packed, gzip.open(packed) as file:
        table = csv.read_csv(file)
    *elements, _, _ = table.column_names
    amounts = np.column_stack([table[name].to_numpy().astype(np.float64) for name in elements])
    return elements, amounts, table[_TARGET].to_numpy().astype(np.float64), np.array(table["material"].to_pylist())


def _read_properties(elements: list[str]) -> tuple[list[str], Array]:
    """Read names and values of the elemental properties, one row for each of the elements."""
    from pyarrow import csv

    with _resource("element_properties.csv").open("rb") as file:
        table = csv.read_csv(file)
    names = table.column_names[1:]
    properties = np.full((len(elements), len(names)), np.nan)
    listed = [elements.index(element) for element in table["element"].to_pylist()]
    properties[listed] = np.column_stack([table[name].to_numpy() for name in names])
    return names, properties


def _resource(name: str) -> Any:
    """Locate a file of the installed package, zipped or not."""
    return files("identirep.datasets").joinpath("data", name)
