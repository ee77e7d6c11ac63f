"""Stage one by name, and the choice among them on rows held out."""

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.mtrn import choose_regressor

QUICK = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=20)


def _tables(kind, n=300, noise=0.3, seed=0):
    """Draw inputs and targets that one kind of regressor is made for."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 40 if kind == "ridge" else 6))
    if kind == "ridge":
        Z = X @ rng.normal(size=(40, 3)) / np.sqrt(40)
    else:
        # Steps of single inputs are what trees see at once.
        Z = np.sign(X[:, :3] - 0.3) + (X[:, 3:6] > 0.5)
    return X, Z @ rng.normal(size=(3, 8)) + noise * rng.normal(size=(n, 8))


@pytest.mark.parametrize("kind", ["ridge", "extra-trees"])
@pytest.mark.parametrize("seed", range(2))
def test_the_one_that_predicts_best_is_chosen_and_said(kind, seed):
    X, Y = _tables(kind, seed=seed)
    choice = choose_regressor(X, Y, None, None, seed, QUICK)
    assert choice.name == kind
    assert max(choice.r2, key=choice.r2.get) == kind
    assert f"{choice.r2[kind]:.2f}" in choice.reason


@pytest.mark.slow
def test_the_network_is_kept_unless_another_is_clearly_better():
    X, Y = _tables("ridge", n=150)
    choices = []
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(len(Y))
        choices.append(choose_regressor(X, Y[rows], None, None, seed, QUICK))
    assert {choice.name for choice in choices} == {"mtrn"}
    assert any(max(choice.r2, key=choice.r2.get) != "mtrn" for choice in choices)


def test_equal_rows_are_on_one_side_of_the_choice():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.normal(size=(60, 5))
    choice = choose_regressor(np.tile(X, (8, 1)), np.tile(Y, (8, 1)), None, None, 0, QUICK)
    # Trees that had seen a copy of each row would predict it exactly.
    assert choice.r2["extra-trees"] < 0.2


def test_only_the_network_takes_missing_labels_and_the_long_layout():
    X, Y = _tables("ridge", n=60)
    tasks = np.repeat(np.arange(3), 20)
    assert choose_regressor(X, Y[:, 0], tasks, None, 0).name == "mtrn"
    Y[3, 2] = np.nan
    assert "Labels are missing, which only the network takes" in choose_regressor(X, Y, None, None, 0).reason


@pytest.mark.slow
def test_names_in_the_model():
    X, Y = _tables("ridge")
    model = IdentifiableRegressor(2, regressor="ridge", random_state=0).fit(X, Y)
    assert isinstance(model.regressor_, PredictiveFeatures)
    assert model.regressor_choice_ is None
    assert model.score(X, Y) > 0.7
    trees = IdentifiableRegressor(2, regressor="extra-trees", random_state=0).fit(X, Y)
    assert type(trees.regressor_.regressor_).__name__ == "ExtraTreesRegressor"
    with pytest.raises(ValueError, match="regressor is not valid: got 'forest'"):
        IdentifiableRegressor(2, regressor="forest").fit(X, Y)


@pytest.mark.slow
def test_auto_fits_what_it_has_chosen():
    X, Y = _tables("extra-trees", n=150)
    model = IdentifiableRegressor(2, regressor="auto", random_state=0).fit(X, Y)
    assert model.regressor_choice_.name == "extra-trees"
    assert type(model.regressor_.regressor_).__name__ == "ExtraTreesRegressor"
