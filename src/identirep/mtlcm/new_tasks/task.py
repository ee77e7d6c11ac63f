"""AdaptedTask: what is known of a new task, and predictions with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import stdtr, stdtrit

from identirep._typing import Array

__all__ = ["AdaptedTask", "Interval", "TargetModels", "Use", "check_use"]
Use: TypeAlias = Literal["all", "causal"]

_BISECTIONS = 30
# Numbers held at once when intervals are computed (float64, 16 MB).
_MAX_NUMBERS = 2_000_000


class Interval(NamedTuple):
    """Central prediction interval of each row.

    Parameters
    ----------
    lower, upper : array, shape (n_samples,)
        Ends of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.mtlcm import Interval
    >>> lower, upper = Interval(np.array([0.1]), np.array([0.7]))
    """

    lower: Array
    upper: Array


@dataclass(frozen=True)
class TargetModels:
    """Regressions of the target on the sets of causes that are probable, and the `weight` of each.

    Of each set the posterior mean of w, its covariance in units of the squared scale of the residual, that scale, what
    a unit of each latent adds as an effect to the precision-weighted sum, and the precision given effects alone.
    """

    weight: Array
    coef: Array
    inverse: Array
    variance: Array
    gain: Array
    precision: Array


@dataclass(frozen=True)
class AdaptedTask:
    """Posterior of a new task given a few labelled rows: roles of the latents, mechanisms, predictions.

    Made by `MTLCM.adapt` and `IdentifiableRegressor.adapt`.

    Parameters
    ----------
    causal_probability : array, shape (n_components,)
        Probability that the latent causes the target, rather than being caused by it.
    causal_coef, causal_coef_std : array, shape (n_components,)
        Posterior mean and standard deviation of w, averaged over the sets of causes (zero where the latent is none).
    intercept : float
        Prediction with ``use="causal"`` where all latents are zero.
    spurious_coef, spurious_coef_std : array, shape (n_components,)
        Posterior mean and standard deviation of gamma, if the latent is no cause (zero if it is unrelated).
    spurious_intercept : array, shape (n_components,)
        Expected value of the latent where the target is zero, if it is no cause.
    spurious_std : array, shape (n_components,)
        Standard deviation of the latent given the target, if it is no cause.
    n_samples : int or float
        Labelled rows; where they have weights their effective number, (sum w)^2 / sum w^2.
    trust : array, shape (n_components,)
        Share of each coefficient that predictions with ``use="causal"`` keep, 0 to 1.
    mean_z, std_z : array, shape (n_components,)
        Mean and standard deviation of the latents on these rows.
    mean_y, std_y : float
        Mean and standard deviation of the target on these rows.
    models : TargetModels
        Probable sets of causes.
    transform : callable
        Maps inputs to latents: that of the model `adapt` was called on.

    Notes
    -----
    ``use="all"`` combines the regression on the causes with what the effects say, each weighted by its precision: the
    best prediction as long as rows come from where the labelled ones did. ``use="causal"`` leaves the effects out, and
    so stays valid where they change. Roles are uncertain, and a latent that is an effect after all does the more harm
    there the more it correlates with the target. So coefficients are multiplied by `trust`, which minimises the
    expected squared error after all effects have changed their sign plus its rise over the error before: latents are
    left out whose odds of being a cause rather than an effect are below three, and kept whole where the role is clear.
    With few rows that costs some accuracy where nothing has changed. All of this rests on the roles: with shared inputs
    (wide layout) roles are associations, and "causal" promises nothing beyond a sparser regression.

    Intervals contain noise, uncertain coefficients and uncertain roles. They hold for new rows of the task; those of
    ``use="all"`` not once the effects' mechanism has changed.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> data = make_linear_tasks(n_tasks=61, n_latents=5, mixing="orthogonal", random_state=0)
    >>> old, new = data.tasks < 60, data.tasks == 60
    >>> model = MTLCM(random_state=0).fit(data.H[old], data.y[old], tasks=data.tasks[old])
    >>> task = model.adapt(data.H[new][:20], data.y[new][:20])
    >>> task.predict(data.H[new][20:]).shape
    (80,)
    >>> lower, upper = task.predict_interval(data.H[new][20:], level=0.9, use="causal")
    """

    causal_probability: Array
    causal_coef: Array
    causal_coef_std: Array
    intercept: float
    spurious_coef: Array
    spurious_coef_std: Array
    spurious_intercept: Array
    spurious_std: Array
    n_samples: float
    trust: Array
    mean_z: Array = field(repr=False)
    std_z: Array = field(repr=False)
    mean_y: float = field(repr=False)
    std_y: float = field(repr=False)
    models: TargetModels = field(repr=False)
    transform: Callable[[Any], Array] = field(repr=False)

    def predict(self, X: Any, *, use: Use = "all") -> Array:
        """Predict the target of the task.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            What the model's `transform` takes: features H for `MTLCM`, inputs for `IdentifiableRegressor`.
        use : {"all", "causal"}, default "all"
            Causes and effects, or causes alone.

        Returns
        -------
        array, shape (n_samples,)
            Expected targets.

        Raises
        ------
        ValueError
            If `use` is neither, or the inputs are not those of the model.
        """
        check_use(use)
        location, _ = self._predictive(self.transform(X), use)
        return self.mean_y + self.std_y * (location @ self.models.weight)

    def predict_interval(self, X: Any, *, level: float = 0.9, use: Use = "all") -> Interval:
        """Return intervals that contain the target with the probability given.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            As for `predict`.
        level : float, default 0.9
            Probability, between 0 and 1.
        use : {"all", "causal"}, default "all"
            As for `predict`.

        Returns
        -------
        Interval
            ``lower`` and ``upper``, each of shape (n_samples,), in the units of the target.

        Raises
        ------
        ValueError
            If `level` or `use` is out of range, or the inputs are not those of the model.
        """
        check_use(use)
        if not 0.0 < level < 1.0:
            raise ValueError(f"level is out of range: got {level!r}, expected a number between 0 and 1. Pass 0.9.")
        Z = self.transform(X)
        block = max(1, _MAX_NUMBERS // (len(self.models.weight) * Z.shape[1]))
        ends = [
            _mixture_quantiles(self.models.weight, *self._predictive(rows, use), self.n_samples - 1, level)
            for rows in np.split(Z, range(block, len(Z), block))
        ]
        lower, upper = self.mean_y + self.std_y * np.concatenate(ends, axis=1)
        return Interval(lower, upper)

    def _predictive(self, Z: Array, use: Use) -> tuple[Array, Array]:
        """Location and squared scale for each row and set of causes, target in units of its standard deviation."""
        models, n = self.models, self.n_samples
        centred = (Z - self.mean_z) / self.std_z
        location = centred @ models.coef.T
        spread = np.einsum("nsi,ni->ns", np.einsum("ni,sij->nsj", centred, models.inverse), centred)
        variance = models.variance * (1.0 + 1.0 / n + spread)
        if use == "causal":
            # What is left out of the regression counts as noise: latents of a set are independent.
            left_out = ((1.0 - self.trust) * models.coef) ** 2
            return centred @ (self.trust * models.coef).T, variance + left_out.sum(axis=1)
        combined, precision = location, 1.0 / variance
        square = np.ones((len(Z), 1))
        # The error of gamma weighs in with the target itself: once at its mean square, once at the first answer.
        for _ in range(2):
            inflation = 1.0 + (1.0 + square) / n
            precision = 1.0 / variance + models.precision / inflation
            combined = (location / variance + centred @ models.gain.T / inflation) / precision
            square = ((combined @ models.weight) ** 2)[:, None]
        return combined, 1.0 / precision


def check_use(use: Any) -> None:
    """Raise unless `use` is one of the two."""
    if use not in ("all", "causal"):
        raise ValueError(f"use is unknown: got {use!r}, expected 'all' or 'causal'. Choose one of the two.")


def _mixture_quantiles(weight: Array, location: Array, variance: Array, freedom: float, level: float) -> Array:
    """Ends of central intervals of mixtures of Student's t, shape (2, n_rows), by bisection."""
    scale = np.sqrt(variance)
    ends = []
    for p in (0.5 - 0.5 * level, 0.5 + 0.5 * level):
        single = location + scale * stdtrit(freedom, p)
        low, high = single.min(axis=1), single.max(axis=1)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            above = stdtr(freedom, (middle[:, None] - location) / scale) @ weight > p
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        ends.append(0.5 * (low + high))
    return np.stack(ends)
