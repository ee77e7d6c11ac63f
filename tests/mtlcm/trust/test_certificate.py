"""The certificate: what tasks and formulas say of axes, features given; ties, lone optima, intervals, reasons."""

import re
from dataclasses import replace

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc, mcc_score
from identirep.mtlcm import Certificate, ComesBack, GoodnessOfFit
from identirep.mtlcm.axes import Starts
from identirep.mtlcm.trust.certificate import certify


def _fit(data, **options):
    return MTLCM(random_state=0, **options).fit(data.H, data.y, tasks=data.tasks)


def _comes_back(D):
    """Rows that leave all axes where they are."""
    return ComesBack(np.ones(D), np.ones(D), np.ones((D, 2)), np.zeros(D), "in this test")


def _certified(fit, model):
    """The certificate of a fit whose axes come back on other rows."""
    examined = model._examined.rows
    found = certify(fit, model.moments_, model.posterior_.best, np.random.default_rng(0), rows_examined=examined)
    return found.checked(_comes_back(len(fit.unmixing)))


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_flat_criterion_is_not_certified():
    # Spurious noise equal to causal noise: joint diagonalisation is blind there, and must not be trusted.
    data = make_linear_tasks(
        mixing="orthogonal", n_causal=4, spurious_std=1.0, standardize=False, observation_noise=0.0, random_state=0
    )
    model = _fit(data)
    assert mcc(model.transform(data.H), data.Z).score < 0.95
    assert "identified" not in model.certificate_.verdict


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


@pytest.mark.slow
def test_interval_covers_about_nine_in_ten():
    inside = []
    for seed in range(25):
        data = make_linear_tasks(
            n_tasks=40, n_samples=50, n_latents=6, mixing="orthogonal", observation_noise=0.0, random_state=seed
        )
        model = _fit(data)
        interval, actual = model.certificate_.features_mcc_interval, mcc(model.transform(data.H), data.Z).per_latent
        assert np.all(interval[:, 0] <= model.certificate_.features_mcc)
        assert np.all(model.certificate_.features_mcc <= interval[:, 1])
        inside.append((interval[:, 0] <= actual) & (actual <= interval[:, 1]))
    assert 0.8 < np.mean(inside) < 0.98


def test_a_wrong_model_is_believed_less_than_it_claims():
    # Latents that covary given the target, in each task with another sign: the Fisher formula is blind to that.
    data = make_linear_tasks(n_tasks=60, n_latents=5, mixing="identity", observation_noise=0.0, random_state=0)
    rng = np.random.default_rng(0)
    tilt = 0.4 * rng.normal(size=(60, 1))[data.tasks]
    H = data.H.copy()
    H[:, [1]] += tilt * H[:, [0]]
    certificate = MTLCM(random_state=0).fit(H, data.y, tasks=data.tasks).certificate_
    worst = int(np.argmax(certificate.robust_leakage.sum(axis=1)))
    assert certificate.robust_leakage[worst].sum() > 5 * certificate.leakage[worst].sum()
    np.testing.assert_allclose(1 - certificate.robust_mcc, certificate.robust_leakage.sum(axis=1) / 2)
    lost = 1 - certificate.features_mcc[worst]
    assert lost > 0.8 * (1 - certificate.robust_mcc[worst])
    assert lost > 5 * (1 - certificate.fisher_mcc[worst])


def test_a_model_that_holds_is_believed():
    # Ten tasks tell little of how much their scores differ; the model, which holds, tells what to expect of each axis.
    T, n, D = 10, 400, 5
    ratios = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        variances = rng.gamma(1.0, size=(T, D)) + 0.1
        variances /= variances.mean(axis=0)
        Z = (np.sqrt(variances)[:, None] * rng.normal(size=(T, n, D))).reshape(-1, D)
        tasks = np.repeat(np.arange(T), n)
        model = MTLCM(noise_std=0.0, n_init=1, random_state=0).fit(Z, rng.normal(size=T * n), tasks=tasks)
        G = (1 / variances).T @ variances / T
        leakage = np.where(np.eye(D), 0.0, G.T / (G * G.T - 1 + np.eye(D))) / (T * n)
        expected = 0.5 * leakage.sum(axis=1)[np.argmax(np.abs(model.components_), axis=1)]
        ratios.append((1 - model.certificate_.features_mcc) / expected)
    assert np.sqrt(np.mean(np.log(ratios) ** 2)) < 0.1


