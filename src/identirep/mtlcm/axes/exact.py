r"""The exact likelihood p(h, y | t), given which latents are causes, and its maximisation over the unmixing matrix.

With C_t the causes of task t, all scales profiled out, minimise over B

    -log|det B| + 1/2 sum_t p_t [ sum_{i in C_t} log (B S_t B')_ii + sum_{i not in C_t} log (B R_t B')_ii
                                  + log var(y | z_i, i in C_t) ].

Unlike the factorised likelihood it knows that observing y couples its causes, and it carries the information that tells
causes from effects. Steps are quasi-Newton in relative coordinates, as in `solver`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.mtlcm.axes.step_memory import StepMemory
from identirep.mtlcm.model.likelihood import JointMoments
from identirep.mtlcm.roles.sets import causal_regression

__all__ = ["ExactState", "exact_state", "exact_step"]

_MIN_CURVATURE = 1e-2
_TINY = 1e-12


@dataclass(frozen=True)
class ExactState:
    """The criterion of latents with given roles, less log|det B|, and its relative gradient and curvature."""

    value: float
    gradient: Array
    curvature: Array


def exact_state(z: JointMoments, causal: BoolArray) -> ExactState:
    """Evaluate the criterion at latents whose moments are `z`."""
    S_ii = np.einsum("tii->ti", z.S)
    R_ii = np.maximum(S_ii - z.s**2 / z.v[:, None], _TINY * S_ii)
    w = causal_regression(z.S, z.s, causal)
    residual = np.maximum(z.v - np.einsum("ti,ti->t", w, z.s), _TINY * z.v)
    value = 0.5 * float(z.weights @ (np.log(np.where(causal, S_ii, R_ii)).sum(axis=1) + np.log(residual)))
    p = z.weights[:, None]
    inverse = p / np.where(causal, S_ii, R_ii)
    # sum_t of p_t (S_t or R_t)_ij / (S_t or R_t)_ii
    G = np.einsum("ti,tij->ij", inverse, z.S)
    G -= (np.where(causal, 0.0, inverse) * z.s / z.v[:, None]).T @ z.s
    # d log var(y | causes): what is left of cov(z_j, y) after the regression.
    left = z.s - np.einsum("ti,tij->tj", w, z.S)
    coupling = p * w / residual[:, None]
    G -= coupling.T @ left
    H = (np.where(causal, inverse, 0.0) + coupling * w).T @ S_ii + np.where(causal, 0.0, inverse).T @ R_ii
    return ExactState(value, G - np.eye(len(G)), H)


def exact_step(
    z: JointMoments, causal: BoolArray, state: ExactState, memory: StepMemory | None = None
) -> tuple[Array, JointMoments, ExactState]:
    """Take one quasi-Newton step with backtracking, the last ones in memory.

    Parameters
    ----------
    z : JointMoments
        Moments of the latents and the target.
    causal : array of bool, shape (n_tasks, D)
        The causes.
    state : ExactState
        The criterion there.
    memory : StepMemory, optional
        Steps before this one, of one start; none by default.

    Returns
    -------
    tuple
        Map of the latents, their moments, and the new state; the old one if no step lowers the criterion.
    """
    H = state.curvature * np.sqrt(np.maximum((1.0 + _MIN_CURVATURE) / (state.curvature * state.curvature.T), 1.0))

    def solve(gradient: Array) -> Array:
        G = gradient[0]
        E = -(H.T * G - G.T) / (H * H.T - 1.0)
        np.fill_diagonal(E, -np.diag(G) / (np.diag(H) + 1.0))
        return np.asarray(E[None])

    E = (memory or StepMemory()).direction(state.gradient[None], solve)[0]
    D = len(E)
    step = min(1.0, 0.5 / max(float(np.abs(E).max()), _TINY))
    for _ in range(8):
        M = np.eye(D) + step * E
        moved = z.mapped(M)
        trial = exact_state(moved, causal)
        change = trial.value - state.value - float(np.linalg.slogdet(M)[1])
        if change <= 1e-12:
            return M, moved, trial
        step *= 0.5
    return np.eye(D), z, state
