"""The causal graph behind the synthetic data (Figure 1 of arXiv:2306.14861): latents and targets, before any mixing."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from identirep.parameters import raise_faults


def draw_tasks(
    rng: np.random.Generator,
    n_tasks: int,
    n_samples: int,
    n_latents: int,
    n_causal: int,
    spurious_std: float,
    target_noise: tuple[float, float],
    standardize: bool,
    *,
    faults: list[str],
) -> Bunch:
    """Check the settings, raise them together with the faults found before, and draw latents and targets.

    Parameters and fields of the result are those of `make_linear_tasks`.
    """
    check_count(faults, "n_tasks", n_tasks, 1)
    check_count(faults, "n_samples", n_samples, 2)
    check_count(faults, "n_latents", n_latents, 1)
    check_count(faults, "n_causal", n_causal, 0)
    if n_causal > n_latents:
        faults.append(
            f"n_causal is too large: got {n_causal}, expected at most n_latents={n_latents}. Lower n_causal or raise "
            "n_latents."
        )
    check_deviation(faults, "spurious_std", spurious_std)
    _check_range(faults, "target_noise", target_noise)
    raise_faults(faults)

    # Figure 1: causal latents -> target -> spurious latents; which are which changes from task to task.
    # The positions of the n_causal smallest of D random numbers are a uniformly random set.
    causal = rng.random((n_tasks, n_latents)).argsort(axis=1) < n_causal
    w = np.where(causal, rng.standard_normal((n_tasks, n_latents)), 0.0)
    gamma = np.where(causal, 0.0, rng.uniform(-1.0, 1.0, size=(n_tasks, n_latents)))
    s = rng.uniform(*target_noise, size=n_tasks)
    noise = rng.standard_normal((n_tasks, n_samples, n_latents))
    y = np.einsum("tnd,td->tn", noise, w) + s[:, None] * rng.standard_normal((n_tasks, n_samples))
    Z = np.where(causal[:, None, :], noise, gamma[:, None, :] * y[:, :, None] + spurious_std * noise)

    mean, scale = np.zeros((n_tasks, n_latents)), np.ones((n_tasks, n_latents))
    if standardize:
        mean, scale = Z.mean(axis=1), Z.std(axis=1)
        Z = (Z - mean[:, None, :]) / scale[:, None, :]
    return Bunch(
        Z=Z.reshape(-1, n_latents),
        y=y.ravel(),
        tasks=np.repeat(np.arange(n_tasks), n_samples),
        causal=causal,
        causal_coef=w * scale,
        intercept=(w * mean).sum(axis=1),
        target_noise=s,
        spurious_coef=gamma / scale,
        spurious_intercept=np.where(causal, 0.0, -mean / scale),
        spurious_std=np.where(causal, 0.0, spurious_std / scale),
    )


def check_count(faults: list[str], name: str, value: Any, low: int, low_name: str = "") -> None:
    """Raise at once if a size is not an int; collect the fault if it is too small."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} has the wrong type: got {value!r}, expected an int. Pass a whole number.")
    if isinstance(low, Integral) and value < low:
        bound = f"{low_name}={low}" if low_name else str(low)
        faults.append(f"{name} is too small: got {value}, expected at least {bound}. Raise {name}.")


def check_deviation(faults: list[str], name: str, value: float) -> None:
    """Collect the fault if a standard deviation is negative or not finite."""
    if not 0 <= value < np.inf:
        faults.append(f"{name} is out of range: got {value}, expected a finite number >= 0. Pass a standard deviation.")


def _check_range(faults: list[str], name: str, value: tuple[float, float]) -> None:
    """Collect the fault if a range of standard deviations is not one."""
    if np.shape(value) != (2,) or not 0 <= value[0] <= value[1] < np.inf:
        faults.append(
            f"{name} is not a range: got {value!r}, expected (low, high) with 0 <= low <= high. Pass two standard "
            "deviations."
        )
