"""What follows from a fitted model: roles, coefficients, likelihood, certificate; computed when first asked for."""

from __future__ import annotations

from collections.abc import Hashable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray
from identirep.known_tasks import left_out_meta, restore_left_out
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import (
    LatentFit,
    Starts,
    fit_in_units,
    fit_on,
    like_units,
    moments_in_units,
    mostly_shared,
    nearest_fit,
)
from identirep.mtlcm.data import Examined
from identirep.mtlcm.model import (
    causal_regression,
    gaussian_log_likelihood,
    joint_covariances,
    joint_model_covariances,
    model_covariances,
    residual_second_moments,
)
from identirep.mtlcm.roles import (
    CausalPosterior,
    CausalStructure,
    causal_posterior,
    causal_structure,
    correlations,
    noise_given_target,
)
from identirep.mtlcm.trust import Certificate, ComesBack, certify, check_rows, latent_moments
from identirep.naming import Names, stored_names
from identirep.persistence import prefixed, taken
from identirep.shapes import FINITE, SIZE, Damage, check_shapes, check_values
from identirep.target_kinds import stored_kinds

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FittedLatents"]

_COMPUTED_WHEN_ASKED = (
    "posterior_",
    "causal_coef_",
    "spurious_coef_",
    "log_likelihood_",
    "certificate_",
    "structure_",
    "_formulas",
    "_comes_back",
)
# What is stored, and its shape: latents, features, tasks; starts.
_ARRAYS = {"unmixing": "DK", "mixing": "KD", "components": "DK", "variances": "TD"}
_VALUES = {"unmixing": FINITE, "mixing": FINITE, "components": FINITE, "variances": SIZE}
# Share by which numbers of one fit may be apart: far more than rounding, far less than what somebody makes up.
_APART = 1e-3
_STARTS = {"criterion": "S", "gradient_norm": "S", "n_iter": "S", "converged": "S", "agreement": "SD"}


