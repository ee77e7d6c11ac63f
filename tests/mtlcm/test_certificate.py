"""The certificate: trusted where the fit is right, not where it is wrong, and no signal said plainly."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm import Certificate


def _fit(data, **options):
    return MTLCM(random_state=0, **options).fit(data.H, data.y, tasks=data.tasks)


@pytest.fixture(scope="module")
def well():
    data = make_linear_tasks(mixing="orthogonal", n_causal=4, observation_noise=0.0, random_state=0)
    return data, _fit(data)


def test_well_identified_axes_are_called_so(well):
    _, model = well
    certificate = model.certificate_
    assert certificate.verdict == ["identified"] * 10
    assert all(reason for reason in certificate.reasons)
    assert certificate.separation.max(where=~np.eye(10, dtype=bool), initial=0) < 0.9
    np.testing.assert_array_equal(certificate.separation, certificate.separation.T)
    assert certificate.head_rank == 10


def test_predicted_error_is_the_actual_error():
    ratios = []
    for seed in range(5):
        data = make_linear_tasks(
            n_tasks=60, n_samples=50, n_latents=6, mixing="orthogonal", observation_noise=0.0, random_state=seed
        )
        model = _fit(data)
        actual = 1 - mcc(model.transform(data.H), data.Z).score
        ratios.append((1 - model.certificate_.fisher_mcc.mean()) / actual)
    assert 0.4 < np.median(ratios) < 2.5


def test_flat_criterion_is_not_certified():
    # Spurious noise equal to causal noise: joint diagonalisation is blind there, and must not be trusted.
    data = make_linear_tasks(
        mixing="orthogonal", n_causal=4, spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=0
    )
    model = _fit(data)
    assert mcc(model.transform(data.H), data.Z).score < 0.95
    assert "identified" not in model.certificate_.verdict


@pytest.mark.filterwarnings("ignore:MTLCM stopped:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_shuffled_targets_carry_no_signal(layout):
    data = make_linear_tasks(mixing="orthogonal", random_state=0)
    rng = np.random.default_rng(1)
    if layout == "long":
        model = MTLCM(random_state=0).fit(data.H, rng.permutation(data.y), tasks=data.tasks)
    else:
        Y = rng.normal(size=(len(data.H), 3)) @ rng.normal(size=(3, 40))
        model = MTLCM(random_state=0).fit(data.H, Y)
    certificate = model.certificate_
    assert certificate.verdict == ["not identified"] * 10
    assert all("no signal" in reason for reason in certificate.reasons)


def test_goodness_of_fit_accepts_the_model_and_rejects_a_wrong_one(well):
    _, model = well
    assert model.certificate_.goodness_of_fit.p_value > 0.001
    # A common cause of all latents that no target sees breaks their independence.
    data = make_linear_tasks(mixing="identity", n_causal=4, observation_noise=0.0, random_state=0)
    rng = np.random.default_rng(0)
    common = rng.normal(size=(len(data.H), 1)) * rng.uniform(0, 1, size=(200, 10))[data.tasks]
    wrong = MTLCM(random_state=0).fit(data.H + 0.3 * common, data.y, tasks=data.tasks)
    assert wrong.certificate_.goodness_of_fit.p_value < 1e-6


def test_p_values_are_not_extreme_under_the_model():
    p_values = []
    for seed in range(20):
        data = make_linear_tasks(
            n_tasks=40, n_latents=5, n_causal=2, mixing="orthogonal", observation_noise=0.0, random_state=seed
        )
        p_values.append(_fit(data).certificate_.goodness_of_fit.p_value)
    assert 0.25 < np.mean(p_values) < 0.75
    assert np.sum(np.array(p_values) < 0.05) <= 4


def test_tasks_too_small_to_test_give_no_p_value():
    data = make_linear_tasks(n_tasks=300, n_samples=8, mixing="orthogonal", random_state=0)
    assert np.isnan(_fit(data).certificate_.goodness_of_fit.p_value)


def test_heads_of_deficient_rank_are_reported():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(2000, 5))
    Y = H[:, :3] @ rng.laplace(size=(3, 30)) + rng.normal(size=(2000, 30))
    certificate = MTLCM(random_state=0).fit(H, Y).certificate_
    assert certificate.head_rank == 3
    assert certificate.verdict.count("not identified") >= 2


def test_certificate_is_computed_once_and_reproducible(well):
    data, model = well
    assert model.certificate_ is model.certificate_
    again = _fit(data).certificate_
    np.testing.assert_array_equal(again.bootstrap_mcc, model.certificate_.bootstrap_mcc)


def test_empty_certificate_has_no_axes():
    certificate = Certificate.empty()
    assert certificate.verdict == []
    assert certificate.separation.shape == (0, 0)
    assert certificate.head_rank == 0
