"""Moments of checked rows: no label of a row is looked at again."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.mtlcm.data import moments_of
from identirep.validation import check_task_data


@pytest.mark.parametrize("names", [["c", "a", "b"], [("b", 1), "a", 3], [3, 1, 2]])
@pytest.mark.parametrize("known", [False, True])
def test_moments_of_checked_rows_are_those_of_labels(names, known, monkeypatch):
    rng = np.random.default_rng(0)
    H, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    y[::7] = np.nan
    labels = np.empty(60, dtype=object)
    labels[:] = [names[i] for i in rng.integers(0, 3, 60)]
    weight = rng.uniform(0.5, 2.0, 60)
    kept = np.array([label != names[0] for label in labels])
    data = check_task_data(H, y, labels, known_tasks=names if known else None, sample_weight=weight)
    looked_at = []
    monkeypatch.setattr(
        "identirep.accumulation.missing_labels",
        lambda values: looked_at.append(len(values)) or np.zeros(len(values), dtype=bool),
    )
    for rows in (None, kept):
        found = moments_of(data, rows, robust="auto", target_type="auto")
        some = slice(None) if rows is None else rows
        parts = {"sample_weight": weight[some], "robust": "auto", "target_type": "auto"}
        assert looked_at.pop() <= 3
        assert not looked_at
        plain = TaskMoments.from_long(H[some], y[some], labels[some], **parts)
        looked_at.clear()
        assert set(found.task_names) == set(plain.task_names)
        if rows is None and not known:
            assert found.task_names == plain.task_names
        order = [plain.task_names.index(name) for name in found.task_names]
        for name in ("counts", "mean_h", "scatter_h", "mean_y", "scatter_hy", "scatter_y", "weight_sums"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name)[order])
        assert found.target_kinds_ == ("continuous",) * len(found.task_names)
