"""Data frames whose rows have the same labels in another order: positions count, and that is said."""

import warnings

import numpy as np
import pandas as pd
import pytest

from identirep import MTLCM, MTRN, IdentifiableRegressor

_RNG = np.random.default_rng(0)
X = pd.DataFrame(_RNG.normal(size=(60, 3)), columns=list("abc"))
Y = X[["a", "b"]] @ _RNG.normal(size=(2, 4)) + 0.1 * _RNG.normal(size=(60, 4))
OTHER = _RNG.permutation(60)


def _two_stages(**rows):
    return IdentifiableRegressor(2, regressor="ridge", n_checks=0, random_state=0).fit(X, **rows)


ENTRIES = {
    "two stages": _two_stages,
    "stage one": lambda **rows: MTRN(2, max_epochs=1, n_replicates=1, device="cpu", random_state=0).fit(X, **rows),
    "stage two": lambda groups=None, order=None, **rows: MTLCM(2, random_state=0).fit(X, **rows),
    "score": lambda y, **rows: _two_stages(y=Y).score(X, y, sample_weight=rows.get("sample_weight")),
    "adapt": lambda y, **rows: _two_stages(y=Y).adapt(X, y[0], sample_weight=rows.get("sample_weight")),
}
CASES = [(entry, name) for entry in ENTRIES for name in ("y", "sample_weight")]
CASES += [(entry, name) for entry in ("two stages", "stage one") for name in ("groups", "order")]


@pytest.mark.parametrize(("entry", "name"), CASES)
def test_other_order_is_said(entry, name):
    rows = {"y": Y, name: Y if name == "y" else pd.Series(np.arange(60) // 2 + 1.0)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*labels in another order")
        ENTRIES[entry](**rows)
    rows[name] = rows[name].iloc[OTHER]
    with pytest.warns(UserWarning, match=rf"Rows of X and {name} have .* pass {name}\.loc\[X\.index\]"):
        ENTRIES[entry](**rows)


def test_other_labels_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MTLCM(2, random_state=0).fit(X.set_axis(range(100, 160)), Y.iloc[OTHER])
        MTLCM(2, random_state=0).fit(X.set_axis([0] * 60), Y.set_axis([0] * 60).iloc[OTHER])
        MTLCM(2, random_state=0).fit(X.to_numpy(), Y.iloc[OTHER])
