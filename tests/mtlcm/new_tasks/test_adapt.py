"""New tasks: brute-force posterior, known truth, few rows, calibrated intervals, a flipped mechanism, errors."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm.new_tasks import adapt as adaptation
from identirep.mtlcm.new_tasks.adapt import adapt_task
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior


def _single_scale(cause, effect, share, unrelated):
    """Prior with all its weight on one scale of each role."""
    grid = np.arange(len(STRENGTH_SCALES))
    return RolePrior(share, unrelated, 1.0 * (grid == cause), 1.0 * (grid == effect))


def _standardised(y, Z):
    return (y - y.mean()) / y.std(), (Z - Z.mean(axis=0)) / Z.std(axis=0)


def _grid_posterior(y, Z, tau2, kappa2, share, unrelated):
    """Posterior of the sets of causes of two latents, and mean of w given each, on grids over all parameters.

    Location parameters and log variances are flat: the former leave the densities of centred rows.
    """
    n = len(y)
    y, Z = _standardised(y, Z)
    slope, log_variance = np.linspace(-6, 6, 161), np.linspace(-8, 6, 141)
    variance = np.exp(log_variance)

    def normal(square, variance):
        return np.exp(-0.5 * square / variance) * variance ** (-0.5 * (n - 1))

    as_effect, as_cause = np.zeros(2), np.zeros(2)
    for i in range(2):
        square = np.sum((Z[:, i] - slope[:, None] * y) ** 2, axis=1)[:, None]
        prior = np.exp(-0.5 * slope[:, None] ** 2 / (variance * kappa2)) / np.sqrt(2 * np.pi * variance * kappa2)
        as_effect[i] = np.sum(normal(square, variance) * prior) * (slope[1] - slope[0])
        as_cause[i] = np.sum(normal(Z[:, i] @ Z[:, i], variance))
    weights, means = [], []
    for causes in itertools.product([False, True], repeat=2):
        C = np.flatnonzero(causes)
        w = np.array(list(itertools.product(slope[::2], repeat=len(C)))).reshape(81 ** len(C), len(C))
        square = np.sum((y - w @ Z[:, C].T) ** 2, axis=1)[:, None]
        density = normal(square, variance) * (2 * np.pi * variance * tau2) ** (-0.5 * len(C))
        density = density * np.exp(-0.5 * np.sum(w**2, axis=1)[:, None] / (variance * tau2))
        total = density.sum() * (slope[2] - slope[0]) ** len(C)
        mean = np.zeros(2)
        mean[C] = density.sum(axis=1) @ w / density.sum()
        none = (1 - share - unrelated) * as_effect + unrelated * as_cause
        weights.append(total * np.prod(np.where(causes, share * as_cause, none)))
        means.append(mean)
    return np.array(weights) / np.sum(weights), np.array(means)


_TAU, _KAPPA = 7, 6


def _small(unrelated):
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(7, 2))
    y = 0.8 * Z[:, 0] + rng.normal(size=7)
    Z[:, 1] = 0.7 * y + 0.5 * rng.normal(size=7)
    prior = _single_scale(_TAU, _KAPPA, 0.3, unrelated)
    moments = TaskMoments.from_arrays(Z, y[:, None])
    return y, Z, adapt_task(moments, np.zeros((2, 2)), prior, lambda Z: np.asarray(Z, dtype=np.float64))


@pytest.mark.parametrize("unrelated", [1e-12, 0.2])
def test_roles_and_coefficients_are_those_of_integration_over_all_parameters(unrelated):
    y, Z, task = _small(unrelated)
    weights, means = _grid_posterior(y, Z, STRENGTH_SCALES[_TAU], STRENGTH_SCALES[_KAPPA], 0.3, unrelated)
    np.testing.assert_allclose(task.causal_probability, [weights[2:].sum(), weights[1::2].sum()], atol=2e-3)
    np.testing.assert_allclose(task.causal_coef * Z.std(axis=0) / y.std(), weights @ means, atol=5e-3)
    assert 0.05 < task.causal_probability.min() < task.causal_probability.max() < 0.95


def test_predictions_are_those_of_the_predictive_density():
    """Causes: exact, but for `trust`. With effects, against the product of the exact Student densities on a grid."""
    y, Z, task = _small(1e-12)
    n, kappa2, tau2 = len(y), STRENGTH_SCALES[_KAPPA], STRENGTH_SCALES[_TAU]
    scaled, centred = _standardised(y, Z)
    weights, _ = _grid_posterior(y, Z, tau2, kappa2, 0.3, 1e-12)
    new = np.array([[0.7, 1.0], [-1.5, -0.4], [0.2, 0.1]])
    grid = np.linspace(-12, 12, 20001)
    for z, lower, upper in zip(new, *task.predict_interval(new, level=0.9), strict=True):
        density, causal_mean = 0.0, 0.0
        for weight, causes in zip(weights, itertools.product([False, True], repeat=2), strict=True):
            C, x = np.array(causes), (z - Z.mean(axis=0)) / Z.std(axis=0)
            P = np.linalg.inv(centred[:, C].T @ centred[:, C] + np.eye(C.sum()) / tau2)
            coef = P @ centred[:, C].T @ scaled
            left = n - coef @ centred[:, C].T @ scaled
            scale = np.sqrt(left / (n - 1) * (1 + 1 / n + x[C] @ P @ x[C]))
            part = student.pdf(grid, n - 1, x[C] @ coef, scale)
            causal_mean += weight * x[C] @ (task.trust[C] * coef)
            for i in np.flatnonzero(~C):
                slope = centred[:, i] @ scaled / (n + 1 / kappa2)
                rate = 0.5 * (n - slope * (centred[:, i] @ scaled))
                scale = np.sqrt(2 * rate / (n - 1) * (1 + 1 / n + grid**2 / (n + 1 / kappa2)))
                part = part * student.pdf(x[i], n - 1, slope * grid, scale)
            density = density + weight * part / part.sum()
        mean = y.mean() + y.std() * (grid @ density)
        assert task.predict(z[None]) == pytest.approx(mean, abs=0.08 * y.std())
        assert task.predict(z[None], use="causal") == pytest.approx(y.mean() + y.std() * causal_mean, abs=5e-3)
        inside = (grid > (lower - y.mean()) / y.std()) & (grid < (upper - y.mean()) / y.std())
        # Student's t of the target's own freedom is on the wide side where effects add to it.
        assert 0.88 < density[inside].sum() < 0.95


def test_trust_minimises_the_loss_after_a_flip_and_its_rise():
    cause, effect = np.array([1.0, 0.9, 0.6, 0.5, 0.0]), np.array([0.0, 0.05, 0.2, 0.5, 1.0])
    b, c = np.linspace(0, 1.5, 3001), 0.7
    for p, q, trust in zip(cause, effect, adaptation._trust(cause, effect), strict=True):
        before = b**2 - 2 * b * c * (p + q)
        after = b**2 - 2 * b * c * (p - q)
        assert p * trust * c == pytest.approx(b[np.argmin(after + (after - before))], abs=1e-3)


# -- on synthetic tasks ----------------------------------------------------------------------------------------------


class _Problem:
    """A model fitted to 200 tasks, and new tasks with the same mixing matrix."""

    n_new, n_test = 8, 1000

    def __init__(self, mixing, target_noise):
        settings = {"n_causal": 4, "target_noise": target_noise}
        data = make_linear_tasks(n_tasks=200, mixing=mixing, random_state=0, **settings)
        self.new = make_linear_tasks(n_tasks=self.n_new, n_samples=3000, mixing=data.mixing, random_state=1, **settings)
        self.model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
        self.match = mcc(self.model.transform(data.H), data.Z)

    def rows(self, t, n):
        """The first n rows of a task, and rows to test on."""
        own = np.flatnonzero(self.new.tasks == t)
        return own[:n], own[-self.n_test :]

    def adapt(self, t, n):
        train = self.rows(t, n)[0]
        return self.model.adapt(self.new.H[train], self.new.y[train])

    def r2(self, task, t, *, use="all", flip=False):
        test = self.rows(t, 0)[1]
        y, H = self.new.y[test], self.new.H[test]
        if flip:
            H = H - 2.0 * (y[:, None] * self.new.spurious_coef[t]) @ self.new.mixing.T
        return 1.0 - np.mean((y - task.predict(H, use=use)) ** 2) / y.var()


@pytest.fixture(scope="module")
def quiet():
    return _Problem("orthogonal", (0.05, 0.1))


@pytest.fixture(scope="module")
def noisy():
    return _Problem("orthogonal", (2.0, 3.0))


@pytest.fixture(params=["quiet", "noisy"])
def problem(request):
    return request.getfixturevalue(request.param)


def test_roles_and_mechanisms_of_a_new_task_are_recovered(quiet):
    match, scale = quiet.match, quiet.match.signs * quiet.new.Z.std(axis=0)[quiet.match.assignment]
    for t in range(quiet.n_new):
        task = quiet.adapt(t, 2000)
        causal = quiet.new.causal[t, match.assignment]
        w, gamma = quiet.new.causal_coef[t, match.assignment], quiet.new.spurious_coef[t, match.assignment]
        # A cause that does next to nothing cannot be told from an effect that shows next to nothing.
        clear = ~causal | (np.abs(w) > 0.1)
        np.testing.assert_allclose(task.causal_probability[clear], causal[clear], atol=0.1)
        np.testing.assert_allclose(task.causal_coef, w * scale, atol=0.05)
        np.testing.assert_allclose(task.spurious_coef[~causal], (gamma / scale)[~causal], atol=0.05)
        std = quiet.new.spurious_std[t, match.assignment] / np.abs(scale)
        np.testing.assert_allclose(task.spurious_std[~causal], std[~causal], atol=0.03)


def test_twenty_rows_predict_like_two_thousand(problem):
    for t in range(problem.n_new):
        few, many = problem.adapt(t, 20), problem.adapt(t, 2000)
        assert problem.r2(few, t) > problem.r2(many, t) - 0.05


def test_fewer_rows_than_latents(quiet):
    assert np.mean([quiet.r2(quiet.adapt(t, 5), t) for t in range(quiet.n_new)]) > 0.9
    # With two rows there is not much to know, but nothing breaks.
    two = quiet.adapt(0, 2)
    lower, upper = two.predict_interval(quiet.new.H[:50])
    assert np.all(np.isfinite(two.predict(quiet.new.H[:50])) & (lower < upper))


def test_causes_alone_survive_a_flip_of_the_spurious_mechanism(problem):
    own, flipped, everything = [], [], []
    for t in range(problem.n_new):
        # Weak causes in noise take more rows to be told from effects with certainty.
        task = problem.adapt(t, 20 if problem.new.target_noise.max() < 1 else 2000)
        own.append(problem.r2(task, t, use="causal"))
        flipped.append(problem.r2(task, t, use="causal", flip=True))
        everything.append(problem.r2(task, t) - problem.r2(task, t, flip=True))
    np.testing.assert_allclose(flipped, own, atol=0.02)
    assert np.mean(everything) > 0.5


def test_caution_pays_after_a_flip_where_roles_are_unclear(noisy):
    rows = []
    for t in range(noisy.n_new):
        task = noisy.adapt(t, 20)
        bold = replace(task, trust=np.ones(10))
        rows.append([noisy.r2(x, t, use="causal", flip=flip) for x in (task, bold) for flip in (False, True)])
    own, flipped, bold_own, bold_flipped = np.mean(rows, axis=0)
    assert own - flipped < 0.5 * (bold_own - bold_flipped)
    assert flipped > bold_flipped


def test_intervals_are_calibrated(problem):
    inside = []
    for t in range(problem.n_new):
        train, test = problem.rows(t, 2000)
        H, y = problem.new.H[test[:60]], problem.new.y[test[:60]]
        for start in range(0, 2000, 500):
            part = train[start : start + 20]
            task = problem.model.adapt(problem.new.H[part], problem.new.y[part])
            ends = [task.predict_interval(H, level=0.9, use=use) for use in ("all", "causal")]
            inside.append([np.mean((lower <= y) & (y <= upper)) for lower, upper in ends])
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.9, atol=0.04)


def test_correlated_noise_does_not_turn_effects_into_causes():
    """Noise that comes to all latents at once, larger than the effects' own."""
    rng = np.random.default_rng(0)
    even = np.full(len(STRENGTH_SCALES), 1 / len(STRENGTH_SCALES))
    prior = RolePrior(0.4, 0.01, even, even)
    causal = np.arange(6) < 2
    loading = 0.2 * np.sign(rng.normal(size=6))
    noise = np.outer(loading, loading) + 1e-4 * np.eye(6)
    # Posterior mean under the pooled prior, as `MTLCM.transform` gives.
    wiener = np.linalg.inv(np.eye(6) + noise)
    for _ in range(5):
        Z = rng.normal(size=(3000, 6))
        y = Z[:, causal] @ [1.0, 0.7] + 2.0 * rng.normal(size=3000)
        Z[:, ~causal] = rng.uniform(0.3, 1.0, size=4) * y[:, None] / y.std() + 0.03 * Z[:, ~causal]
        Z += rng.normal(size=(3000, 1)) * loading + 0.01 * rng.normal(size=(3000, 6))
        Z = Z @ wiener
        known, ignored = (
            adapt_task(TaskMoments.from_arrays(Z, y[:, None]), covariance, prior, np.asarray)
            for covariance in (wiener @ noise @ wiener, np.zeros((6, 6)))
        )
        np.testing.assert_array_equal(known.causal_probability > 0.5, causal)
        assert np.any((ignored.causal_probability > 0.5) != causal)