@pytest.mark.parametrize(("seed", "n"), [(0, 400), (2, 400), (3, 400), (5, 400), (15, 400)])
def test_latents_that_vary_alike_are_named_however_well_refits_agree(seed, n):
    # Latents 0 and 1 have the same variances in all tasks. Only sampling error turns the fit, and all refits, one way.
    rng = np.random.default_rng(seed)
    T = 50
    variances = rng.gamma(1.0, size=(T, 4)) + 0.1
    variances[:, 1] = variances[:, 0]
    Z = (np.sqrt(variances)[:, None] * rng.normal(size=(T, n, 4))).reshape(-1, 4)
    tasks = np.repeat(np.arange(T), n)
    y = np.sum(Z * (0.1 * rng.normal(size=(T, 4)))[tasks], axis=1) + rng.normal(size=T * n)
    model = MTLCM(noise_std=0.0, random_state=0).fit(Z, y, tasks=tasks)
    axis = np.argmax(np.abs(mcc(model.transform(Z), Z).assignment[:, None] == np.arange(4)), axis=0)
    certificate = model.certificate_
    assert certificate.separation[axis[0], axis[1]] > 0.95
    for i, partner in ((axis[0], axis[1]), (axis[1], axis[0])):
        assert certificate.leakage[i, partner] == 1.0
        assert certificate.verdict[i] == "unstable"
        named = f"latents {min(i, partner)} and {max(i, partner)} are not told apart better than by chance"
        assert named in certificate.reasons[i]
        assert "fit with one latent fewer, or add tasks that depend on one of them" in certificate.reasons[i]
        assert np.isnan(certificate.expected_mcc[i])
    for i in axis[2:]:
        assert certificate.verdict[i] == "identified"


def test_reasons_name_the_latents_that_an_axis_mixes_with_most():
    data = make_linear_tasks(n_tasks=5, n_samples=40, n_latents=6, mixing="orthogonal", random_state=4)
    certificate = _fit(data).certificate_
    doubtful = [i for i, reason in enumerate(certificate.reasons) if "separation" in reason]
    assert doubtful
    for i in doubtful:
        assert certificate.verdict[i] != "identified"
        worst = int(np.argmax(np.fmax(certificate.leakage, certificate.robust_leakage)[i]))
        assert f"{certificate.separation[i, worst]:.3f}" in certificate.reasons[i]
        for latent in (i, worst):
            assert re.search(rf"latents [\d and]*\b{latent}\b", certificate.reasons[i])


def test_what_is_not_a_number_is_not_trusted(well):
    _, model = well
    variances = model.fit_.variances.copy()
    variances[:, 3] = np.nan
    with np.errstate(invalid="ignore"):
        broken = _certified(replace(model.fit_, variances=variances), model)
    assert broken.verdict[3] == "reproducible"
    assert not broken.expected_mcc[3] > 0


def test_the_verdict_goes_by_the_lowest_estimate(well):
    _, model = well
    data = make_linear_tasks(n_tasks=6, n_samples=12, n_latents=6, n_causal=2, random_state=2)
    small = _fit(data)
    certificates = [_certified(found.fit_, found) for found in (model, small)]
    for certificate in certificates:
        lowest = np.min(
            [certificate.fisher_mcc, certificate.robust_mcc, certificate.bootstrap_mcc, certificate.tie_mcc], axis=0
        )
        assert np.all(certificate.features_mcc >= lowest * certificate.noise_mcc - 1e-12)
        for verdict, least in zip(certificate.verdict, lowest * certificate.noise_mcc, strict=True):
            assert (verdict == "identified") == (least >= 0.98)
    assert set(certificates[1].verdict) != {"identified"}


def test_ties_are_counted_and_compared(well):
    _, model = well
    assert model.certificate_.n_tied_starts == 5
    assert model.certificate_.tie_disagreement < 1e-6
    # A second start as good as the best, with other axes, and a third that is worse.
    agreement = np.ones((3, 10))
    agreement[1, 4], agreement[2] = 0.7, 0.1
    starts = Starts(
        np.array([0.0, 1e-6, 0.1]), np.zeros(3), np.ones(3, dtype=np.int64), np.ones(3, dtype=bool), agreement
    )
    fit = replace(model.fit_, starts=starts)
    tied = _certified(fit, model)
    assert tied.n_tied_starts == 2
    assert tied.tie_disagreement == pytest.approx(0.3)
    assert tied.verdict[4] == "reproducible"
    assert "starts that fit equally well disagree" in tied.reasons[4]


