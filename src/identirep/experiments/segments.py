"""Data on which the paper of iVAE tests it: Gaussian sources, stationary in segments, behind an invertible network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from identirep._typing import Array

__all__ = ["draw_segments", "piecewise_stationary", "published_segments"]

# The published generator accepts matrices whose condition number is below this percentile of so many draws.
_PERCENTILE, _DRAWS = 25, 10_000


class _Activation(NamedTuple):
    """An increasing function of one variable, and its derivative."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


_LEAKY = _Activation(lambda x: np.maximum(x, 0.2 * x), lambda x: np.where(x < 0, 0.2, 1.0))
_TANH = _Activation(lambda x: np.tanh(x) + 0.1 * x, lambda x: 1.1 - np.tanh(x) ** 2)


def draw_segments(kind: str, n_segments: int, length: int, D: int, n_layers: int, rng: np.random.Generator) -> Bunch:
    """Draw data of a kind: "own", or "published" without or with ", means" that change."""
    if kind == "own":
        return piecewise_stationary(n_segments, length, D, n_layers, rng)
    return published_segments(n_segments, length, D, n_layers, rng, means=kind == "published, means")


def piecewise_stationary(n_segments: int, length: int, D: int, n_layers: int, rng: np.random.Generator) -> Bunch:
    """Draw sources with means in -2 to 2 and variances in 0.25 to 3, mixed by well-conditioned leaky layers.

    Besides ``X``, ``Z`` and ``segments``: ``condition``, the largest condition number of a layer, and
    ``negative_log_likelihood``, what the model that drew the data has (nats for a row of whitened X, without the
    constant D / 2 log 2 pi).
    """
    mean = rng.uniform(-2.0, 2.0, size=(n_segments, 1, D))
    deviation = np.sqrt(rng.uniform(0.25, 3.0, size=(n_segments, 1, D)))
    noise = rng.normal(size=(n_segments, length, D))
    return _observe(mean, deviation, noise, (_conditioned(D, rng) for _ in range(n_layers)), _LEAKY)


def published_segments(
    n_segments: int, length: int, D: int, n_layers: int, rng: np.random.Generator, *, means: bool
) -> Bunch:
    """Draw sources and mixing by the rules of the published code: the same matrix in every layer, and tanh.

    I. Khemakhem, D. P. Kingma, R. P. Monti, A. Hyvarinen, "Variational autoencoders and nonlinear ICA: a unifying
    framework", AISTATS 2020, arXiv:1907.04809, and the code that its authors published (ilkhem/iVAE on GitHub).
    """
    mean = rng.uniform(-5.0, 5.0, size=(n_segments, 1, D)) if means else np.zeros((n_segments, 1, D))
    deviation = rng.uniform(0.5, 3.0, size=(n_segments, 1, D))
    noise = rng.normal(size=(n_segments, length, D))
    limit = np.percentile(np.linalg.cond(_unit_columns(_DRAWS, D, rng)), _PERCENTILE)
    matrix = _unit_columns(1, D, rng)[0]
    while np.linalg.cond(matrix) > limit:
        matrix = _unit_columns(1, D, rng)[0]
    return _observe(mean, deviation, noise, [matrix] * n_layers, _TANH)


def _conditioned(D: int, rng: np.random.Generator) -> Array:
    """Draw a matrix with condition number at most 3: the network stays invertible for practical purposes."""
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    return np.asarray((U * rng.uniform(1.0, 3.0, size=D)) @ V)


def _unit_columns(n: int, D: int, rng: np.random.Generator) -> Array:
    """Draw n matrices with columns of length 1."""
    matrices = rng.uniform(-1.0, 1.0, size=(n, D, D))
    return np.asarray(matrices / np.linalg.norm(matrices, axis=1, keepdims=True))


def _observe(mean: Array, deviation: Array, noise: Array, matrices: Iterable[Array], activation: _Activation) -> Bunch:
    """Mix sources, and say what the likelihood of the truth is."""
    n_segments, length, D = noise.shape
    Z = (mean + deviation * noise).reshape(-1, D)
    X, cost = Z, float((0.5 * noise**2 + np.log(deviation)).sum(axis=2).mean())
    condition = 1.0
    for layer, matrix in enumerate(matrices):
        if layer:
            cost += float(np.log(activation.slope(X)).sum(axis=1).mean())
            X = activation.value(X)
        X, condition = X @ matrix, max(condition, float(np.linalg.cond(matrix)))
        cost += float(np.linalg.slogdet(matrix)[1])
    # Whitening, which scales densities.
    cost -= 0.5 * float(np.linalg.slogdet(np.cov(X, rowvar=False))[1])
    segments = np.repeat(np.arange(n_segments), length)
    return Bunch(X=X, Z=Z, segments=segments, condition=condition, negative_log_likelihood=cost)
