"""Real tables of the experiment: those of the package and of scikit-learn, and those of a folder that the user names.

The folder of ``IDENTIREP_TABLES`` holds ``targets.json``, for each table its ``file`` (CSV) and ``n_targets``: the last
columns are the targets. It is meant for the multi-target regression sets of the Mulan collection, and for those that
``benchmarks/tables_for_trust.py`` writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from identirep._typing import Array, IntArray
from identirep.datasets import load_qm9, load_superconductivity

__all__ = ["FOLDER_VARIABLE", "equal_rows", "load_real", "why_missing"]

FOLDER_VARIABLE = "IDENTIREP_TABLES"


def why_missing(name: str) -> str | None:
    """Say why a table cannot be had here; None if it can."""
    if name in _NEED_QM9:
        return None if find_spec("qm9pack") else "needs the extra qm9"
    if name in _LOADERS:
        return None
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return f"{FOLDER_VARIABLE} names no folder"
    return None if name in _listed(Path(folder)) else f"the folder of {FOLDER_VARIABLE} does not have it"


@cache
def load_real(name: str) -> Bunch:
    """Load a table: X, Y, groups or None."""
    if name in _LOADERS:
        return _LOADERS[name]()
    folder = Path(os.environ[FOLDER_VARIABLE])
    return _from_folder(folder, _listed(folder)[name])


def equal_rows(X: Array) -> IntArray:
    """Number the distinct rows."""
    return np.unique(X, axis=0, return_inverse=True)[1].reshape(-1)


def _superconductivity() -> Bunch:
    data = load_superconductivity(fractions=True)
    return Bunch(X=data.X, Y=data.Y, groups=data.groups)


def _qm9() -> Bunch:
    data = load_qm9(n_molecules=9000, random_state=0)
    return Bunch(X=data.X.astype(np.float64), Y=data.Y, groups=data.groups)


def _diabetes() -> Bunch:
    """Six blood values and the progression of 442 patients, from age, sex, body mass index and blood pressure."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    return Bunch(X=data.data[:, :4], Y=np.column_stack([data.data[:, 4:], data.target]), groups=None)


def _breast_cancer() -> Bunch:
    """Deviation and extreme value of ten measures of the nuclei of 569 samples, from their means."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer().data
    return Bunch(X=data[:, :10], Y=data[:, 10:], groups=None)


def _digits() -> Bunch:
    """Lower halves of 1,797 images of digits from their upper halves."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data
    lower = pixels[:, 32:]
    # Corners are white nearly always.
    return Bunch(X=pixels[:, :32], Y=lower[:, lower.std(axis=0) > 1.0], groups=None)


def _other_molecules() -> Bunch:
    """Load molecules that the table QM9 does not have."""
    data = load_qm9(n_molecules=18000, random_state=0)
    known = np.isin(data.index, load_qm9(n_molecules=9000, random_state=0).index)
    new = ~np.isin(data.groups, data.groups[known])
    return Bunch(X=data.X[new].astype(np.float64), Y=data.Y[new], groups=data.groups[new])


def _wine() -> Bunch:
    """Eight measures of 178 wines from alcohol, acid, ash, its alkalinity and magnesium."""
    from sklearn.datasets import load_wine

    data = load_wine().data
    return Bunch(X=data[:, :5], Y=data[:, 5:], groups=None)


_LOADERS: dict[str, Callable[[], Bunch]] = {
    "superconductivity": _superconductivity,
    "QM9": _qm9,
    "diabetes": _diabetes,
    "breast cancer": _breast_cancer,
    "digits": _digits,
    "wine": _wine,
    "QM9, other molecules": _other_molecules,
}
_NEED_QM9 = ("QM9", "QM9, other molecules")


def _listed(folder: Path) -> dict[str, Any]:
    """Read which tables a folder has."""
    found: dict[str, Any] = json.loads((folder / "targets.json").read_text(encoding="utf-8"))
    return found


def _from_folder(folder: Path, entry: dict[str, Any]) -> Bunch:
    """Read a table of numbers and words, each word an input of its own; rows with missing values are left out."""
    from pyarrow import csv

    table = csv.read_csv(folder / entry["file"])
    names = table.column_names
    complete = ~np.any([table[name].is_null().to_numpy() for name in names], axis=0)
    n_targets = int(entry["n_targets"])
    inputs = [column for name in names[:-n_targets] for column in _numbers(table[name].to_numpy()[complete])]
    X = np.column_stack(inputs)
    Y = np.column_stack([table[name].to_numpy()[complete].astype(np.float64) for name in names[-n_targets:]])
    return Bunch(X=X[:, X.std(axis=0) > 0], Y=Y, groups=None)


def _numbers(values: Any) -> list[Array]:
    """Return a column of numbers, or one for each word."""
    if values.dtype.kind in "OU":
        return [np.asarray(values == word, dtype=np.float64) for word in np.unique(values.astype(str))]
    return [values.astype(np.float64)]