def test_searched_sets_agree_with_enumerated_ones(quiet, monkeypatch):
    enumerated = [quiet.adapt(t, 20) for t in range(quiet.n_new)]
    monkeypatch.setattr(adaptation, "_MAX_ENUMERATED", 5)
    monkeypatch.setattr(adaptation, "_N_AMBIGUOUS", 6)
    for t, task in enumerate(enumerated):
        np.testing.assert_allclose(quiet.adapt(t, 20).causal_probability, task.causal_probability, atol=0.1)


def test_units_of_the_target_do_not_matter(quiet):
    train, test = quiet.rows(0, 20)
    task, other = (quiet.model.adapt(quiet.new.H[train], f * quiet.new.y[train] + f) for f in (1.0, -1e6))
    np.testing.assert_allclose(other.causal_probability, task.causal_probability, atol=1e-6)
    np.testing.assert_allclose(other.causal_coef, -1e6 * task.causal_coef, rtol=1e-6, atol=1.0)
    np.testing.assert_allclose(other.predict(quiet.new.H[test]), -1e6 * task.predict(quiet.new.H[test]), rtol=1e-5)


def test_rows_without_a_label_are_left_out(quiet):
    H, y = quiet.new.H[:30], quiet.new.y[:30].copy()
    y[20:] = np.nan
    task = quiet.model.adapt(H, y)
    assert task.n_samples == 20
    np.testing.assert_allclose(task.predict(H), quiet.adapt(0, 20).predict(H), rtol=1e-9)


