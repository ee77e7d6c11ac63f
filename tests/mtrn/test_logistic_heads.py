"""Binary targets in stage one: likelihood, heads, predictions, and what stage two gets."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.metrics import weak_mcc_score
from identirep.mtrn.logistic_heads import as_zero_and_one, fit_logistic, levels_of, with_logistic_heads
from identirep.mtrn.network import WideObjective
from identirep.mtrn.reduction import Heads


def mixed_table(n=900, seed=0):
    """Three latents behind 16 binary and 4 continuous targets, a quarter of the labels missing."""
    rng = np.random.default_rng(seed)
    Z = rng.laplace(size=(n, 3))
    X = Z @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(n, 8))
    eta = 1.5 * Z @ (rng.normal(size=(3, 20)) * (rng.random((3, 20)) < 0.6)) + rng.normal(size=20)
    Y = (rng.random((n, 20)) < expit(eta)).astype(float)
    Y[:, 16:] = eta[:, 16:] + rng.normal(size=(n, 4))
    Y[rng.random(Y.shape) < 0.25] = np.nan
    return X, Y, Z, eta


def small(**given):
    return MTRN(hidden_sizes=(32,), n_replicates=2, max_epochs=30, random_state=0, **given)


@pytest.fixture(scope="module")
def fitted():
    X, Y, Z, eta = mixed_table()
    return small().fit(X[:700], Y[:700]), X, Y, Z, eta


def test_heads_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(400, 3))
    H = (H - H.mean(axis=0)) / H.std(axis=0)
    y = (rng.random(400) < expit(H @ [1.0, -2.0, 0.0] + 0.5)).astype(float)
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(H, y)
    head = fit_logistic(H, y)
    np.testing.assert_allclose(head.coef, other.coef_[0], rtol=1e-4)
    np.testing.assert_allclose(head.intercept, other.intercept_[0], rtol=1e-3)
    moved = fit_logistic(1e3 * H + 1e5, y)
    np.testing.assert_allclose(moved.logit(1e3 * H + 1e5), head.logit(H), atol=1e-5)
    # Weights of 0 and 1 leave rows out.
    kept = np.arange(400) % 2 == 0
    np.testing.assert_allclose(
        fit_logistic(H, y, kept * 1.0).logit(H), fit_logistic(H[kept], y[kept]).logit(H), atol=1e-6
    )


def test_heads_of_separated_and_constant_targets_are_finite():
    H = np.linspace(-1, 1, 50)[:, None]
    head = fit_logistic(H, (H[:, 0] > 0).astype(float))
    assert 0 < head.coef[0] < 100
    assert np.isfinite(fit_logistic(H, np.zeros(50)).intercept)
    assert fit_logistic(np.empty((50, 0)), np.arange(50) % 2 * 1.0).coef.shape == (0,)


def test_information_weighs_a_binary_head_like_a_linear_one():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(4000, 2))
    y = (rng.random(4000) < expit(F @ [0.6, 0.0])).astype(float)[:, None]
    levels = levels_of(y, None, ("binary",))
    empty = Heads(np.zeros((1, 2)), np.zeros(1), np.ones(1))
    heads = with_logistic_heads(empty, F, y, levels, np.ones(4000, dtype=bool), None, 1)
    slope = np.linalg.lstsq(np.column_stack([F, np.ones(4000)]), y[:, 0], rcond=None)[0]
    np.testing.assert_allclose(heads.coef[0], slope[:2], atol=0.01)
    np.testing.assert_allclose(heads.noise, np.mean((y[:, 0] - expit(F @ [0.6, 0.0])) ** 2), rtol=0.02)


def test_values_of_a_binary_target_may_be_any():
    y = np.array([[3.0], [5.0], [np.nan], [5.0]])
    levels = levels_of(y, None, ("binary",))
    np.testing.assert_array_equal(levels, [[3.0, 5.0]])
    np.testing.assert_array_equal(as_zero_and_one(y, levels), [[0.0], [1.0], [np.nan], [1.0]])
    assert np.isnan(levels_of(y, None, ("continuous",))).all()


def test_the_objective_is_the_likelihood_of_each_kind():
    generator = torch.Generator().manual_seed(0)
    objective = WideObjective(torch.nn.Identity(), 1, 2, 2, generator, torch.tensor([0.3, float("nan")]))
    x, y = torch.randn(1, 50, 2), torch.stack([(torch.arange(50) % 2).float(), torch.randn(50)], dim=1)
    y[:5, 0] = float("nan")
    losses, counts = objective.residual_squares(x, y)
    eta = (x[0] @ objective.head_weight[0] + objective.head_bias[0]).detach()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(eta[5:, 0], y[5:, 0], reduction="sum")
    torch.testing.assert_close(losses[0, 0].detach(), expected)
    torch.testing.assert_close(losses[0, 1].detach(), (eta[:, 1] - y[:, 1]).square().sum())
    assert counts.tolist() == [45, 50]
    assert torch.isclose(objective.head_bias[0, 0, 0], torch.tensor(0.3))


def test_probabilities_are_those_of_the_targets(fitted):
    model, X, _, Z, eta = fitted
    assert model.target_kinds_ == ("binary",) * 16 + ("continuous",) * 4
    P, probability = model.predict(X[700:]), model.predict_proba(X[700:])
    np.testing.assert_array_equal(P[:, :16], probability[:, :16])
    assert np.isnan(probability[:, 16:]).all()
    assert np.abs(P[:, :16] - expit(eta[700:, :16])).mean() < 0.06
    assert weak_mcc_score(model.transform(X[:700]), Z[:700], held_out=(model.transform(X[700:]), Z[700:])) > 0.97


def test_probabilities_rank_as_logistic_regression_does(fitted):
    model, X, Y, _, _ = fitted
    P, ours, theirs = model.predict_proba(X[700:]), [], []
    for t in range(16):
        train, test = ~np.isnan(Y[:700, t]), ~np.isnan(Y[700:, t])
        own = LogisticRegression(max_iter=1000).fit(X[:700][train], Y[:700][train, t])
        ours.append(roc_auc_score(Y[700:][test, t], P[test, t]))
        theirs.append(roc_auc_score(Y[700:][test, t], own.predict_proba(X[700:][test])[:, 1]))
    assert np.mean(ours) > np.mean(theirs) - 0.01


def test_kinds_go_with_the_model(tmp_path):
    X, Y, _, _ = mixed_table()
    both = IdentifiableRegressor(regressor=small(), n_checks=0, target_type={3: "continuous"}, random_state=0)
    both.fit(X[:700], Y[:700])
    assert both.target_kinds_[3] == "continuous"
    assert np.isnan(both.predict_proba(X[:5])[:, 3]).all()
    both.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.target_kinds_ == both.target_kinds_
    assert loaded.target_type == {3: "continuous"}
    np.testing.assert_array_equal(loaded.predict(X), both.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), both.predict_proba(X))


def test_any_regressor_has_logistic_heads_on_its_features():
    X, Y, _, eta = mixed_table()
    Y = np.where(np.isnan(Y), np.nanmedian(Y, axis=0), Y)
    model = PredictiveFeatures(ExtraTreesRegressor(20, min_samples_leaf=5, random_state=0), 3, random_state=0).fit(X, Y)
    P = model.predict_proba(X)[:, :16]
    assert np.all((P >= 0) & (P <= 1))
    assert np.mean([np.corrcoef(P[:, t], expit(eta[:, t]))[0, 1] for t in range(16)]) > 0.8


def test_the_long_layout_has_probabilities_too():
    X, _, _, eta = mixed_table(1500)
    tasks = np.arange(1500) % 16
    y = (np.random.default_rng(1).random(1500) < expit(3 * eta[np.arange(1500), tasks])).astype(float)
    model = small(n_components=3).fit(X, y, tasks)
    assert set(model.target_kinds_) == {"binary"}
    P = model._predict_rows(X, tasks)
    assert np.all((P >= 0) & (P <= 1))
    assert roc_auc_score(y, P) > 0.8
    assert set(model.moments_.target_kinds_) == {"binary"}
    # Stage two gets the covariance with what is behind the levels, of less variance than the levels have.
    assert np.all(model.moments_.var_y < 0.2)


def test_kinds_that_are_none_are_refused():
    X, Y, _, _ = mixed_table(200)
    with pytest.raises(ValueError, match="target_type does not go with task 17: got 'binary' for"):
        small(target_type={17: "binary"}).fit(X, Y)
    with pytest.raises(ValueError, match="target_type names no task: got 'z'"):
        IdentifiableRegressor(regressor=small(), target_type={"z": "binary"}).fit(X, Y)
    with pytest.raises(ValueError, match="target_type"):
        small(target_type="logistic").fit(X, Y)
