"""What a fitted MTLCM is used for: latents, predictions, new tasks, likelihood of rows, samples, refits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, RandomState
from identirep.accumulation import as_floats
from identirep.known_tasks import known_task_data
from identirep.missing import as_labels
from identirep.moments import TaskMoments
from identirep.mtlcm.fitted import FittedLatents
from identirep.mtlcm.model import causal_regression
from identirep.mtlcm.new_tasks import AdaptedTask, Use, adapt_task, check_new_task, check_use
from identirep.mtlcm.trust import BootstrapResult, Certificate, bootstrap, certificate_html
from identirep.naming import LatentTransformer
from identirep.parameters import Choice, Whole, check_arguments
from identirep.seeds import as_generator
from identirep.serving import Exportable
from identirep.validation import check_features

if TYPE_CHECKING:
    from identirep.serving import Graph

__all__ = ["CertifiedLatents", "UsableLatents", "within_task_correlations"]


def within_task_correlations(model: FittedLatents) -> Array:
    """Correlation of latents and targets within each task, from moments, shape (n_tasks, n_components)."""
    Z = model.moments_.map_features(model.components_)
    variance = np.einsum("gii->gi", Z.cov_h)[Z.group] * Z.var_y[:, None]
    return np.asarray(Z.cov_hy / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny)))


class CertifiedLatents(Exportable, LatentTransformer):
    """Base of all whose `transform` returns latents, with a certificate; they can be exported.

    Notebooks show the certificate of a fitted one below the diagram of scikit-learn.
    """

    if TYPE_CHECKING:

        @property
        def certificate_(self) -> Certificate: ...

    @property
    def _repr_html_(self) -> Callable[[], str]:
        # Asked for by notebooks only if `sklearn.set_config` has not switched diagrams off.
        diagram = super()._repr_html_
        return lambda: diagram() + self._certificate_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what a notebook may show: that of scikit-learn, and the certificate."""
        bundle = dict(super()._repr_mimebundle_(**kwargs))
        if "text/html" in bundle:
            bundle["text/html"] += self._certificate_html()
        return bundle

    def _certificate_html(self) -> str:
        try:
            check_is_fitted(self)
        except NotFittedError:
            return ""
        found = self.certificate_
        return certificate_html(found.verdict, found.reasons, found.comes_back, list(self.get_feature_names_out()))