@pytest.mark.slow
def test_a_lone_optimum_of_the_exact_likelihood_is_trusted_only_if_the_model_fits():
    # Spurious noise equal to causal noise: the start of the search is blind there, and one search may end anywhere.
    wrong, right = [], []
    for seed in range(6):
        data = make_linear_tasks(
            n_tasks=30,
            n_samples=2000,
            n_latents=4,
            n_causal=2,
            mixing="orthogonal",
            spurious_std=1.0,
            standardize=False,
            observation_noise=0.0,
            random_state=seed,
        )
        # Tasks that contradict a wrong optimum would be foreign to it, which is not what is looked at here.
        model = _fit(data, prior="exact", n_init=1, robust=None)
        score = mcc(model.transform(data.H), data.Z).per_latent.min()
        (right if score > 0.99 else wrong).append(model.certificate_)
    assert wrong
    assert right
    for certificate in wrong:
        # Nothing else tells: refits return to the optimum, and the tasks tell its axes apart.
        assert min(certificate.fisher_mcc.min(), certificate.bootstrap_mcc.min()) > 0.9
        assert "identified" not in certificate.verdict
        assert all("only one start reached this optimum" in reason for reason in certificate.reasons)
    assert sum(certificate.verdict == ["identified"] * 4 for certificate in right) >= len(right) - 1


def test_an_optimum_reached_twice_or_the_only_one_there_is_needs_no_fit():
    # Latents with a common cause that no target sees: the model does not hold.
    data = make_linear_tasks(n_tasks=30, n_latents=3, mixing="identity", observation_noise=0.0, random_state=0)
    common = np.random.default_rng(0).normal(size=(len(data.H), 1)) * np.linspace(-1, 1, 30)[data.tasks, None]
    model = MTLCM(random_state=0).fit(data.H + 0.4 * common, data.y, tasks=data.tasks)
    verdicts = {}
    for prior in ("factorized", "exact"):
        for second in (0.0, 1.0):
            starts = Starts(np.array([0.0, second]), np.zeros(2), np.ones(2, int), np.ones(2, bool), np.ones((2, 3)))
            fit = replace(model.fit_, prior=prior, starts=starts)
            found = _certified(fit, model)
            assert found.goodness_of_fit.p_value < 1e-3
            verdicts[prior, second] = found.verdict
    assert "identified" not in verdicts["exact", 1.0]
    for other in (("exact", 0.0), ("factorized", 0.0), ("factorized", 1.0)):
        assert "identified" in verdicts[other]


def test_the_exact_likelihood_is_believed_on_rows_with_errors_only_if_these_were_looked_for():
    data = make_linear_tasks(
        30, 100, 4, 2, mixing="orthogonal", observation_noise=0.0, spurious_std=0.1, random_state=0
    )
    rng = np.random.default_rng(0)
    hit = rng.random(len(data.y)) < 0.03
    y = data.y + hit * 10 * data.y.std() * rng.standard_normal(len(data.y))
    given = {"prior": "exact", "noise_std": 0.0, "n_init": 1, "random_state": 0}
    careless, careful = (
        MTLCM(**given, robust=kind, target_type=kind).fit(data.H, y, tasks=data.tasks) for kind in (None, "auto")
    )
    assert mcc_score(careless.transform(data.H), data.Z) < 0.9
    assert "identified" not in careless.certificate_.verdict
    assert mcc_score(careful.transform(data.H), data.Z) > 0.999
    # What one start of the search leaves open is not what is looked at here.
    certificate = replace(careful.certificate_, is_lonely=False)
    rejected = replace(certificate, goodness_of_fit=GoodnessOfFit(1e4, 0.0))._judged()
    assert certificate.factorized_mcc.min() > 0.99
    assert set(rejected.verdict) == {"identified"}
    # An axis that the factorised likelihood does not have is not identified where the exact one does not fit.
    doubted = replace(rejected, factorized_mcc=np.full(4, 0.8))._judged()
    assert set(doubted.verdict) == {"reproducible"}
    assert "prior='factorized'" in doubted.reasons[0]
    fits = replace(doubted, goodness_of_fit=GoodnessOfFit(1.0, 0.5))._judged()
    assert set(fits.verdict) == {"identified"}
