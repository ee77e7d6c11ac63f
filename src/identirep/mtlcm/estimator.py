"""MTLCM: canonical latents from features and targets, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, RandomState
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import fit_latents
from identirep.mtlcm.checks import check_moments, check_parameters, moments_faults
from identirep.mtlcm.fitted import FittedLatents
from identirep.mtlcm.new_tasks.adapt import adapt_task, check_new_task
from identirep.mtlcm.new_tasks.task import AdaptedTask, Use, check_use
from identirep.mtlcm.roles.sets import causal_regression
from identirep.mtlcm.trust.refits import BootstrapResult, bootstrap_fit
from identirep.seeds import as_generator
from identirep.validation import TaskData, check_features, check_task_data

__all__ = ["MTLCM"]


class MTLCM(TransformerMixin, FittedLatents, BaseEstimator):
    r"""Multi-task linear causal model: latents identified up to order, sign and scale.

    Features mix latents linearly, and in task t each latent either causes the target or is caused by it:

    .. math::

        h = A z + \mathcal N(0, o^2 I), \qquad
        y = \sum_{i \in C_t} w_{ti} z_i + b_t + \mathcal N(0, s_t^2), \qquad
        z_i \mid y \sim \mathcal N(\gamma_{ti} y, q_{ti}) \;\; (i \notin C_t).

    `fit` maximises the factorised marginal likelihood p(h | y, t) over A, with the variances of every task profiled
    out. Without observation noise that is Pham's approximate joint diagonalisation of the tasks' covariances given
    the target; here it reads `TaskMoments` alone, so that its cost does not depend on the number of samples.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the number of features K. With D < K the latents lie in the span of the leading
        principal axes of the pooled within-task covariance, and what is left is observation noise.
    prior : {"factorized", "exact"}, default "factorized"
        Likelihood. The factorised one, p(h | y, t), is the paper's: it takes latents as independent given the target.
        The exact one, p(h, y | t), knows that observing the target couples its causes: no bias at low target noise,
        and latents are told apart even where spurious and causal ones vary alike. It takes seconds instead of
        milliseconds. Only the factorised one has observation noise inside: where there is noise, both find about the
        same axes and the factorised one tells them apart, its axes are kept.
    spurious_std : float, optional
        Standard deviation of spurious latents given the target, the same in all tasks, in units in which causal latents
        have 1. Default: every latent has a variance of its own in each task, learnt.
    noise_std : float or "estimate", default "estimate"
        Standard deviation o of the observation noise, in the units of the features. "estimate" maximises the likelihood
        (0 unless a likelihood-ratio test prefers noise, and 0 for shared inputs, where noise cannot be told from
        latents).
    n_init : int or "auto", default "auto"
        Number of starts of the solver; "auto" takes 5, and with shared inputs, where starts are cheap and local optima
        occur, 20 to 100, until five of them end in the best optimum.
    max_iter : int, default 500
        Largest number of iterations of a start.
    tol : float, default 1e-7
        Largest entry of the relative gradient at convergence; scale-free.
    random_state : int, Generator, RandomState or None, default None
        Source of the random starts. The answer depends on it only where starts end in different optima.

    Attributes
    ----------
    mixing_ : array, shape (n_features, n_components)
        A, for latents of unit pooled within-task variance.
    components_ : array, shape (n_components, n_features)
        Linear map of `transform`: posterior mean of z given h; the inverse of A without noise.
    mean_ : array, shape (n_features,)
        Mean of the features.
    noise_std_ : float
        Observation noise, given or estimated.
    causal_probability_ : array, shape (n_tasks, n_components)
        Probability that the latent causes the target, rather than being caused by it.
    causal_coef_ : array, shape (n_tasks, n_components)
        w: regression of the target on its most probable causes; 0 for the other latents.
    spurious_coef_ : array, shape (n_tasks, n_components)
        gamma: regression of each effect on the target; 0 for causes.
    log_likelihood_ : float
        Mean log marginal likelihood of a labelled row: log p(h | y, t), with the exact prior log p(h, y | t) in the
        most probable roles.
    certificate_ : Certificate
        Which axes can be trusted; computed when first asked for.
    structure_ : CausalStructure
        Probability of cause, effect and unrelated for each task and latent, effect sizes with standard errors, as
        arrays, table and graphs; computed when first asked for.
    moments_ : TaskMoments
        What the model was fitted to.
    accumulated_ : TaskMoments
        All rows that `partial_fit` was given; `moments_`, unless they do not suffice for a fit.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_components_ : int
        Number of latents.
    n_features_in_ : int
        Number of features K.
    n_iter_ : int
        Iterations of the best start.
    converged_ : bool
        Whether the best start reached `tol`, or the rounding error of the criterion left nothing to gain.
    start_criteria_ : array, shape (n_starts,)
        Criterion that each start ended with; lower is better.

    Notes
    -----
    Identifiability: order, sign and scale of latents are free. They are fixed from the targets (falling mean squared
    correlation, positive correlation with the target that correlates most, unit variance), so that two fits that find
    the same axes also name them alike, up to ties. Not guaranteed: where spurious and causal latents vary alike given
    the target the criterion is flat; `certificate_` says so.

    Tasks with fewer rows than five times D get a twentieth of a pseudo-row of the pooled covariance, which keeps the
    optimum finite.

    Cost: O(n_tasks D^3) an iteration, O(n_tasks D^2) with shared inputs. Roles, coefficients, likelihood and the
    certificate are computed when first asked for.

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging Task Structures for Improved Identifiability in
    Neural Network Representations", TMLR 2024, arXiv:2306.14861. D. T. Pham, "Joint approximate diagonalization of
    positive definite Hermitian matrices", SIAM J. Matrix Anal. Appl. 22 (2001) 1136-1152.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.metrics import mcc_score
    >>> data = make_linear_tasks(n_tasks=100, n_latents=5, mixing="orthogonal", random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    >>> bool(mcc_score(model.transform(data.H), data.Z) > 0.99)
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        prior: Literal["factorized", "exact"] = "factorized",
        spurious_std: float | None = None,
        noise_std: float | Literal["estimate"] = "estimate",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 500,
        tol: float = 1e-7,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.prior = prior
        self.spurious_std = spurious_std
        self.noise_std = noise_std
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, tasks: ArrayLike | None = None) -> MTLCM:
        """Fit the model to features and targets.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets. Wide layout: one column for each task, NaN where the label is missing. Long layout: one target for
            each row, with `tasks`.
        tasks : array-like, optional
            Long layout: label of each row's task. Wide layout: names of the columns of `y`.

        Returns
        -------
        MTLCM
            The fitted model.

        Raises
        ------
        ValueError
            If the data or the parameters are not valid; all faults are listed.
        """
        data = check_task_data(X, y, tasks, estimator=self, name="X")
        return self._fit(_moments_of(data))

    def fit_moments(self, moments: TaskMoments) -> MTLCM:
        """Fit the model to moments, wherever they come from.

        Parameters
        ----------
        moments : TaskMoments
            Moments of features and targets.

        Returns
        -------
        MTLCM
            The same model that `fit` finds on the rows behind the moments.

        Raises
        ------
        ValueError
            If the moments or the parameters are not valid; all faults are listed.
        """
        self.n_features_in_ = moments.n_features
        return self._fit(moments)

    def partial_fit(self, X: Any, y: Any, tasks: ArrayLike | None = None) -> MTLCM:
        """Add a batch of rows and fit the model to all rows so far.

        Only moments are kept, so that batches can be of any size and number. After `fit` the batch is added to its
        rows.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets, in the layouts of `fit`.
        tasks : array-like, optional
            As for `fit`. New tasks may appear where tasks are named; without names, the columns of `y` are the tasks
            so far.

        Returns
        -------
        MTLCM
            Fitted to ``accumulated_``: the model of `fit` on all rows at once. As long as the rows do not suffice
            for a fit (too few tasks, or a task with fewer than three rows) they are kept in ``accumulated_`` and the
            model stays as it was; ``fit_moments(accumulated_)`` then says what is missing.

        Raises
        ------
        ValueError
            If the batch or the parameters are not valid; all faults are listed.
        """
        before: TaskMoments | None = getattr(self, "accumulated_", None)
        known = None if before is None or tasks is not None else before.task_names
        data = check_task_data(
            X, y, tasks, estimator=self, reset=before is None, name="X", min_labels=0, known_tasks=known
        )
        check_parameters(self, data.X.shape[1])
        batch = _moments_of(data)
        self.accumulated_ = batch if before is None else before + batch
        n_components = data.X.shape[1] if self.n_components is None else int(self.n_components)
        if moments_faults(self.accumulated_, n_components):
            return self
        return self._fit(self.accumulated_)

    def _fit(self, moments: TaskMoments) -> MTLCM:
        check_parameters(self, moments.n_features)
        D = moments.n_features if self.n_components is None else int(self.n_components)
        check_moments(moments, D)
        rng = as_generator(self.random_state)
        fit = fit_latents(
            moments,
            D,
            prior=self.prior,
            noise_std=self.noise_std,
            spurious_std=self.spurious_std,
            **self._n_starts(moments),
            max_iter=self.max_iter,
            tol=self.tol,
            rng=rng,
        )
        self.certificate_seed_ = int(rng.integers(2**31))
        self._store(moments, fit)
        if not self.converged_:
            norm = float(fit.starts.gradient_norm[fit.starts.best])
            warnings.warn(
                f"MTLCM stopped after {self.n_iter_} iterations with gradient norm {norm:.1e} > tol={self.tol:.1e}. "
                "Increase max_iter or standardise X.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _n_starts(self, moments: TaskMoments) -> dict[str, int]:
        if self.n_init != "auto":
            return {"n_init": int(self.n_init)}
        if moments.is_shared and self.prior == "factorized":
            return {"n_init": 20, "most_starts": 100}
        return {"n_init": 5}

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
        check_is_fitted(self, "fit_")
        if over not in ("tasks", "samples"):
            raise ValueError(f"over is unknown: got {over!r}, expected 'tasks' or 'samples'. Choose one of the two.")
        if not isinstance(n_refits, (int, np.integer)) or n_refits < 1:
            raise ValueError(f"n_refits is not valid: got {n_refits!r}, expected an int >= 1. Pass for example 20.")
        rng = as_generator(random_state)
        return bootstrap_fit(self.fit_, self.moments_, self.posterior_.best, over, int(n_refits), rng)

    # -- use ---------------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Return the latents of features: the posterior mean of z given h.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.

        Returns
        -------
        array, shape (n_samples, n_components)
            ``(X - mean_) @ components_.T``.
        """
        X = check_features(self, X, name="X")
        return np.asarray((X - self.mean_) @ self.components_.T, dtype=np.float64)

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
        Z = self.transform(X)
        latents = self._latents()
        if use == "causal":
            coef = self.causal_coef_
        else:
            everything = np.ones(latents.cov_hy.shape, dtype=bool)
            coef = causal_regression(latents.cov_h[latents.group], latents.cov_hy, everything)
        intercept = latents.mean_y - np.einsum("ti,ti->t", coef, latents.mean_h[latents.group])
        return np.asarray(Z @ coef.T + intercept)

    def adapt(self, X: Any, y: Any) -> AdaptedTask:
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
        rows, target = check_new_task(self, X, y, name="X")
        moments = TaskMoments.from_arrays(self.transform(rows), target[:, None])
        return adapt_task(moments, self._latent_noise(), self.posterior_.prior, self.transform)

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
        Z = np.asarray(Z, dtype=np.float64)
        if Z.ndim != 2 or Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has the wrong shape: got {Z.shape}, expected (n_samples, {self.n_components_}). "
                "Pass latents from transform."
            )
        return np.asarray(Z @ self.mixing_.T + self.mean_)

    def score(self, X: Any, y: Any, tasks: ArrayLike | None = None) -> float:
        """Return the mean log marginal likelihood log p(h | y, t) of labelled rows.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Features.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets of tasks of the fit, in either layout.
        tasks : array-like, optional
            As for `fit`.

        Returns
        -------
        float
            Mean over labels; equal to `log_likelihood_` on the data of the fit.

        Raises
        ------
        ValueError
            If a task was not seen in `fit`.
        """
        check_is_fitted(self)
        data = check_task_data(
            X, y, tasks, estimator=self, reset=False, name="X", min_labels=0, known_tasks=self.task_names_
        )
        if data.task_index is None:
            moments = TaskMoments.from_arrays(data.X, data.targets)
        else:
            moments = TaskMoments.from_long(data.X, data.targets, data.task_index)
        # Both layouts name the tasks by their position among those of the fit.
        moments = moments.select_tasks(np.flatnonzero(moments.n_samples > 0))
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
        if not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
            raise ValueError(
                f"n_samples is not valid: got {n_samples!r}, expected an int >= 1. Pass rows for each task."
            )
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
        labels = np.empty(T, dtype=object)
        labels[:] = self.task_names_
        tasks = np.repeat(labels, n_samples)
        return Bunch(H=H, y=y.reshape(-1), tasks=np.array(tasks.tolist()), Z=latents)

    # -- scikit-learn ------------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


def _moments_of(data: TaskData) -> TaskMoments:
    """Moments of checked rows, in either layout."""
    if data.task_index is None:
        return TaskMoments.from_arrays(data.X, data.targets, task_names=data.task_names)
    labels = np.empty(data.n_tasks, dtype=object)
    labels[:] = data.task_names
    return TaskMoments.from_long(data.X, data.targets, labels[data.task_index])
