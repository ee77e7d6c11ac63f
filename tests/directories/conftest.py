"""A small model, and a directory that it is stored in."""

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor


@pytest.fixture(scope="module")
def model():
    X, Y = np.random.default_rng(0).normal(size=(2, 60, 3))
    stage = MTRN(hidden_sizes=(4,), n_features=3, n_replicates=1, max_epochs=2)
    return IdentifiableRegressor(1, regressor=stage, n_checks=0, random_state=0).fit(X, Y)


@pytest.fixture
def run(model, tmp_path):
    model.save(tmp_path / "run")
    return tmp_path / "run"
