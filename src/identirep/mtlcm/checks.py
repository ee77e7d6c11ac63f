"""Checks of parameters and moments before a fit: all faults at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from identirep.moments import TaskMoments

__all__ = ["check_moments", "check_parameters", "moments_faults"]

# Relative eigenvalue of the pooled correlation matrix under which features count as collinear.
_COLLINEAR = 1e-12


def check_parameters(model: Any, n_features: int) -> None:
    """Raise one ValueError that lists every parameter of an MTLCM that is not valid."""
    faults = []
    D = model.n_components
    if D is not None and (not _is_int(D) or not 1 <= D <= n_features):
        faults.append(
            f"n_components is out of range: got {D!r}, expected an int from 1 to {n_features} (the features). "
            "Lower n_components or pass more features."
        )
    if model.prior not in ("factorized", "exact"):
        faults.append(
            f"prior is unknown: got {model.prior!r}, expected 'factorized' or 'exact'. Choose one of the two."
        )
    q = model.spurious_std
    if q is not None and not (_is_real(q) and 0 < q < np.inf):
        faults.append(
            f"spurious_std is not valid: got {q!r}, expected None or a positive number. Pass None to learn it."
        )
    if q is not None and model.prior == "exact":
        faults.append(
            f"spurious_std does not go with prior='exact': got {q!r}, expected None; the exact likelihood learns all "
            "scales. Leave spurious_std out."
        )
    o = model.noise_std
    if o != "estimate" and not (_is_real(o) and 0 <= o < np.inf):
        faults.append(f"noise_std is not valid: got {o!r}, expected 'estimate' or a number >= 0. Pass 'estimate'.")
    if model.n_init != "auto" and (not _is_int(model.n_init) or model.n_init < 1):
        faults.append(f"n_init is not valid: got {model.n_init!r}, expected 'auto' or an int >= 1. Pass 'auto'.")
    if not _is_int(model.max_iter) or model.max_iter < 1:
        faults.append(f"max_iter is not valid: got {model.max_iter!r}, expected an int >= 1. Pass for example 500.")
    if not (_is_real(model.tol) and 0 < model.tol < np.inf):
        faults.append(f"tol is not valid: got {model.tol!r}, expected a positive number. Pass for example 1e-7.")
    _raise(faults)


def check_moments(moments: TaskMoments, n_components: int) -> None:
    """Raise one ValueError that lists everything about the moments that stands against a fit."""
    _raise(moments_faults(moments, n_components))


def moments_faults(moments: TaskMoments, n_components: int) -> list[str]:
    """List everything about the moments that stands against a fit."""
    faults = []
    names = moments.task_names
    parts = (moments.scatter_h.sum(axis=(1, 2))[moments.group], moments.scatter_hy.sum(axis=1), moments.scatter_y)
    bad = ~np.isfinite(sum(parts))
    if bad.any():
        faults.append(
            f"moments are not finite: got NaN or infinity in task {names[int(np.argmax(bad))]!r}, expected finite "
            "numbers. Check the features and targets of that task."
        )
        return faults
    if moments.n_tasks < 2 and n_components > 1:
        faults.append(
            f"too few tasks: got {moments.n_tasks}, expected at least 2; only what differs between tasks tells latents "
            "apart. Pass more targets, or n_components=1."
        )
    few = moments.n_samples < 3
    if few.any():
        t = int(np.argmax(few))
        faults.append(
            f"task {names[t]!r} has too few rows: got {int(moments.n_samples[t])}, expected at least 3. Leave it out "
            "or label more rows."
        )
    spread = moments.var_y > np.finfo(np.float64).eps ** 2 * np.maximum(moments.mean_y**2, 1e-300)
    if not (spread | few).all():
        t = int(np.argmin(spread | few))
        faults.append(
            f"the target of task {names[t]!r} is constant: got {moments.mean_y[t]:.6g} in every row, expected targets "
            "that vary. Leave that task out."
        )
    return faults + _collinearity(moments)


def _collinearity(moments: TaskMoments) -> list[str]:
    if not moments.n_samples.any():
        return []
    S = moments.pooled_covariance()
    scale = np.sqrt(np.diag(S))
    level = np.abs(moments.pooled_mean())
    constant = scale <= 1e-12 * np.maximum(level, 1e-300)
    if constant.any():
        return [
            f"feature {int(np.argmax(constant))} is constant within tasks: got one value, expected features that vary. "
            "Drop that feature."
        ]
    values, vectors = np.linalg.eigh(S / np.outer(scale, scale))
    if values[0] > _COLLINEAR * len(S):
        return []
    involved = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1)[:5]
    return [
        f"features are collinear: got an exact linear relation among features {', '.join(map(str, involved))}, "
        "expected linearly independent ones. Drop one of them, or set n_components and reduce the features first."
    ]


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _raise(faults: list[str]) -> None:
    if len(faults) == 1:
        raise ValueError(faults[0])
    if faults:
        raise ValueError("several faults:\n" + "\n".join(f"- {fault}" for fault in faults))