class UsableLatents(FittedLatents, CertifiedLatents):
    """Base of `MTLCM`: its methods that need a fit."""

    def transform(self, X: Any) -> Array:
        """Return the latents of features: the posterior mean of z given h.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.

        Returns
        -------
        array, shape (n_samples, n_components)
            ``(X - mean_) @ components_.T``; a data frame if `set_output` asks for one.
        """
        return self._latents_of(X)

    def _latents_of(self, X: Any) -> Array:
        """Return the latents as an array, whatever `set_output` says."""
        return self._map(check_features(self, X))

    def _map(self, H: NDArray[Any]) -> Array:
        return np.asarray((H - self.mean_) @ self.components_.T, dtype=np.float64)

    def predict(self, X: Any, *, use: Use = "all") -> Array:
        """Predict the targets of the fitted tasks from the latents.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        use : {"all", "causal"}, default "all"
            "all" regresses each target on all latents, its effects included. "causal" regresses it on its most
            probable causes alone, which stays valid where the effects change. That rests on the roles: with shared
            inputs they are associations, and nothing is promised.

        Returns
        -------
        array, shape (n_samples, n_tasks)
            Predicted targets.

        Raises
        ------
        ValueError
            If `use` is neither, or `X` does not have the features of the fit.
        """
        check_use(use)
        Z = self._latents_of(X)
        coef, intercept = self._heads(use)
        return np.asarray(Z @ coef.T + intercept)

    def _heads(self, use: Use) -> tuple[Array, Array]:
        """Coefficients (T, D) and intercepts (T,) of the regression of each target on all latents, or on its causes."""
        latents = self._latents()
        if use == "causal":
            coef = self.causal_coef_
        else:
            everything = np.ones(latents.cov_hy.shape, dtype=bool)
            covariance = latents.cov_h[latents.group]
            if (curves := self.moments_._curves) is not None:
                # Whoever predicts has the features as they are.
                covariance = covariance + self.components_ @ curves @ self.components_.T
            coef = causal_regression(covariance, latents.cov_hy, everything)
        return coef, latents.mean_y - np.einsum("ti,ti->t", coef, latents.mean_h[latents.group])

    def _graph(self) -> Graph:
        from torch import nn

        from identirep.serving import Affine, Graph, ServedModel

        coef, intercept = self._heads("all")
        latents = Affine(self.mean_, self.components_)
        predictions = Affine(self.mean_, coef @ self.components_, intercept)
        deviation = np.sqrt(np.mean(np.einsum("gii->gi", self.moments_.cov_h), axis=0))
        rows = self.mean_ + np.random.default_rng(0).normal(size=(16, len(self.mean_))) * deviation
        return Graph(ServedModel(nn.Identity(), latents, predictions), rows, self._scales_of_graph())

    def _scales_of_graph(self) -> tuple[Array, Array]:
        """Standard deviations of latents and of targets within tasks."""
        Z = self.moments_.map_features(self.components_, -self.components_ @ self.mean_)
        return np.sqrt(np.mean(np.einsum("gii->gi", Z.cov_h), axis=0)), np.sqrt(Z.var_y)

    def _names_of_graph_inputs(self) -> NDArray[Any] | None:
        return getattr(self, "feature_names_in_", None)

    def _r2_of_moments(self, moments: TaskMoments) -> Array:
        """R^2 of the predictions of rows with these moments, (T,); NaN for tasks without two labels that differ."""
        coef, intercept = self._heads("all")
        place = {name: t for t, name in enumerate(moments.task_names)}
        own = np.array([t for t, name in enumerate(self.task_names_) if name in place], dtype=np.int64)
        of = moments.select_tasks([place[self.task_names_[t]] for t in own])
        of = of.map_features(self.components_, -self.components_ @ self.mean_)
        w, S, s = coef[own], of.cov_h[of.group], of.cov_hy
        bias = of.mean_y - intercept[own] - np.einsum("ti,ti->t", w, of.mean_h[of.group])
        residual = of.var_y - 2.0 * np.einsum("ti,ti->t", w, s) + np.einsum("ti,tij,tj->t", w, S, w) + bias**2
        varies = (of.row_counts[of.group] > 1) & (of.var_y > 1e-24 * np.maximum(of.mean_y**2, 1e-300))
        r2 = np.full(len(coef), np.nan)
        r2[own] = np.where(varies, 1.0 - residual / np.where(varies, of.var_y, 1.0), np.nan)
        return r2

    def adapt(self, X: Any, y: Any, *, sample_weight: ArrayLike | None = None) -> AdaptedTask:
        """Learn a new task from few labelled rows, the latents held as they are.

        The roles of the latents, the coefficients and their uncertainty are a posterior in closed form; the prior is
        what the tasks of the fit have in common. About 20 rows do for ten latents, and fewer rows than latents are no
        obstacle: the answer is then closer to the prior.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples,)
            Target of the new task, in any unit; rows with NaN are left out. At least two labels that differ.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0: what it says relative to the others. Whatever counts rows counts the
            effective number (sum w)^2 / sum w^2, at least 2. Default: all alike.

        Returns
        -------
        AdaptedTask
            Roles, coefficients, predictions and intervals. This model is not changed.

        Raises
        ------
        ValueError
            If the rows are not valid; all faults are listed.
        """
        check_is_fitted(self)
        rows, target, weight = check_new_task(self, X, y, name="X", sample_weight=sample_weight)
        moments = TaskMoments.from_arrays(self._map(rows), target[:, None], sample_weight=weight)
        return adapt_task(moments, self._latent_noise(), self.posterior_.prior, self._latents_of)

    def inverse_transform(self, Z: Any) -> Array:
        """Return the expected features of latents.

        Parameters
        ----------
        Z : array-like, shape (n_samples, n_components)
            Latents.

        Returns
        -------
        array, shape (n_samples, n_features)
            ``Z @ mixing_.T + mean_``. Undoes `transform` exactly without noise and with as many latents as features.
        """
        check_is_fitted(self)
        Z = as_floats(Z, "Z").astype(np.float64)
        if Z.ndim != 2 or Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has the wrong shape: got {Z.shape}, expected (n_samples, {self.n_components_}). "
                "Pass latents from transform."
            )
        return np.asarray(Z @ self.mixing_.T + self.mean_)

    def score(self, X: Any, y: Any, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log marginal likelihood log p(h | y, t) of labelled rows.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets of tasks of the fit, in either layout.
        tasks : array-like, optional
            As for `fit`.
        sample_weight : array-like, shape (n_samples,), optional
            As for `fit`.

        Returns
        -------
        float
            Mean over labels; equal to `log_likelihood_` on the data of the fit, unless `row_weights_` weigh its rows.
            NaN if there is no label of a task of the fit.

        Raises
        ------
        ValueError
            If a task was not seen in `fit`.
        """
        check_is_fitted(self)
        data = known_task_data(self, X, y, tasks, sample_weight=sample_weight)
        if data.task_index is None:
            moments = TaskMoments.from_arrays(data.X, data.targets, sample_weight=data.weights)
        else:
            moments = TaskMoments.from_long(data.X, data.targets, data.task_index, sample_weight=data.weights)
        # Both layouts name the tasks by their position among those of the fit.
        moments = moments.select_tasks(np.flatnonzero(moments.n_samples > 0))
        if not moments.n_tasks:
            return float("nan")
        index = np.array(moments.task_names, dtype=np.int64)
        return float(moments.weights @ self._task_log_likelihoods(moments, index))

    def sample(
        self,
        n_samples: int = 100,
        *,
        random_state: RandomState = None,
    ) -> Bunch:
        """Draw rows from the fitted causal model, each latent in its most probable role.

        Parameters
        ----------
        n_samples : int, default 100
            Rows for each task.
        random_state : int, Generator, RandomState or None, default None
            Source of the draws.

        Returns
        -------
        Bunch
            ``H`` (n_tasks * n_samples, n_features), ``y`` and ``tasks`` (n_tasks * n_samples,) in the long layout, and
            the latents ``Z``.
        """
        check_is_fitted(self)
        check_arguments(n_samples=(n_samples, Whole()))
        rng = as_generator(random_state)
        Z = self._latents()
        T, D = Z.n_tasks, Z.n_features
        causal = self.posterior_.best
        mean, variance = Z.mean_h[Z.group], np.einsum("gii->gi", Z.cov_h)[Z.group]
        causes = mean[:, None] + np.sqrt(variance)[:, None] * rng.normal(size=(T, n_samples, D))
        residual = np.maximum(Z.var_y - np.einsum("ti,ti->t", self.causal_coef_, Z.cov_hy), 0.0)
        y = np.einsum("tni,ti->tn", causes - mean[:, None], self.causal_coef_) + Z.mean_y[:, None]
        y += np.sqrt(residual)[:, None] * rng.normal(size=y.shape)
        effects = mean[:, None] + self.spurious_coef_[:, None] * (y - Z.mean_y[:, None])[..., None]
        effects += np.sqrt(self.fit_.variances)[:, None] * rng.normal(size=effects.shape)
        latents = np.where(causal[:, None], causes, effects).reshape(-1, D)
        H = latents @ self.mixing_.T + self.mean_ + self.noise_std_ * rng.normal(size=(T * n_samples, len(self.mean_)))
        tasks = np.repeat(as_labels(self.task_names_), n_samples)
        return Bunch(H=H, y=y.reshape(-1), tasks=tasks, Z=latents)

    def bootstrap(
        self,
        over: Literal["tasks", "samples"] = "tasks",
        *,
        n_refits: int = 20,
        random_state: RandomState = None,
    ) -> BootstrapResult:
        """Refit the model on resampled tasks or samples and compare the axes.

        Parameters
        ----------
        over : {"tasks", "samples"}, default "tasks"
            "tasks" gives each task a random exponential weight (Bayesian bootstrap): what other tasks would do.
            "samples" draws the moments of each task anew from their law for Gaussian rows (parametric bootstrap): what
            other rows would do. Both work on moments alone.
        n_refits : int, default 20
            Number of refits.
        random_state : int, Generator, RandomState or None, default None
            Source of the draws.

        Returns
        -------
        BootstrapResult
            Agreement for each refit and latent.

        Raises
        ------
        ValueError
            If `over` is unknown or `n_refits` less than one.
        """
        check_is_fitted(self)
        check_arguments(over=(over, Choice("tasks", "samples")), n_refits=(n_refits, Whole()))
        rng = as_generator(random_state)
        return bootstrap(*self._counted(), over, int(n_refits), rng)
