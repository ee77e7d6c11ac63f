"""MTLCM: canonical latents from features and targets, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from identirep._typing import RandomState
from identirep.known_tasks import known_task_data, remember_left_out
from identirep.moment_arguments import check_moments
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import (
    LatentFit,
    ShardedTasks,
    Shards,
    fit_in_units,
    fit_latents,
    fit_to_own,
    like_units,
    moments_in_units,
    n_starts,
)
from identirep.mtlcm.checks import LEAST_LABELS, moments_faults, number_of_latents, units_faults
from identirep.mtlcm.data import Examined, batch_faults, halves_of, moments_of, types_found, warn_of_tasks
from identirep.mtlcm.stored import StoredLatents
from identirep.mtlcm.using import UsableLatents
from identirep.parameters import Choice, Either, Fault, Number, Rule, Whole, parameter_faults, raise_faults
from identirep.robust_weights import ROBUST, Robust, needs_rows_fault, of_given_rows
from identirep.seeds import as_generator
from identirep.target_kinds import TARGET_TYPE, TargetType, needs_labels_fault
from identirep.validation import check_task_data, left_out_remark

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MTLCM"]


class MTLCM(StoredLatents, UsableLatents, BaseEstimator):
    r"""Multi-task linear causal model: latents identified up to order, sign and scale.

    Features mix latents linearly, and in task t each latent either causes the target or is caused by it:

    .. math::

        h = A z + \mathcal N(0, o^2 I), \qquad
        y = \sum_{i \in C_t} w_{ti} z_i + b_t + \mathcal N(0, s_t^2), \qquad
        z_i \mid y \sim \mathcal N(\gamma_{ti} y, q_{ti}) \;\; (i \notin C_t).

    `fit` maximises the factorised marginal likelihood p(h | y, t) over A, with the variances of every task profiled
    out. Without observation noise that is Pham's approximate joint diagonalisation of the tasks' covariances given
    the target; here it reads `TaskMoments` alone, so that its cost does not depend on the number of samples. Where
    tasks share their rows, the axes are those under which the heads of the tasks are sparsest, and may correlate.

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
    noise_std : float or "estimate", default "estimate"
        Standard deviation o of the observation noise, in the units of the features. "estimate" maximises the likelihood
        (0 unless a likelihood-ratio test prefers noise, and 0 for shared inputs, where noise cannot be told from
        latents, and for features whose deviations differ by a factor of 1e5 and more, which no single o fits).
    n_init : int or "auto", default "auto"
        Number of starts of the solver; "auto" takes 5, and with shared inputs, where starts are cheap and local optima
        occur, 20 to 100, until five of them end in the best optimum.
    max_iter : int, default 500
        Largest number of iterations of a start.
    tol : float, default 1e-7
        Largest entry of the relative gradient at convergence; scale-free.
    robust : {"auto", "mixture", "student"} or None, default "auto"
        Whether rows that are not of their task (gross errors, labels mixed up) count less in `fit`, with "auto" only in
        tails heavier than Gaussian ones, see `TaskMoments.from_long`. Unless None, foreign tasks do not count, either.
    target_type : str, dict of task to str, or None, default "auto"
        What targets are in `fit` ("auto", "continuous", "binary", "ordinal", "count"), and whether effects may follow
        them along curves, see `TaskMoments.from_long`; None takes numbers as they are and effects as linear.
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
    row_weights_ : array, shape (n_samples,), or None
        Weights from 0 to 1 that rows deserve in their tasks; None if all count alike, and after `load`.
    target_kinds_ : tuple of str, length n_tasks, or None
        Kind of each target; None if `target_type` is None, and after a fit to moments or batches.
    effect_degree_ : int
        Degree of the curves along which features follow continuous targets; 1 for lines.
    foreign_tasks_, repeated_tasks_ : tuple of hashable
        Tasks that axes do not follow from: they mix the latents otherwise, or have the rows of another one.
    accumulated_ : TaskMoments
        All rows that `partial_fit` was given; `moments_`, unless they do not suffice for a fit.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    left_out_tasks_ : dict of hashable to str
        Tasks that `fit` warns of and goes on without, having fewer than three labels or constant ones, and why.
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

    _parameter_rules: ClassVar[dict[str, Rule]] = {
        "n_components": Either(Choice(None), Whole()),
        "prior": Choice("factorized", "exact"),
        "noise_std": Either(Choice("estimate"), Number(0.0)),
        "robust": Choice(*ROBUST),
        "target_type": TARGET_TYPE,
        "n_init": Either(Choice("auto"), Whole()),
        "max_iter": Whole(),
        "tol": Number(0.0, open_low=True),
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        prior: Literal["factorized", "exact"] = "factorized",
        noise_std: float | Literal["estimate"] = "estimate",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 500,
        tol: float = 1e-7,
        robust: Robust = "auto",
        target_type: TargetType = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.prior = prior
        self.noise_std = noise_std
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.robust = robust
        self.target_type = target_type
        self.random_state = random_state

    def fit(self, X: Any, y: Any, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> Self:
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
        sample_weight : array-like, shape (n_samples,), optional
            How much each row says relative to the others of its task, at least 0; default: all alike. Rows of weight 0
            are left out, and a task counts for its effective number of rows, see `TaskMoments`.

        Returns
        -------
        MTLCM
            The fitted model.

        Raises
        ------
        ValueError
            If the data or the parameters are not valid; all faults are listed.
        """
        rows: dict[str, Any] = {"sample_weight": sample_weight, "min_labels": LEAST_LABELS, "leaves_out": True}
        data = check_task_data(X, y, tasks, estimator=self, found=parameter_faults(self), **rows)
        if data.left_out:
            warnings.warn(left_out_remark(data.left_out, LEAST_LABELS), UserWarning, stacklevel=2)
        moments = moments_of(data, robust=self.robust, target_type=self.target_type)
        kind = None if moments.row_weights_ is None else self.robust
        moments.row_weights_ = of_given_rows(moments.row_weights_, data.given_rows)
        halves = halves_of(data, "mixture" if kind == "auto" else kind, types_found(moments))
        self._fit(moments, examined=Examined(halves, self.robust is not None and moments._has_own_rows))
        remember_left_out(self, data)
        return self

    def fit_moments(self, moments: TaskMoments) -> Self:
        """Fit the model to moments, wherever they come from.

        Parameters
        ----------
        moments : TaskMoments
            Moments of features and targets.

        Returns
        -------
        MTLCM
            The model that `fit` finds on the rows behind the moments, if `robust` gives none of these less weight.

        Raises
        ------
        ValueError
            If the moments or the parameters are not valid; all faults are listed.
        """
        check_moments(moments, "moments")
        raise_faults([*parameter_faults(self), *self._faults_without_rows()])
        return self._fit(moments)._without_names_of_features()

    def _fit_shards(self, moments: TaskMoments, shards: Shards) -> Self:
        """Fit to moments, covariances diagonalised on shards that hold the same tasks, each with rows of its own."""
        raise_faults([*parameter_faults(self), *self._faults_without_rows()])
        return self._fit(moments, shards=ShardedTasks(shards))._without_names_of_features()

    def _without_names_of_features(self) -> Self:
        """Moments have no names of features, and those of an earlier fit are not theirs."""
        self.__dict__.pop("feature_names_in_", None)
        return self

    def partial_fit(
        self, X: Any, y: Any, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
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
            so far; those that `fit` has left out may still be there, and stay out.
        sample_weight : array-like, shape (n_samples,), optional
            As for `fit`, on the scale of the batches before; rows without weights have weights of 1.

        Returns
        -------
        MTLCM
            Fitted to ``accumulated_``: the model of `fit` on all rows at once, but that `robust` weighs no rows of
            batches. As long as the rows do not suffice for a fit (too few tasks, or a task with fewer than three rows)
            they are kept there and the model stays as it was; ``fit_moments(accumulated_)`` then says what is missing.

        Raises
        ------
        ValueError
            If the batch or the parameters are not valid; all faults are listed.
        """
        before: TaskMoments | None = getattr(self, "accumulated_", None)
        known = None if before is None or tasks is not None else before.task_names
        found = parameter_faults(self) + self._faults_without_rows() + ([] if before is None else batch_faults(before))
        rows: dict[str, Any] = {"sample_weight": sample_weight, "found": found}
        is_of_fit = known is not None and known == getattr(self, "task_names_", None)
        if is_of_fit:
            data = known_task_data(self, X, y, None, **rows)
        else:
            rows |= {"reset": before is None, "min_labels": 0, "known_tasks": known}
            data = check_task_data(X, y, tasks, estimator=self, **rows)
        n_components = number_of_latents(self.n_components, data.X.shape[1], self.noise_std)
        self.accumulated_ = moments_of(data) if before is None else before + moments_of(data)
        if moments_faults(self.accumulated_, n_components):
            return self
        left_out = {name: self.__dict__[name] for name in ("left_out_tasks_", "_given_tasks") if is_of_fit}
        self._fit(self.accumulated_)
        self.__dict__.update(left_out)
        return self

    def _names_of(self, moments: TaskMoments) -> Sequence[object]:
        """Return what messages call the features: by their names, if they have any, or by their numbers."""
        names = getattr(self, "feature_names_in_", ())
        return [repr(str(name)) for name in names] if len(names) == moments.n_features else range(moments.n_features)

    def _fit(
        self,
        moments: TaskMoments,
        remedy: str = "Increase max_iter or standardise X.",
        examined: Examined | None = None,
        *,
        only_best: bool = False,
        shards: ShardedTasks | None = None,
    ) -> Self:
        """Fit to moments, which may be bad; a warning of no convergence says what helps.

        With `only_best` nothing is to be said of where other starts end.
        """
        raise_faults(parameter_faults(self))
        D = number_of_latents(self.n_components, moments.n_features, self.noise_std)
        raise_faults(moments_faults(moments, D, names := self._names_of(moments)))
        rng = as_generator(self.random_state)
        units, noise_std = like_units(moments), self.noise_std
        if units is not None:
            raise_faults(units_faults(moments, D, noise_std, names))
            noise_std = 0.0
        settings: dict[str, Any] = {"prior": self.prior, "noise_std": noise_std, "max_iter": self.max_iter}
        settings |= n_starts(self.n_init, moments, self.prior)

        def refit(part: TaskMoments, on: ShardedTasks | None = None) -> LatentFit:
            return fit_latents(part, D, **settings, tol=self.tol, rng=rng, only_best=only_best, shards=on)

        examined = Examined(rows=moments.row_weights_ is not None) if examined is None else examined
        if units is not None and shards is not None:
            shards = shards.mapped(np.diag(1.0 / units))
        fit = refit(scaled := moments if units is None else moments_in_units(moments, units), shards)
        if self.robust is not None:
            fit, foreign, repeated = fit_to_own(fit, scaled, refit, rng)
            examined = examined._replace(foreign=foreign, repeated=repeated)
            warn_of_tasks(moments.task_names, foreign, repeated)
        fit = fit if units is None else fit_in_units(fit, 1.0 / units)
        self.n_features_in_ = moments.n_features
        self.certificate_seed_ = int(rng.integers(2**31))
        self._store(moments, fit, examined)
        if not self.converged_:
            norm = float(fit.starts.gradient_norm[fit.starts.best])
            warnings.warn(
                f"MTLCM stopped after {self.n_iter_} iterations with gradient norm {norm:.1e} > tol={self.tol:.1e}. "
                f"{remedy}",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _faults_without_rows(self) -> list[Fault]:
        return needs_rows_fault(self.robust) + needs_labels_fault(self.target_type)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output, tags.target_tags.single_output = True, False
        return tags