def test_causal_prediction_is_linear_in_the_coefficients_reported(quiet):
    task = quiet.adapt(1, 50)
    H = quiet.new.H[:40]
    expected = quiet.model.transform(H) @ (task.trust * task.causal_coef) + task.intercept
    np.testing.assert_allclose(task.predict(H, use="causal"), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda H, y: (H, y[:10]), "y does not match X: got 10 rows for 20"),
        (lambda H, y: (H, np.full(20, np.nan)), "y has too few labels: got 0, expected at least 2"),
        (lambda H, y: (H[:1], y[:1]), "y has too few labels: got 1, expected at least 2. Label more rows"),
        (lambda H, y: (H, np.full(20, 3.5)), "y is constant: got 3.5 in all 20 rows"),
        (lambda H, y: (H, np.c_[y, y]), "y has the wrong shape: got 2 columns"),
        (lambda H, y: (H, np.where(y > 0, np.inf, y)), "infinite values"),
        (lambda H, y: (H[:, :3], y), "3 features"),
        (lambda H, y: (np.where(H > 1, np.nan, H), y), "X contains .* non-finite values"),
    ],
)
def test_bad_rows_are_named(quiet, change, message):
    with pytest.raises(ValueError, match=message):
        quiet.model.adapt(*change(quiet.new.H[:20], quiet.new.y[:20]))


