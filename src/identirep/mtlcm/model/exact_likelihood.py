r"""The exact likelihood p(h, y | t), given which latents are causes.

With C_t the causes of task t, all scales profiled out, its negative mean over rows is up to a constant

    -log|det B| + 1/2 sum_t p_t [ sum_{i in C_t} log (B S_t B')_ii + sum_{i not in C_t} log (B R_t B')_ii
                                  + log var(y | z_i, i in C_t) ].

Unlike the factorised likelihood, in which equation (6) of the paper makes latents independent given the target, it
knows that observing y couples its causes, and it carries the information that tells causes from effects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.mtlcm.model.likelihood import JointMoments, causal_regression

__all__ = ["ExactCriterion", "exact_criterion"]

_TINY = 1e-12


class ExactCriterion(NamedTuple):
    """Value, less log|det B|, with gradient and curvature along each E_ij of a relative step B <- (I + E) B."""

    value: float
    gradient: Array
    curvature: Array


def exact_criterion(z: JointMoments, causal: BoolArray) -> ExactCriterion:
    """Evaluate the criterion at latents whose moments are `z`."""
    S_ii = np.einsum("tii->ti", z.S)
    R_ii = np.maximum(S_ii - z.s**2 / z.v[:, None], _TINY * S_ii)
    w = causal_regression(z.S, z.s, causal)
    residual = np.maximum(z.v - np.einsum("ti,ti->t", w, z.s), _TINY * z.v)
    value = 0.5 * float(z.weights @ (np.log(np.where(causal, S_ii, R_ii)).sum(axis=1) + np.log(residual)))
    p = z.weights[:, None]
    as_cause, as_effect = np.where(causal, p / S_ii, 0.0), np.where(causal, 0.0, p / R_ii)
    # sum_t of p_t (S_t or R_t)_ij / (S_t or R_t)_ii
    G = np.einsum("ti,tij->ij", as_cause + as_effect, z.S) - (as_effect * z.s / z.v[:, None]).T @ z.s
    # d log var(y | causes): what is left of cov(z_j, y) after the regression.
    left = z.s - np.einsum("ti,tij->tj", w, z.S)
    coupling = p * w / residual[:, None]
    G -= coupling.T @ left
    H = (as_cause + coupling * w).T @ S_ii + as_effect.T @ R_ii
    return ExactCriterion(value, G - np.eye(len(G)), H)
