"""Rows with known moments, in both layouts, and what it means that moments are the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from identirep import TaskMoments

_PARTS = ("cov_hy", "var_y", "mean_y")


@pytest.fixture(scope="session")
def same():
    """Compare moments task by task, however their rows are grouped, to 1e-10."""

    def compare(found, expected):
        assert set(found.task_names) == set(expected.task_names)
        expected = expected.select_tasks([expected.task_names.index(name) for name in found.task_names])
        assert found.n_rows == expected.n_rows
        np.testing.assert_allclose(found.n_samples, expected.n_samples, rtol=1e-12)
        for name in _PARTS:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)
        for name in ("cov_h", "mean_h"):
            a, b = getattr(found, name)[found.group], getattr(expected, name)[expected.group]
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
        assert len(found.counts) == len(expected.counts)

    return compare


@pytest.fixture(scope="session")
def rows():
    """1,000 rows of 4 features: 3 targets with missing labels, or one with labels of tasks; weights, a few of them 0.

    Task "rare" has all of its rows among the first 100.
    """
    rng = np.random.default_rng(0)
    H = rng.normal(size=(1000, 4)) @ rng.normal(size=(4, 4)) + 50.0
    Y = H @ rng.normal(size=(4, 3)) + rng.normal(size=(1000, 3))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    tasks = rng.choice(["a", "b", "c"], size=1000).astype(object)
    tasks[:100:10] = "rare"
    weight = rng.exponential(size=1000)
    weight[rng.random(1000) < 0.1] = 0.0
    frame = pd.DataFrame(np.column_stack([H, Y]), columns=[*(f"h{i}" for i in range(4)), *(f"y{i}" for i in range(3))])
    frame["task"], frame["w"] = tasks, weight
    return SimpleNamespace(
        H=H,
        Y=Y,
        tasks=tasks,
        weight=weight,
        frame=frame,
        features=[f"h{i}" for i in range(4)],
        targets=[f"y{i}" for i in range(3)],
        wide=TaskMoments.from_arrays(H, Y, task_names=["y0", "y1", "y2"]),
        long=TaskMoments.from_long(H, Y[:, 0], tasks),
        weighted=TaskMoments.from_long(H, Y[:, 0], tasks, sample_weight=weight),
    )
