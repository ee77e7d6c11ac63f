"""MTLCM on rows with weights: what is left out, what counts rows, and how sure the certificate is."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score


def _same(a, b):
    np.testing.assert_array_equal(a.components_, b.components_)
    np.testing.assert_array_equal(a.causal_probability_, b.causal_probability_)
    assert a.log_likelihood_ == b.log_likelihood_
    assert a.certificate_.verdict == b.certificate_.verdict
    np.testing.assert_array_equal(a.certificate_.comes_back.other_rows, b.certificate_.comes_back.other_rows)
    np.testing.assert_array_equal(a.certificate_.features_mcc, b.certificate_.features_mcc)
    np.testing.assert_array_equal(a.structure_.effect, b.structure_.effect)


def _problem(layout="long", seed=0, n_tasks=20, n_samples=40, q=0.3):
    rng = np.random.default_rng(seed)
    if layout == "wide":
        Z = rng.normal(size=(120, 2))
        heads = rng.laplace(size=(2, 8)) * (rng.random((2, 8)) < 0.5) + 0.1
        return Z @ rng.normal(size=(2, 2)), Z @ heads + 0.5 * rng.normal(size=(120, 8)), None, Z, rng
    data = make_linear_tasks(n_tasks, n_samples, 3, 1, mixing="orthogonal", spurious_std=q, random_state=seed)
    return data.H, data.y, data.tasks, data.Z, rng


@pytest.mark.parametrize("prior", ["factorized", "exact"])
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_weights_of_zero_and_one_leave_rows_out_bit_for_bit(layout, prior):
    H, y, tasks, _, rng = _problem(layout)
    kept = rng.random(len(H)) < 0.7
    model = MTLCM(prior=prior, random_state=0).fit(H, y, tasks, sample_weight=kept)
    _same(model, MTLCM(prior=prior, random_state=0).fit(H[kept], y[kept], None if tasks is None else tasks[kept]))


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_equal_weights_change_no_bit(layout):
    H, y, tasks, *_ = _problem(layout)
    _same(MTLCM(random_state=0).fit(H, y, tasks, sample_weight=np.ones(len(H))), MTLCM(random_state=0).fit(H, y, tasks))


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_only_ratios_within_tasks_count(layout):
    H, y, tasks, _, rng = _problem(layout)
    w = rng.exponential(size=len(H))
    scale = 3.7 if tasks is None else 10.0 ** (np.unique(tasks, return_inverse=True)[1] % 5)
    one, other = (MTLCM(random_state=0).fit(H, y, tasks, sample_weight=v) for v in (w, scale * w))
    np.testing.assert_allclose(one.components_, other.components_, rtol=1e-4, atol=1e-4)
    found, expected = (m.certificate_.comes_back.other_rows for m in (one, other))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_rows_of_little_weight_do_no_harm():
    """A third of the rows is of another mixing."""
    H, y, tasks, Z, rng = _problem()
    bad = rng.random(len(H)) < 0.3
    H[bad] = 5.0 * rng.normal(size=(bad.sum(), 3)) @ rng.normal(size=(3, 3))
    w = np.where(bad, 1e-4, 1.0)
    # By default such rows are found without weights, too.
    model = MTLCM(robust=None, random_state=0)
    assert mcc_score(model.fit(H, y, tasks, sample_weight=w).transform(H[~bad]), Z[~bad]) > 0.99
    assert mcc_score(model.fit(H, y, tasks).transform(H[~bad]), Z[~bad]) < 0.97


@pytest.mark.slow
def test_the_certificate_is_as_sure_as_that_of_so_many_rows():
    """Weights that say nothing of the rows leave fewer of them, and what is said of the axes is that of fewer rows."""
    lost, said, rows = {}, {}, []
    for seed in range(3):
        H, y, tasks, _, rng = _problem(seed=seed, n_tasks=40, n_samples=60, q=1.0)
        w = rng.exponential(size=len(H)) ** 1.5
        for kind, weight in (("all", None), ("weights", w)):
            model = MTLCM(random_state=0).fit(H, y, tasks, sample_weight=weight)
            certificate = model.certificate_
            lost.setdefault(kind, []).append(1.0 - certificate.features_mcc.mean())
            said.setdefault(kind, []).append(1.0 - certificate.comes_back.other_rows.mean())
            assert certificate.goodness_of_fit.p_value > 1e-3
        rows.append(60 / model.moments_.n_samples.mean())
    ratio = np.mean(rows)
    assert ratio > 2.5
    assert 0.5 * ratio < np.mean(lost["weights"]) / np.mean(lost["all"]) < 2.0 * ratio
    assert 0.5 * ratio < np.mean(said["weights"]) / np.mean(said["all"]) < 2.0 * ratio


def test_weights_of_three_are_no_more_rows():
    H, y, tasks, _, _ = _problem(q=0.7)
    w = np.random.default_rng(1).integers(1, 4, size=len(H)).astype(float)
    repeated = np.repeat(np.arange(len(H)), w.astype(int))
    # Rows three times over are evidence for curves that single ones are not.
    model = MTLCM(target_type=None, random_state=0).fit(H, y, tasks, sample_weight=w)
    other = MTLCM(target_type=None, random_state=0).fit(H[repeated], y[repeated], tasks[repeated])
    np.testing.assert_allclose(model.moments_.cov_h, other.moments_.cov_h)
    assert np.all(model.moments_.n_samples < 40.0)
    assert np.all(other.moments_.n_samples > 60)
    assert model.causal_probability_.std() < other.causal_probability_.std()


def test_batches_with_weights_are_all_rows_at_once(tmp_path):
    H, y, tasks, _, rng = _problem()
    w, first = rng.exponential(size=len(H)), np.arange(len(H)) % 2 == 0
    whole = MTLCM(random_state=0).fit(H, y, tasks, sample_weight=w)
    model = MTLCM(random_state=0).partial_fit(H[first], y[first], tasks[first], sample_weight=w[first])
    model.partial_fit(H[~first], y[~first], tasks[~first], sample_weight=w[~first])
    np.testing.assert_allclose(model.moments_.n_samples, whole.moments_.n_samples)
    np.testing.assert_allclose(model.components_, whole.components_, rtol=1e-5, atol=1e-5)
    whole.save(tmp_path / "run")
    loaded = MTLCM.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.moments_.n_samples, whole.moments_.n_samples)
    np.testing.assert_array_equal(loaded.moments_.weight_sums, whole.moments_.weight_sums)
    assert loaded.certificate_.verdict == whole.certificate_.verdict
    assert whole.score(H, y, tasks, sample_weight=w) == pytest.approx(whole.log_likelihood_)
    assert whole.score(H, y, tasks) != pytest.approx(whole.log_likelihood_)


def test_a_task_of_one_heavy_row_has_too_few():
    H, y, tasks, _, _ = _problem()
    w = np.ones(len(H))
    w[np.flatnonzero(tasks == tasks[0])[0]] = 1e4
    moments = TaskMoments.from_long(H, y, tasks, sample_weight=w)
    with pytest.raises(ValueError, match=r"has too few rows: got 1\.\d+ by their weights, expected at least 3"):
        MTLCM(random_state=0).fit_moments(moments)
    with pytest.warns(UserWarning, match=r"left out of the fit: got 0 \(1\.\d+ labels by their weights\)"):
        model = MTLCM(random_state=0).fit(H, y, tasks, sample_weight=w)
    assert tasks[0] not in model.task_names_
    assert list(model.left_out_tasks_) == [tasks[0]]
