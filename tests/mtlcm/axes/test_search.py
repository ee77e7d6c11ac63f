"""Search over unmixing matrices: evidence, temperatures, latents drawn anew, recovery from stalled starts."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes import latent_agreement
from identirep.mtlcm.axes import search as exact_search
from identirep.mtlcm.axes.exact import exact_starts
from identirep.mtlcm.axes.search import evidence_of, search
from identirep.mtlcm.model import JointMoments


def _alike(**options):
    """Moments of latents that vary alike in both roles; the unmixing matrix is the identity."""
    settings = {"mixing": "identity", "spurious_std": 1.0, "standardize": False, "observation_noise": 0.0}
    data = make_linear_tasks(**(settings | {"random_state": 0} | options))
    m = TaskMoments.from_long(data.Z, data.y, data.tasks)
    return JointMoments(m.cov_h[m.group], m.cov_hy, m.var_y, m.weights), m.n_samples


def _confused(B):
    """Largest share of another latent in a row of B, rows in units of their own latent."""
    return np.sort(np.abs(B) / np.abs(B).max(axis=1, keepdims=True), axis=1)[:, -2].max()


def test_evidence_does_not_depend_on_order_and_scale():
    moments, n = _alike(n_tasks=30, n_latents=4)
    B = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    other = np.diag([2.0, -0.5, 1.0, 3.0]) @ B[[2, 0, 3, 1]]
    assert evidence_of(moments, other, n) == pytest.approx(evidence_of(moments, B, n), abs=1e-10)
    assert evidence_of(moments, np.eye(4), n) > evidence_of(moments, B, n)


def test_temperatures_rise_to_one():
    found = exact_search._temperatures(np.array([0.01, 1.0]), 100)
    assert found.shape == (100, 2)
    assert found[0].tolist() == [0.01, 1.0]
    assert np.all(np.diff(found[:, 0]) >= 0)
    np.testing.assert_array_equal(found[67:], 1.0)


@pytest.mark.parametrize("k", [0, 2, 4])
def test_axes_drawn_anew_are_orthogonal_to_those_kept(k):
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(k, 5))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    found = exact_search._completed(axes, rng)
    np.testing.assert_array_equal(found[:k], axes)
    np.testing.assert_allclose(found[k:] @ found.T, np.eye(5)[k:], atol=1e-12)


def test_latents_that_two_starts_have_found_are_kept_and_the_others_found():
    moments, n = _alike(n_latents=6, n_causal=3)
    rng = np.random.default_rng(0)
    starts = np.tile(np.eye(6), (5, 1, 1))
    for start in starts:
        # Four latents mixed in each start, others in each.
        some = rng.permutation(6)[:4]
        start[some] = 0.0
        start[np.ix_(some, some)] = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert all(_confused(start) > 0.3 for start in starts)
    found = search(moments, n, starts, rng)
    assert _confused(found.unmixing[0]) < 0.1
    assert np.all(np.diff(found.criterion) >= 0)
    assert -found.criterion[0] > evidence_of(moments, np.eye(6), n) - 1e-3


@pytest.mark.slow
def test_generations_find_what_starts_by_themselves_miss():
    # With few tasks most starts stall: without generations the mean here is 0.84, and the truth has more evidence.
    scores = []
    for seed in range(3):
        moments, n = _alike(n_tasks=60, n_latents=10, n_causal=5, random_state=seed)
        rng = np.random.default_rng(seed)
        found = search(moments, n, exact_starts(moments, 4, rng), rng)
        pooled = np.tensordot(moments.weights, moments.S, axes=1)
        scores.append(latent_agreement(np.eye(10), found.unmixing[0], pooled).per_latent.mean())
    assert np.mean(scores) > 0.9


def test_blocks_of_starts_find_what_all_at_once_find(monkeypatch):
    moments, n = _alike(n_tasks=100, n_latents=4, n_causal=2)
    starts = np.linalg.qr(np.eye(4) + 0.2 * np.random.default_rng(1).normal(size=(3, 4, 4)))[0]
    monkeypatch.setattr(exact_search, "_MAX_NUMBERS", 100 * 5**2)
    assert _confused(search(moments, n, starts, np.random.default_rng(0)).unmixing[0]) < 0.15


def test_one_start_is_not_confirmed_and_stays_alone():
    moments, n = _alike(n_tasks=60, n_latents=3, n_causal=1)
    found = search(moments, n, np.eye(3)[None], np.random.default_rng(0))
    assert found.unmixing.shape == (1, 3, 3)
    assert found.n_iter.tolist() == [200]
