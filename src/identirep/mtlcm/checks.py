"""What stands against a fit to moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from identirep.moments import TaskMoments

__all__ = ["LEAST_LABELS", "moments_faults", "number_of_latents", "units_faults"]

# Labelled rows that a task needs.
LEAST_LABELS = 3

# Relative eigenvalue of the pooled correlation matrix under which features count as collinear.
_COLLINEAR = 1e-12


def moments_faults(moments: TaskMoments, n_components: int, features: Sequence[object] | None = None) -> list[str]:
    """List everything about the moments that stands against a fit of so many latents; features as they are called."""
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
    few = moments.n_samples < LEAST_LABELS
    if few.any():
        t = int(np.argmax(few))
        got = f"{moments.n_samples[t]:.3g}" + (" by their weights" if moments.is_weighted else "")
        faults.append(
            f"task {names[t]!r} has too few rows: got {got}, expected at least {LEAST_LABELS}. Leave it out or label "
            "more rows."
        )
    spread = moments.var_y > np.finfo(np.float64).eps ** 2 * np.maximum(moments.mean_y**2, 1e-300)
    if not (spread | few).all():
        t = int(np.argmin(spread | few))
        faults.append(
            f"the target of task {names[t]!r} is constant: got {moments.mean_y[t]:.6g} in every row, expected targets "
            "that vary. Leave that task out."
        )
    return faults + _collinearity(moments, range(moments.n_features) if features is None else features)


def number_of_latents(n_components: int | None, n_features: int, noise_std: float | str) -> int:
    """Return D for so many features; ValueError if it is too large, or leaves the likelihood undefined."""
    D = n_features if n_components is None else int(n_components)
    if n_features < D:
        raise ValueError(
            f"n_components is too large: got {D}, expected at most {n_features}, the number of features. Lower "
            "n_components or pass more features."
        )
    if n_features > D and not isinstance(noise_std, str) and noise_std**2 == 0.0:
        raise ValueError(
            f"noise_std leaves the likelihood undefined: got {noise_std} with {D} latents of {n_features} features, "
            "expected noise, which is all that features have beside fewer latents. Pass noise_std='estimate', or leave "
            "n_components out."
        )
    return D


def units_faults(
    moments: TaskMoments, n_components: int, noise_std: float | str, features: Sequence[object]
) -> list[str]:
    """List what cannot be asked of features in units that differ by orders of magnitude: it has one unit for all."""
    deviation = np.sqrt(np.diag(moments.pooled_covariance()))
    if n_components == moments.n_features and noise_std in ("estimate", 0.0):
        return []
    what = "n_components" if n_components < moments.n_features else "noise_std"
    least, most = int(deviation.argmin()), int(deviation.argmax())
    return [
        f"{what} needs features in like units: got standard deviations from {deviation.min():.0e} (feature "
        f"{features[least]}) to {deviation.max():.0e} (feature {features[most]}), expected a factor below 1e5. "
        f"Standardise X, or leave {what} out."
    ]


def _collinearity(moments: TaskMoments, features: Sequence[object]) -> list[str]:
    if not moments.n_samples.any():
        return []
    S = moments.pooled_covariance()
    scale = np.sqrt(np.diag(S))
    level = np.abs(moments.pooled_mean())
    constant = scale <= 1e-12 * np.maximum(level, 1e-300)
    if constant.any():
        return [
            f"feature {features[int(np.argmax(constant))]} is constant within tasks: got one value, expected features "
            "that vary. Drop that feature."
        ]
    values, vectors = np.linalg.eigh(S / np.outer(scale, scale))
    if values[0] > _COLLINEAR * len(S):
        return []
    involved = ", ".join(str(features[k]) for k in np.flatnonzero(np.abs(vectors[:, 0]) > 0.1)[:5])
    return [
        f"features are collinear: got an exact linear relation among features {involved}, expected linearly "
        "independent ones. Drop one of them, or set n_components and reduce the features first."
    ]
