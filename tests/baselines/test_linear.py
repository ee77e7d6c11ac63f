"""Principal and independent components against their definitions."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from identirep.baselines import IndependentComponents, PrincipalComponents
from identirep.metrics import mcc_score


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4)) + 3.0


def test_principal_components_are_those_of_scikit_learn(inputs):
    ours = PrincipalComponents(3).fit(inputs).transform(inputs)
    theirs = PCA(3).fit_transform(inputs)
    theirs /= theirs.std(axis=0)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-8)


def test_rank_of_the_inputs(inputs):
    model = PrincipalComponents().fit(np.column_stack([inputs, inputs[:, 0] - inputs[:, 1]]))
    assert model.n_components_ == 4
    with pytest.raises(ValueError, match="expected at most 4, the features of X that vary"):
        PrincipalComponents(5).fit(np.column_stack([inputs, inputs[:, 0]]))


@pytest.mark.parametrize("fun", ["logcosh", "exp", "cube"])
def test_independent_components_unmix_uniform_sources(fun):
    rng = np.random.default_rng(0)
    Z = rng.uniform(size=(3000, 4))
    X = Z @ rng.normal(size=(4, 4))
    model = IndependentComponents(fun=fun, random_state=0).fit(X)
    assert model.converged_
    assert mcc_score(model.transform(X), Z) > 0.99
    assert mcc_score(PrincipalComponents().fit(X).transform(X), Z) < 0.95
    np.testing.assert_allclose(np.cov(model.transform(X).T, bias=True), np.eye(4), atol=1e-8)


def test_says_that_it_has_not_converged(inputs):
    with pytest.warns(ConvergenceWarning, match="IndependentComponents stopped after 2 iterations"):
        assert not IndependentComponents(max_iter=2, tol=1e-12, random_state=0).fit(inputs).converged_


@pytest.mark.parametrize(
    "model", [PrincipalComponents(), IndependentComponents(max_iter=200, tol=1e-2, random_state=0)]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_targets_change_nothing(model, inputs):
    alone = model.fit(inputs).transform(inputs)
    labelled = model.fit(inputs, np.full(300, np.nan), np.arange(300) % 3)
    assert labelled.task_names_ == (0, 1, 2)
    np.testing.assert_array_equal(labelled.transform(inputs), alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fun": "tanh"}, "fun is not valid: got 'tanh'"),
        ({"max_iter": 0}, "max_iter is not valid: got 0"),
        ({"tol": 0.0}, "tol is not valid: got 0.0"),
    ],
)
def test_bad_parameters(settings, message, inputs):
    with pytest.raises(ValueError, match=message):
        IndependentComponents(**settings).fit(inputs)