def test_bad_uses_and_levels_are_named(quiet):
    task, H = quiet.adapt(0, 20), quiet.new.H[:3]
    with pytest.raises(ValueError, match="use is unknown: got 'effects', expected 'all' or 'causal'"):
        task.predict(H, use="effects")
    with pytest.raises(ValueError, match=r"level is out of range: got 90, expected a number between 0 and 1"):
        task.predict_interval(H, level=90)
    with pytest.raises(ValueError, match="use is unknown: got None"):
        quiet.model.predict(H, use=None)


def test_weights_of_the_rows_of_a_new_task():
    data = make_linear_tasks(n_tasks=61, n_latents=5, mixing="orthogonal", random_state=0)
    old, new = data.tasks < 60, np.flatnonzero(data.tasks == 60)
    model = MTLCM(random_state=0).fit(data.H[old], data.y[old], tasks=data.tasks[old])
    H, y, rng = data.H[new], data.y[new].copy(), np.random.default_rng(0)
    kept = rng.random(len(y)) < 0.6
    zero, part = model.adapt(H, y, sample_weight=2.0 * kept), model.adapt(H[kept], y[kept])
    np.testing.assert_array_equal(zero.predict(H), part.predict(H))
    assert zero.n_samples == part.n_samples == kept.sum()
    # Rows with large errors that say so do not spoil what the others tell.
    noisy = np.arange(len(y)) % 2 == 1
    wrong = y + np.where(noisy, 30.0 * y.std() * rng.normal(size=len(y)), 0.0)
    w = np.where(noisy, 1e-8, 1.0)
    weighed, plain = model.adapt(H, wrong, sample_weight=w), model.adapt(H, wrong)
    good = model.adapt(H[~noisy], y[~noisy])
    error = {name: np.mean((task.predict(H) - y) ** 2) for name, task in [("w", weighed), ("p", plain), ("g", good)]}
    assert error["w"] < 2.0 * error["g"] < 0.1 * error["p"]
    np.testing.assert_allclose(weighed.causal_probability, good.causal_probability, atol=0.2)
    # Three times the weight is no three rows: only ratios count, and effective numbers do.
    np.testing.assert_allclose(model.adapt(H, wrong, sample_weight=7.0 * w).predict(H), weighed.predict(H), rtol=1e-9)
    assert weighed.n_samples == pytest.approx(w.sum() ** 2 / (w @ w))
    few = np.zeros(len(y))
    few[:2] = 1.0, 1e-3
    with pytest.raises(ValueError, match="too few labels: got 1 by their weights"):
        model.adapt(H, y, sample_weight=few)
    with pytest.raises(ValueError, match="sample_weight"):
        model.adapt(H, y, sample_weight=-np.ones(len(y)))
