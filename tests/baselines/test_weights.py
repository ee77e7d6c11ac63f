"""Weights of rows in the baselines: what they leave out, what they count for, and methods that take none."""

import numpy as np
import pytest
from sklearn.base import clone

from identirep.baselines import (
    IVAE,
    VAE,
    ICaRL,
    IndependentComponents,
    PerRowMTLCM,
    PrincipalComponents,
    RotatedHeads,
    SparseHeads,
)
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

_LINEAR = {"hidden_sizes": (), "max_epochs": 20, "batch_size": 10_000}
_WEIGHED = [
    PrincipalComponents(),
    SparseHeads(n_init=1, max_iter=50),
    RotatedHeads(n_init=1, max_iter=50),
    VAE(**_LINEAR),
    IVAE(**_LINEAR),
    PerRowMTLCM(max_epochs=20, batch_size=10_000, noise_std=0.1, dtype="float64", standardize_targets=True),
]
_ALIKE = [IndependentComponents(max_iter=50), ICaRL(**_LINEAR)]
_by_name = {"ids": lambda baseline: type(baseline).__name__}


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(n_tasks=6, n_samples=40, n_latents=3, n_causal=1, random_state=0)


def _seeded(baseline):
    return clone(baseline).set_params(**{"random_state": 0} if "random_state" in baseline.get_params() else {})


@pytest.mark.parametrize("baseline", [*_WEIGHED, *_ALIKE], **_by_name)
def test_weights_of_zero_leave_rows_out_bit_for_bit(baseline, data):
    kept = np.random.default_rng(1).random(len(data.H)) < 0.7
    for layout in ("long", "wide"):
        y, tasks = (data.y, data.tasks) if layout == "long" else (data.Z[:, :2] @ np.ones((2, 2)) + data.H[:, :2], None)
        of_kept = _seeded(baseline).fit(data.H[kept], y[kept], None if tasks is None else tasks[kept])
        weighed = _seeded(baseline).fit(data.H, y, tasks, sample_weight=3.0 * kept)
        np.testing.assert_array_equal(weighed.transform(data.H), of_kept.transform(data.H))


@pytest.mark.parametrize("baseline", [each for each in _WEIGHED if not isinstance(each, SparseHeads)], **_by_name)
def test_a_weight_of_two_is_a_row_twice(baseline, data):
    # Each task has as many rows of either weight, so that all tasks count for the same.
    w = 1.0 + (np.arange(len(data.H)) % 2)
    assert len(set(np.bincount(data.tasks, w).tolist())) == 1
    twice = np.repeat(np.arange(len(data.H)), w.astype(int))
    of_rows = _seeded(baseline).fit(data.H[twice], data.y[twice], data.tasks[twice]).transform(data.H)
    of_weights = _seeded(baseline).fit(data.H, data.y, data.tasks, sample_weight=w).transform(data.H)
    plain = _seeded(baseline).fit(data.H, data.y, data.tasks).transform(data.H)
    change = np.abs(plain - of_rows).max()
    assert np.abs(of_weights - of_rows).max() < 0.02 * change
    assert change > 1e-3


def test_sparse_heads_leave_rows_that_hardly_count():
    # Heads are shrunk by the effective number of rows, which a weight of two does not double.
    data = make_linear_tasks(n_tasks=40, n_samples=100, n_latents=3, n_causal=1, random_state=0)
    bad = np.arange(len(data.H)) % 4 == 0
    y = np.where(bad, 30.0 * np.random.default_rng(0).normal(size=len(data.y)), data.y)
    settings = {"tasks": data.tasks, "sample_weight": np.where(bad, 1e-8, 1.0)}
    good = SparseHeads(random_state=0).fit(data.H[~bad], y[~bad], data.tasks[~bad]).transform(data.H)
    weighed = SparseHeads(random_state=0).fit(data.H, y, **settings).transform(data.H)
    assert mcc_score(weighed, good) > 0.99999
    assert mcc_score(SparseHeads(random_state=0).fit(data.H, y, data.tasks).transform(data.H), good) < 0.999


@pytest.mark.parametrize("baseline", _ALIKE, **_by_name)
def test_methods_that_count_all_rows_alike_refuse_unequal_weights(baseline, data):
    w = 1.0 + (np.arange(len(data.H)) % 2)
    with pytest.raises(ValueError, match=r"sample_weight cannot be used: got unequal weights.* alike"):
        _seeded(baseline).fit(data.H, data.y, data.tasks, sample_weight=w)


@pytest.mark.parametrize("baseline", [PrincipalComponents(), SparseHeads()], **_by_name)
@pytest.mark.parametrize("weights", [-np.ones(240), np.full(240, np.nan), np.ones(3), np.zeros(240)])
def test_weights_that_are_none_are_refused(baseline, data, weights):
    with pytest.raises(ValueError, match="sample_weight"):
        _seeded(baseline).fit(data.H, data.y, data.tasks, sample_weight=weights)
    if isinstance(baseline, PrincipalComponents):
        with pytest.raises(ValueError, match="sample_weight"):
            _seeded(baseline).fit(data.H, sample_weight=weights)


def test_inputs_alone_have_weights(data):
    w = np.random.default_rng(0).uniform(0.1, 2.0, size=len(data.H))
    model = PrincipalComponents().fit(data.H, sample_weight=w)
    Z = model.transform(data.H)
    np.testing.assert_allclose(np.average(Z, axis=0, weights=w), 0.0, atol=1e-10)
    np.testing.assert_allclose((Z * w[:, None]).T @ Z / w.sum(), np.eye(3), atol=1e-10)


def test_rows_without_a_label_do_not_hide_tasks_that_are_left_out(data):
    y = data.y.copy()
    y[data.tasks == 5], y[0] = 1.0, np.nan
    with pytest.warns(UserWarning, match="nothing can be learnt of"):
        model = SparseHeads(random_state=0).fit(data.H, y, data.tasks)
    assert list(model.left_out_tasks_) == [5]