class FittedLatents:
    """Base of `MTLCM`: the state of a fit, and what is derived from it."""

    n_features_in_: int
    certificate_seed_: int

    def _store(self, moments: TaskMoments, fit: LatentFit, examined: Examined | None = None) -> None:
        for name in _COMPUTED_WHEN_ASKED:
            self.__dict__.pop(name, None)
        self._examined = Examined() if examined is None else examined
        self._given_names: Names = {}
        self.moments_ = self.accumulated_ = moments
        self.row_weights_ = moments.row_weights_
        self.target_kinds_, self.effect_degree_ = moments.target_kinds_, moments.effect_degree_
        self.task_names_: tuple[Hashable, ...] = moments.task_names
        self.left_out_tasks_: dict[Hashable, str] = {}
        self._given_tasks = moments.task_names
        self.fit_ = fit
        self.n_components_ = len(fit.unmixing)
        self.mixing_, self.components_ = fit.mixing, fit.components
        self._set_origin(np.zeros(self.n_components_))
        self.noise_std_ = float(np.sqrt(fit.noise_variance))
        # One latent needs no iteration; scikit-learn expects at least one.
        self.n_iter_ = max(1, int(fit.starts.n_iter[fit.starts.best]))
        self.converged_ = bool(fit.starts.converged[fit.starts.best])
        self.start_criteria_ = fit.starts.criterion

    def _turn_to(self, start: Array, *, max_iter: int, tol: float) -> bool:
        """Take the optimum that axes `start` (D, K) lead to, if it is another one and the targets do not say worse."""
        fit, moments = self._in_like_units(self.moments_)
        units = like_units(self.moments_)
        found = nearest_fit(fit, moments, start if units is None else start * units, max_iter=max_iter, tol=tol)
        if found is None:
            return False
        self._store(self.moments_, found if units is None else fit_in_units(found, 1.0 / units), self._examined)
        return True

    @property
    def _chooses_axes(self) -> bool:
        """Whether axes, of square features without noise, are chosen and not identified: tasks share their rows."""
        fit = self.fit_
        square = fit.unmixing.shape[0] == fit.unmixing.shape[1] and fit.noise_variance == 0.0
        return square and fit.prior == "factorized" and mostly_shared(self.moments_)

    def _move_to(self, moments: TaskMoments, unmixing: Array) -> None:
        """Take given axes (D, D) of other features without noise, of the same rows and tasks."""
        scale = np.sqrt(np.einsum("ij,jk,ik->i", unmixing, moments.pooled_covariance(), unmixing))
        self._store(moments, fit_on(self.fit_, moments, unmixing / scale[:, None]), self._examined)

    def _set_origin(self, origin: Array) -> None:
        """Let latents have this mean on the rows of the fit."""
        self._origin = origin
        self.mean_ = self.moments_.pooled_mean() - np.linalg.pinv(self.components_) @ origin

    def _in_axes(self, order: IntArray, factor: Array, origin: Array) -> Self:
        """Return this fit with latents ``factor * z[order] + origin``, and without names."""
        found, fit = copy(self), self.fit_
        moved = replace(
            fit,
            unmixing=np.ascontiguousarray(fit.unmixing[order] * factor[:, None]),
            components=np.ascontiguousarray(fit.components[order] * factor[:, None]),
            mixing=np.ascontiguousarray(fit.mixing[:, order] / factor),
            variances=np.ascontiguousarray(fit.variances[:, order] * factor**2),
            starts=replace(fit.starts, agreement=np.ascontiguousarray(fit.starts.agreement[:, order])),
        )
        found._store(self.moments_, moved, self._examined)
        found.accumulated_ = self.accumulated_
        found.left_out_tasks_, found._given_tasks = self.left_out_tasks_, self._given_tasks
        found._set_origin(factor * self._origin[order] + origin)
        if "_comes_back" in self.__dict__:
            found.__dict__["_comes_back"] = self._comes_back._in_order(order)
        return found

    def _names_of_latents(self) -> Names:
        check_is_fitted(self, "fit_")
        return self._given_names

    def _set_names(self, names: Names) -> None:
        self._given_names = names
        self.__dict__.pop("structure_", None)

    @cached_property
    def posterior_(self) -> CausalPosterior:
        """Posterior of the roles of all latents in all tasks."""
        check_is_fitted(self, "fit_")
        latents = self.moments_.map_features(self.components_)
        # Tasks on the same rows have the same variances, which then say nothing of roles.
        variances = np.einsum("gii->gi", latents.cov_h)[latents.group] if latents._has_own_rows else None
        joint = joint_covariances(latents)
        noise = noise_given_target(self._latent_noise(), joint) if self.noise_std_ > 0.0 else None
        return causal_posterior(correlations(joint), latents.n_samples, variances, noise_covariance=noise)

    @property
    def causal_probability_(self) -> Array:
        """Probability that the latent causes the target, rather than being caused by it."""
        return self.posterior_.probability

    @cached_property
    def causal_coef_(self) -> Array:
        """Regression of each target on its most probable causes."""
        latents = self._latents()
        return causal_regression(latents.cov_h[latents.group], latents.cov_hy, self.posterior_.best)

    @cached_property
    def spurious_coef_(self) -> Array:
        """Regression of each effect on the target."""
        latents = self._latents()
        return np.where(self.posterior_.best, 0.0, latents.cov_hy / latents.var_y[:, None])

    @cached_property
    def log_likelihood_(self) -> float:
        """Mean log marginal likelihood of a labelled row of the fit."""
        check_is_fitted(self, "fit_")
        moments = self.moments_
        return float(moments.weights @ self._task_log_likelihoods(moments, np.arange(moments.n_tasks)))

    @cached_property
    def certificate_(self) -> Certificate:
        """Which axes can be trusted, and why; features given."""
        return self._formulas.checked(self._comes_back)

    @cached_property
    def _formulas(self) -> Certificate:
        """What formulas and reweighted tasks say of the axes, not checked on rows."""
        check_is_fitted(self, "fit_")
        rng = np.random.default_rng(self.certificate_seed_)
        return certify(*self._counted(), rng, rows_examined=self._examined.rows)

    @cached_property
    def _comes_back(self) -> ComesBack:
        """How far the axes come back on other rows, features given."""
        check_is_fitted(self, "fit_")
        rng = np.random.default_rng([self.certificate_seed_, 1])
        tasks = self._examined.counted
        halves = (
            self._examined.halves if tasks is None else [half.select_tasks(tasks) for half in self._examined.halves]
        )
        halves = tuple(self._in_like_units(half)[1] for half in halves)
        fit, moments, causal = self._counted()
        found = check_rows(fit, moments, causal, halves, rng)
        # What is known from them is known for good.
        self._examined = self._examined._replace(halves=())
        return found

    @cached_property
    def structure_(self) -> CausalStructure:
        """Roles of the latents in each task, and effect sizes with standard errors."""
        check_is_fitted(self, "fit_")
        joint = joint_covariances(self.moments_.map_features(self.components_))
        scale = np.sqrt(np.einsum("tii->ti", joint))
        return causal_structure(
            self.posterior_, correlations(joint), scale, self.moments_.n_samples, self.task_names_, self._given_names
        )

    def _in_like_units(self, moments: TaskMoments) -> tuple[LatentFit, TaskMoments]:
        """Return the fit, and moments of its features, in units that keep the digits of all of them."""
        units = like_units(self.moments_)
        if units is None:
            return self.fit_, moments
        return fit_in_units(self.fit_, units), moments_in_units(moments, units)

    def _counted(self) -> tuple[LatentFit, TaskMoments, BoolArray]:
        """Return fit, moments and most probable roles of the tasks that the axes follow from, in like units."""
        fit, moments = self._in_like_units(self.moments_)
        tasks, causal = self._examined.counted, self.posterior_.best
        if tasks is None:
            return fit, moments, causal
        return replace(fit, variances=fit.variances[tasks]), moments.select_tasks(tasks), causal[tasks]

    @property
    def foreign_tasks_(self) -> tuple[Hashable, ...]:
        """Tasks whose features mix the latents otherwise than those of most tasks: they do not count for the axes."""
        return self._tasks_at(self._examined.foreign)

    @property
    def repeated_tasks_(self) -> tuple[Hashable, ...]:
        """Tasks with the rows of an earlier one, which count once."""
        return self._tasks_at(self._examined.repeated)

    def _tasks_at(self, which: BoolArray | None) -> tuple[Hashable, ...]:
        check_is_fitted(self, "fit_")
        return () if which is None else tuple(self.task_names_[t] for t in np.flatnonzero(which))

    def _latent_noise(self) -> Array:
        """Covariance of the observation noise in the latents."""
        return self.noise_std_**2 * self.components_ @ self.components_.T

    def _latents(self) -> TaskMoments:
        """Moments of the latents and the targets of the fit."""
        check_is_fitted(self, "fit_")
        return self.moments_.map_features(self.components_, -self.components_ @ self.mean_)

    def _task_log_likelihoods(self, moments: TaskMoments, index: IntArray) -> Array:
        """Mean log-likelihood of the rows of `moments`, whose tasks are those at `index` in the fit."""
        own = self.moments_.select_tasks(index)
        mean_h = own.mean_h[own.group]
        if self.fit_.prior == "factorized":
            second = residual_second_moments(moments, mean_h, own.mean_y, own.cov_hy / own.var_y[:, None])
            Sigma = model_covariances(self.mixing_, self.fit_.variances[index], self.fit_.noise_variance)
            return gaussian_log_likelihood(second, Sigma)
        bias = np.concatenate([moments.mean_h[moments.group] - mean_h, (moments.mean_y - own.mean_y)[:, None]], axis=1)
        second = joint_covariances(moments) + bias[:, :, None] * bias[:, None, :]
        latents = latent_moments(self.fit_, self.moments_).select(index)
        causal = self.posterior_.best[index]
        return gaussian_log_likelihood(
            second, joint_model_covariances(self.mixing_, latents, causal, self.fit_.noise_variance)
        )

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the state of the fit: arrays, and what JSON can hold."""
        moments, moments_meta = self.moments_.to_arrays()
        moments_curves = self.moments_._curves
        arrays = prefixed("moments", moments)
        arrays |= prefixed("fit", {name: getattr(self.fit_, name) for name in _ARRAYS})
        arrays |= prefixed("starts", vars(self.fit_.starts))
        meta: dict[str, Any] = {
            "moments": moments_meta,
            "prior": self.fit_.prior,
            "noise_variance": self.fit_.noise_variance,
            "certificate_seed": self.certificate_seed_,
            "latent_names": {str(i): name for i, name in self._given_names.items()},
        }
        if self._examined.rows:
            meta["rows_examined"] = True
        if self.target_kinds_ is not None:
            meta["target_kinds"], meta["effect_degree"] = list(self.target_kinds_), self.effect_degree_
        if moments_curves is not None:
            arrays["curves"] = moments_curves
        arrays |= prefixed("tasks", self._examined.to_arrays())
        if self._examined.halves or "_comes_back" in self.__dict__:
            # Moments of all rows cannot be split again.
            comes_back, meta["comes_back"] = self._comes_back._to_arrays()
            arrays |= prefixed("comes_back", comes_back)
        if self._origin.any():
            arrays["origin"] = self._origin
        if self.accumulated_ is not self.moments_:
            accumulated, meta["accumulated"] = self.accumulated_.to_arrays()
            arrays |= prefixed("accumulated", accumulated)
        return arrays, meta | left_out_meta(self)

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Self:
        """Take over a state of `_to_arrays`; parameters are those of the constructor."""
        moments = TaskMoments.from_parts(taken("moments", arrays), meta["moments"])
        sizes = check_shapes(taken("fit", arrays), _ARRAYS, K=moments.n_features, T=moments.n_tasks)
        check_shapes(taken("starts", arrays), _STARTS, D=sizes["D"])
        check_values(taken("fit", arrays), _VALUES)
        fit = LatentFit(
            prior=meta["prior"],
            **taken("fit", arrays),
            noise_variance=float(meta["noise_variance"]),
            starts=Starts(**taken("starts", arrays)),
        )
        self.n_features_in_ = moments.n_features
        self.certificate_seed_ = int(meta["certificate_seed"])
        if self.certificate_seed_ < 0 or not 0 <= fit.noise_variance < np.inf:
            raise Damage(f"noise of variance {fit.noise_variance} and a seed of {self.certificate_seed_}")
        if fit.prior not in ("factorized", "exact") or not sizes["D"]:
            raise Damage(f"a prior {fit.prior!r} of {sizes['D']} latents")
        _check_together(fit, moments)
        tasks = taken("tasks", arrays)
        if tasks:
            check_shapes(tasks, {"foreign": "T", "repeated": "T"}, T=moments.n_tasks)
        moments.target_kinds_ = stored_kinds(meta.get("target_kinds"), moments.n_tasks)
        moments.effect_degree_ = int(meta.get("effect_degree", 1))
        if "curves" in arrays:
            check_shapes(arrays, {"curves": "TKK"}, T=moments.n_tasks, K=moments.n_features)
            check_values(arrays, {"curves": FINITE})
            moments._curves = arrays["curves"]
        rows_examined = bool(meta.get("rows_examined", False))
        self._store(moments, fit, Examined((), rows_examined, tasks.get("foreign"), tasks.get("repeated")))
        self._given_names = stored_names(meta.get("latent_names"), self.n_components_)
        if "origin" in arrays:
            check_shapes(arrays, {"origin": "D"}, D=self.n_components_)
            check_values(arrays, {"origin": FINITE})
            self._set_origin(arrays["origin"])
        if "comes_back" in meta:
            self.__dict__["_comes_back"] = ComesBack._of_arrays(taken("comes_back", arrays), meta["comes_back"])
        if "accumulated" in meta:
            self.accumulated_ = TaskMoments.from_parts(taken("accumulated", arrays), meta["accumulated"])
        restore_left_out(self, meta)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        # Not any attribute will do: accumulated moments alone are no fit.
        return "fit_" in self.__dict__


def _check_together(fit: LatentFit, moments: TaskMoments) -> None:
    """Raise unless axes are the inverse of the mixing, of a size that goes with the moments, and both are of a fit."""
    if not (np.all(moments.n_samples > 0) and np.all(moments.scatter_y > 0.0)):
        raise Damage("tasks without labels, or whose labels do not vary")
    # The best of several is none of them if one is not a number.
    if not np.isfinite(fit.starts.criterion[fit.starts.best]):
        raise Damage("starts of which none is the best")
    product, size = fit.unmixing @ fit.mixing, np.abs(fit.unmixing) @ np.abs(fit.mixing)
    if not np.all(np.abs(product - np.eye(len(product))) <= _APART * size):
        raise Damage("axes that do not undo the mixing")
    spread, seen = (np.einsum("dk,gkl,dl->gd", B, moments.cov_h, B) for B in (fit.unmixing, fit.components))
    most = spread.max(axis=0) / _APART
    if not (np.all(fit.variances <= most) and np.all(seen <= most) and np.all(seen.max(axis=0) > 0.0)):
        raise Damage("latents of another size than the moments have")
