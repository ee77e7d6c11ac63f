"""Values that stand for something else are remarked on, and honest ones of any scale and shape are not."""

import numpy as np
import pytest

from identirep.sentinels import sentinel_remarks

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=300)


def remarks(values):
    return sentinel_remarks(["c"], np.asarray(values, dtype=float)[:, None])


def _with(values, value, n_rows=3):
    changed = np.array(values, dtype=float)
    changed[:n_rows] = value
    return changed


@pytest.mark.parametrize("n_rows", [1, 3, 180])
@pytest.mark.parametrize("code", [-9999, -999.9, 9999, 1e20, 9.969209968386869e36, np.float32(-99.99)])
@pytest.mark.parametrize("offset", [0, 50])
def test_codes(code, n_rows, offset):
    (remark,) = remarks(_with(NORMAL + offset, code, n_rows))
    assert f"in {n_rows} row" in remark
    # What is to be passed is the very number in the table.
    assert float(remark.split("missing=")[1].strip(".'")) == float(code)


def test_code_below_values_that_are_never_negative():
    assert remarks(_with(RNG.uniform(0, 10_000, 300), -999))


@pytest.mark.parametrize(("value", "n_rows"), [(5000, 1), (-8888.5, 15), (1e300, 2)])
def test_values_far_away(value, n_rows):
    (remark,) = remarks(_with(NORMAL, value, n_rows))
    assert "standard deviations from the others" in remark or "far from all others" in remark


@pytest.mark.parametrize(
    "values",
    [
        NORMAL,
        1e-300 * NORMAL,
        1e200 * NORMAL,
        2.4e6 + NORMAL,
        np.exp(3 * NORMAL),
        RNG.standard_cauchy(300),
        RNG.integers(0, 10_000, 30_000),
        np.append(RNG.uniform(0, 98, 300), 99),
        np.where(RNG.random(3000) < 0.003, RNG.poisson(3, 3000), 0),
        np.ones(30),
        np.full(20, np.nan),
        [],
    ],
)
def test_honest_values(values):
    assert remarks(values) == []


def test_only_some_columns_are_named():
    found = sentinel_remarks([f"c{j}" for j in range(12)], np.column_stack([_with(NORMAL, -9999)] * 12))
    assert len(found) == 6
    assert found[-1] == "And 7 more columns with such values."
