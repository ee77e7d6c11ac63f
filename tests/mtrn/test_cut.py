"""A cut between directions of the same signal, which replicates rank differently, is told from a clear one."""

import warnings

import numpy as np
import pytest

from identirep import MTRN, TaskMoments
from identirep.mtrn import cut
from identirep.mtrn.cut import cut_clarity, warn_of_unclear_cut
from identirep.mtrn.reduction import reduce_features

_STRENGTH = np.array([4.0, 2.01, 2.0, 1.0, 0.5])


def _replicates(n_replicates, spread=0.03):
    """Replicates that see the same latents, and mix neighbours a little, each in its own way."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(500, 5))
    Z = np.linalg.qr(Z - Z.mean(axis=0))[0] * np.sqrt(500)
    W = np.linalg.qr(rng.normal(size=(30, 5)))[0] * _STRENGTH
    moments = TaskMoments.from_arrays(np.hstack([Z] * n_replicates), Z @ W.T)
    heads = [W @ (np.eye(5) + spread * rng.normal(size=(5, 5))) for _ in range(n_replicates)]
    coef = np.hstack(heads) / n_replicates
    return moments, coef, reduce_features(moments, coef, np.ones(30))


def test_only_the_cut_between_equal_signals_is_unclear():
    clarity = cut_clarity(*_replicates(8), 8)
    assert clarity[1] < 5
    assert clarity[[0, 2, 3]].min() > 10


def test_more_replicates_and_closer_ones_make_a_cut_clearer():
    few, many, close = (
        np.median(cut_clarity(*_replicates(*setting), setting[0])) for setting in ((4, 0.03), (64, 0.03), (4, 0.003))
    )
    assert many > 2 * few
    assert close > 5 * few


def test_unclear_cut_warns_and_names_clear_ones():
    with pytest.warns(UserWarning, match=r"n_components=2 cuts .* Pass n_components=1 or 3\."):
        warn_of_unclear_cut(*_replicates(8), 8, 2)


def test_no_cut_is_named_where_none_is_clear(monkeypatch):
    monkeypatch.setattr(cut, "_CLEAR", 1e9)
    with pytest.warns(UserWarning, match=r"as MTRN\(n_replicates=16\) does, or fit to more rows\.$"):
        warn_of_unclear_cut(*_replicates(8), 8, 2)


@pytest.mark.parametrize("D", [0, 1, 3, 4, 5])
def test_clear_cut_says_nothing(D):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unclear_cut(*_replicates(8), 8, D)


def test_one_network_has_nothing_to_compare():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unclear_cut(*_replicates(1), 1, 2)


def test_fit_compares_its_replicates(monkeypatch):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 4))
    Y = Z @ rng.normal(size=(4, 20)) + 0.5 * rng.normal(size=(300, 20))
    model = MTRN(2, n_replicates=2, hidden_sizes=(16,), max_epochs=10, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="n_components=")
        model.fit(Z, Y)
    # Now no cut is clear enough.
    monkeypatch.setattr(cut, "_CLEAR", 1e9)
    with pytest.warns(UserWarning, match="n_components=2 cuts"):
        model.fit(Z, Y)
