"""Both stages on rows with weights: what is left out, and everything that is looked at after a fit."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor, TaskMoments
from identirep.checking import _effective, _labels
from identirep.encoder_error import encoder_correlation, line_in_target
from identirep.metrics import canonical_correlations, mcc, mcc_score, stability, weak_mcc_score
from identirep.mtrn import choose_regressor
from identirep.refining import information_of_targets, latents_given_targets
from identirep.report import Findings
from identirep.signal_check import check_signal
from identirep.validation import TaskData

_NETWORK = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=6, device="cpu")


def _rows(layout="wide", n=240, seed=0, n_tasks=8):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    heads = rng.laplace(size=(2, n_tasks))
    if layout == "wide":
        return X, X[:, :2] @ heads + 0.3 * rng.normal(size=(n, n_tasks)), None, rng
    tasks = np.arange(n) % n_tasks
    return X, np.einsum("nd,dn->n", X[:, :2], heads[:, tasks]) + 0.3 * rng.normal(size=n), tasks, rng


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("regressor", "layout", "given"),
    [
        (LinearRegression(), "wide", "groups"),
        (LinearRegression(), "wide", "order"),
        ("auto", "wide", "nothing"),
        (_NETWORK, "long", "groups"),
    ],
)
def test_weights_of_zero_and_one_leave_rows_out_bit_for_bit(regressor, layout, given, monkeypatch):
    if regressor == "auto":
        monkeypatch.setattr("identirep.mtrn.named.MTRN", lambda *_, **__: clone(_NETWORK))
    X, y, tasks, rng = _rows(layout, n=150, n_tasks=5)
    kept, refined = rng.random(len(X)) < 0.7, 1 if layout == "long" else 0
    of_rows = {"groups": np.arange(len(X)) // 3, "order": np.arange(len(X)) * 1.0, "nothing": None}[given]
    model, other = (
        IdentifiableRegressor(2, regressor=regressor, n_refinements=refined, random_state=0) for _ in range(2)
    )
    model.fit(X, y, tasks, **({} if given == "nothing" else {given: of_rows}), sample_weight=kept)
    part = {} if given == "nothing" else {given: of_rows[kept]}
    other.fit(X[kept], y[kept], None if tasks is None else tasks[kept], **part)
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    for name in ("same_rows", "other_rows", "other_rows_interval", "turn_probability"):
        np.testing.assert_array_equal(getattr(model.comes_back_, name), getattr(other.comes_back_, name))
    np.testing.assert_array_equal(model.encoder_mcc_, other.encoder_mcc_)
    assert model.certificate_.verdict == other.certificate_.verdict
    assert model.row_order_.p_targets == other.row_order_.p_targets
    assert model.regressor_choice_ == other.regressor_choice_


def test_a_fit_with_weights_is_checked_and_stored(tmp_path):
    X, y, _, rng = _rows(n=400)
    bad = rng.random(400) < 0.3
    y[bad] = 20.0 * rng.normal(size=(bad.sum(), 8))
    w = np.where(bad, 1e-6, rng.uniform(0.5, 1.0, size=400))
    model = IdentifiableRegressor(regressor="ridge", random_state=0).fit(X, y, sample_weight=w)
    assert model.n_components_ == 2
    # Held-out rows that hardly count would show noise.
    assert np.all(model.comes_back_.other_rows > 0.98)
    assert model.score(X, y, sample_weight=w) > 0.8 > 0.1 > model.score(X, y)
    model.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.moments_.n_samples, model.moments_.n_samples)
    assert loaded.certificate_.verdict == model.certificate_.verdict


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_whether_tasks_share_rows_is_not_a_question_of_weights(layout):
    X, y, tasks, rng = _rows(layout, n_tasks=3)
    # Effective numbers of all targets together are less than the number of rows.
    w = np.where(rng.random(240) < 0.8, 0.01, 1.0)
    moments = (
        TaskMoments.from_arrays(X, y, sample_weight=w)
        if tasks is None
        else TaskMoments.from_long(X, y, tasks, sample_weight=w)
    )
    assert moments.n_samples.sum() < moments.n_rows
    model = MTLCM(random_state=0).fit(X[:, :2], y, tasks, sample_weight=w)
    assert Findings.of(model).shares_rows == (layout == "wide")


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_halves_are_counted_by_what_their_rows_say(layout):
    X, y, tasks, _ = _rows(layout, n=80)
    w = np.where(np.arange(80) < 8, 1.0, 1e-9)
    data = TaskData(X, y, tasks, tuple(range(8)), weights=w)
    np.testing.assert_allclose(_labels(data), 1.0 if layout == "long" else 8.0, rtol=1e-6)
    assert _effective(data, np.arange(80) < 40) == pytest.approx(8.0)
    model = IdentifiableRegressor(1, regressor=LinearRegression() if layout == "wide" else _NETWORK, random_state=0)
    if layout == "wide":
        model.fit(X, y, sample_weight=w)
        assert set(model.certificate_.verdict) == {"not checked"}
        assert "too few rows" in model.comes_back_.how


def test_the_choice_of_a_regressor_is_by_rows_that_count(monkeypatch):
    monkeypatch.setattr("identirep.mtrn.named.MTRN", lambda *_, **__: clone(_NETWORK))
    X, y, _, rng = _rows(n=300)
    bad = rng.random(300) < 0.4
    y[bad] = 50.0 * rng.normal(size=(bad.sum(), 8))
    w = np.where(bad, 1e-7, 1.0)
    assert choose_regressor(X, y, None, None, 0, sample_weight=w).r2["ridge"] > 0.8
    assert choose_regressor(X, y, None, None, 0).r2["ridge"] < 0.3


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_signal_is_judged_by_rows_that_count(layout):
    X, y, tasks, rng = _rows(layout, n=400, n_tasks=2)
    noise = rng.normal(size=y.shape)
    told = np.arange(400) < 200
    target = np.where(told if layout == "long" else told[:, None], y, noise)

    def answer(weights, targets=target):
        return check_signal(TaskData(X, targets, tasks, (0, 1), weights=weights), None, np.random.default_rng(0))

    assert answer(np.where(told, 1.0, 1e-6)).answer == "signal"
    assert min(answer(np.where(told, 1.0, 1e-6)).r2.values()) > 0.5 > max(answer(None).r2.values())
    assert answer(np.where(told, 1e-6, 1.0)).answer != "signal"
    few = answer(np.where(np.arange(400) < 20, 1.0, 1e-9), noise)
    assert few.answer == "too few rows"
    assert "and 20 independent rows are too few" in few.statement


def _latents(seed=0):
    """Latents that are lines in the target, and rows in which they are something else."""
    rng = np.random.default_rng(seed)
    tasks = np.repeat(np.arange(30), 60)
    y = rng.normal(size=1800)
    Z = rng.normal(size=(30, 2))[tasks] * y[:, None] + 0.3 * rng.normal(size=(1800, 2))
    bad = rng.random(1800) < 0.3
    Z[bad] = 4.0 * rng.normal(size=(bad.sum(), 2))
    return Z, y, tasks, bad, np.where(bad, 1e-9, 1.0), rng


def test_lines_variances_and_information_are_those_of_rows_that_count():
    Z, y, tasks, bad, w, _ = _latents()
    line = line_in_target(Z, y, tasks, w)
    np.testing.assert_allclose(line[~bad], line_in_target(Z[~bad], y[~bad], tasks[~bad]), atol=1e-5)
    given = latents_given_targets(Z, y, tasks, np.full(2, 0.05), w)[~bad]
    np.testing.assert_allclose(given, latents_given_targets(Z[~bad], y[~bad], tasks[~bad], np.full(2, 0.05)), atol=1e-5)
    found = information_of_targets(Z, y, tasks, w)
    assert found == pytest.approx(information_of_targets(Z[~bad], y[~bad], tasks[~bad]), abs=1e-5)
    assert found > information_of_targets(Z, y, tasks) + 0.3


def test_the_error_of_an_encoder_is_that_on_rows_that_count():
    Z, y, tasks, bad, w, rng = _latents()
    held_out = rng.random(1800) < 0.6
    found = encoder_correlation(Z, y, tasks, held_out, w)
    clean = encoder_correlation(Z[~bad], y[~bad], tasks[~bad], held_out[~bad])
    np.testing.assert_allclose(found.variance, clean.variance, rtol=1e-3)
    np.testing.assert_array_equal(found.known, clean.known)
    assert np.all(encoder_correlation(Z, y, tasks, held_out).variance > 1.5 * found.variance)


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_weights_of_metrics_are_repeated_rows(correlation):
    """Correlations do not count rows, so that here a weight is as good as copies."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 60, 3))
    A, B = A.round(1), (A + 0.7 * B).round(1)
    w = rng.integers(0, 4, size=60)
    again = np.repeat(np.arange(60), w)
    C, D, v = A[::-1], B[::-1] + A, rng.integers(0, 3, size=60)
    held = np.repeat(np.arange(60), v)
    both = {"sample_weight": w, "held_out": (C, D), "held_out_weight": v}
    copies = {"held_out": (C[held], D[held])}
    for metric in (mcc_score, weak_mcc_score):
        of = partial(metric, correlation=correlation)
        assert of(A, B, sample_weight=w) == pytest.approx(of(A[again], B[again]))
        assert of(A, B, **both) == pytest.approx(of(A[again], B[again], **copies))
        assert of(A, B, sample_weight=w) != pytest.approx(of(A, B))
    np.testing.assert_allclose(
        canonical_correlations(A, B, sample_weight=w), canonical_correlations(A[again], B[again])
    )
    found = canonical_correlations(A, B, **both)
    np.testing.assert_allclose(found, canonical_correlations(A[again], B[again], **copies))
    fits = [
        stability(Zs, correlation=correlation, **kw).score
        for Zs, kw in (([A, B], both | {"held_out": [C, D]}), ([A[again], B[again]], {"held_out": [C[held], D[held]]}))
    ]
    assert fits[0] == pytest.approx(fits[1])


def test_zeros_of_metrics_leave_rows_out_bit_for_bit():
    rng = np.random.default_rng(0)
    A, B, kept = rng.normal(size=(60, 3)), rng.normal(size=(60, 3)), rng.random(60) < 0.5
    for metric in (mcc, weak_mcc_score, canonical_correlations):
        found, expected = metric(A, B, sample_weight=kept), metric(A[kept], B[kept])
        np.testing.assert_array_equal(getattr(found, "per_latent", found), getattr(expected, "per_latent", expected))
    with pytest.raises(ValueError, match="held_out_weight has no rows"):
        mcc(A, B, held_out_weight=kept)
    with pytest.raises(ValueError, match="held_out_weight does not match held_out"):
        mcc(A, B, held_out=(A, B), held_out_weight=[1.0])
