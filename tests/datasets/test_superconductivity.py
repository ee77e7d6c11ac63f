"""The superconductivity data equal the published table."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyarrow import csv

from identirep.datasets import load_superconductivity, superconductivity

UCI_ROWS = Path(__file__).parents[1] / "data" / "uci_rows_300.csv.gz"


@pytest.fixture(scope="module")
def data():
    return load_superconductivity()


def test_recomputed_descriptors_equal_published_rows(data):
    published = csv.read_csv(UCI_ROWS)
    rows = published["id"].to_numpy()
    assert len(rows) == 300
    assert published.column_names[2:] == data.target_names[:80]
    expected = np.column_stack([published[name].to_numpy() for name in data.target_names[:80]])
    assert_allclose(data.Y[rows, :80], expected, rtol=1e-10, atol=1e-13)
    # The one feature that is left out of the targets.
    assert_array_equal((data.X[rows] > 0).sum(axis=1), published["number_of_elements"].to_numpy())


def test_shapes_and_names(data):
    assert data.X.shape == (21_263, 86)
    assert data.Y.shape == (21_263, 81)
    assert data.feature_names[:3] == ["H", "He", "Li"]
    assert len(data.feature_names) == 86
    assert len(data.target_names) == 81
    assert data.target_names[-1] == "critical_temp"
    assert data.materials[0] == "Ba0.2La1.8Cu1O4"
    assert np.isfinite(data.Y).all()
    assert "CC BY 4.0" in data.DESCR


def test_critical_temperature_has_published_summary(data):
    temperature = data.Y[:, -1]
    assert temperature.mean() == pytest.approx(34.4212, abs=5e-5)
    assert_allclose(np.quantile(temperature, [0, 0.25, 0.5, 0.75, 1]), [0.00021, 5.365, 20, 63, 185])
    iron = data.X[:, data.feature_names.index("Fe")] > 0
    assert iron.sum() == 2_339
    assert temperature[iron].mean() == pytest.approx(26.8998, abs=5e-5)


def test_groups_are_the_normalised_compositions(data):
    assert len(np.unique(data.groups)) == 15_164
    shares = data.X / data.X.sum(axis=1, keepdims=True)
    first = np.unique(data.groups, return_index=True)[1]
    assert_allclose(shares, shares[first[data.groups]], atol=1e-9)
    # Rows that are multiples of each other, not only copies, share a group.
    assert not np.array_equal(data.X, data.X[first[data.groups]])


def test_leaky_inputs_append_the_critical_temperature(data):
    leaky = load_superconductivity(leaky_inputs=True)
    assert_array_equal(leaky.X[:, :86], data.X)
    assert_array_equal(leaky.X[:, 86], data.Y[:, -1])
    assert leaky.feature_names == [*data.feature_names, "critical_temp"]


def test_return_X_y(data):
    X, Y = load_superconductivity(return_X_y=True)
    assert_array_equal(X, data.X)
    assert_array_equal(Y, data.Y)


def test_shipped_files_are_those_of_the_provenance():
    readme = superconductivity._resource("README.md").read_text(encoding="utf-8")
    for name in ("unique_m.csv.gz", "element_properties.csv"):
        content = superconductivity._resource(name).read_bytes()
        assert f"| `{name}` | {len(content)} | `{hashlib.sha256(content).hexdigest()}` |" in readme


def test_fractions_sum_to_one_and_are_what_groups_compare():
    amounts, shares = load_superconductivity(), load_superconductivity(fractions=True, leaky_inputs=True)
    np.testing.assert_allclose(shares.X[:, :86].sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(shares.X[:, 86], amounts.Y[:, -1])
    np.testing.assert_allclose(
        shares.X[:, :86] * amounts.X.sum(axis=1, keepdims=True), amounts.X, rtol=1e-9, atol=1e-12
    )
