"""IdentifiableRegressor: both stages, from inputs and targets to canonical latents."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, IntArray, RandomState
from identirep.moments import TaskMoments
from identirep.mtlcm import MTLCM, AdaptedTask, CausalStructure, Certificate
from identirep.mtlcm.new_tasks.adapt import check_new_task
from identirep.mtlcm.new_tasks.task import Use, check_use
from identirep.mtrn import MTRN, PredictiveFeatures
from identirep.seeds import as_generator

if TYPE_CHECKING:
    import torch

__all__ = ["IdentifiableRegressor"]
StageOne: TypeAlias = MTRN | PredictiveFeatures


class IdentifiableRegressor(TransformerMixin, RegressorMixin, BaseEstimator):
    """Multi-task regression whose representation is the same on every run: stage one, then stage two.

    Stage one learns features that predict all targets and are unique up to a linear map (`MTRN`, or the predictions
    of any other multi-output regressor through `PredictiveFeatures`). Stage two (`MTLCM`) finds the axes of these
    features that are unique up to order, sign and scale.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Number of latents; "auto" takes as many as the targets carry signal for on rows held out.
    regressor : "mtrn", MTRN, PredictiveFeatures or estimator, default "mtrn"
        Stage one. A stage-one object is cloned and used with its own settings; its `n_components` and `random_state`
        are replaced where those of this object are set. Any other multi-output regressor is wrapped in
        `PredictiveFeatures`.
    prior : {"factorized", "exact"}, default "factorized"
        Likelihood of stage two, see `MTLCM`.
    spurious_std : float, optional
        See `MTLCM`.
    noise_std : float or "estimate", default "estimate"
        See `MTLCM`.
    n_init : int or "auto", default "auto"
        See `MTLCM`.
    n_refinements : int, default 0
        Rounds in which the network is trained again on what targets and causal model say of the latents of its rows; in
        the long layout, with `MTRN` only. Each takes about as long as stage one, and is the last if on held-out rows
        targets say no more of the latents than before. Two or three bring latents of nonlinear data considerably
        closer to the truth.
    verbose : bool, default False
        Whether stage one shows its progress (where it has any to show).
    random_state : int, Generator, RandomState or None, default None
        Source of all randomness of both stages.

    Attributes
    ----------
    features_ : MTRN or PredictiveFeatures
        Fitted stage one.
    latents_ : MTLCM or None
        Fitted stage two; None if the targets carry no signal.
    n_components_ : int
        Number of latents; 0 if "auto" found no signal.
    n_refinements_ : int
        Rounds of refinement that were kept.
    certificate_ : Certificate
        Which latents can be trusted.
    structure_ : CausalStructure
        Probability of each role of each latent in each task, and effect sizes with standard errors.
    causal_probability_, causal_coef_, spurious_coef_ : array, shape (n_tasks, n_components_)
        Roles of the latents in each task, see `MTLCM`. With shared inputs they are associations, not causes.
    spectrum_ : array
        Predictive spectrum of stage one, on held-out rows.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_features_in_ : int
        Number of inputs.

    Notes
    -----
    *Reproducible* is what the certificate's verdicts state; *causally valid* is what its goodness-of-fit test is about.
    With shared inputs (wide layout) the second cannot hold for all tasks at once.

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging Task Structures for Improved Identifiability in
    Neural Network Representations", TMLR 2024, arXiv:2306.14861.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 6))
    >>> y = X[:, :3] @ rng.laplace(size=(3, 20)) + 0.1 * rng.normal(size=(500, 20))
    >>> model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, y)
    >>> model.transform(X).shape
    (500, 3)
    """

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        regressor: Any = "mtrn",
        prior: Literal["factorized", "exact"] = "factorized",
        spurious_std: float | None = None,
        noise_std: float | Literal["estimate"] = "estimate",
        n_init: int | Literal["auto"] = "auto",
        n_refinements: int = 0,
        verbose: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.regressor = regressor
        self.prior = prior
        self.spurious_std = spurious_std
        self.noise_std = noise_std
        self.n_init = n_init
        self.n_refinements = n_refinements
        self.verbose = verbose
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, tasks: ArrayLike | None = None, *, groups: ArrayLike | None = None
    ) -> IdentifiableRegressor:
        """Fit both stages.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets; NaN means that the label is missing. One dimension together with `tasks` is the long layout.
        tasks : array-like, optional
            Long layout: label of each row's task. Wide layout: names of the columns of `y`.
        groups : array-like, shape (n_samples,), optional
            Rows of one group (repeated compositions, the same molecule) are never split between training and held-out
            rows.

        Returns
        -------
        IdentifiableRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If the data or the parameters are not valid; all faults are listed.
        """
        rng = as_generator(self.random_state)
        seeds = rng.integers(2**31, size=2)
        stage = self._stage_one(int(seeds[0]))
        self._check_refinements(stage, y, tasks)
        self.features_: StageOne = stage.fit(X, y, tasks, groups=groups)
        self._fit_latents(int(seeds[1]))
        self.n_refinements_ = 0
        if self.n_refinements > 0 and self.latents_ is not None:
            self._refine(X, y, tasks, groups, rng)
        return self

    def _check_refinements(self, stage: StageOne, y: Any, tasks: ArrayLike | None) -> None:
        if isinstance(self.n_refinements, bool) or not isinstance(self.n_refinements, Integral):
            raise TypeError(
                f"n_refinements has the wrong type: got {self.n_refinements!r}, expected an int. Pass 0 or more."
            )
        if self.n_refinements < 0:
            raise ValueError(f"n_refinements is negative: got {self.n_refinements}, expected at least 0. Pass 0.")
        if self.n_refinements > 0 and (tasks is None or np.ndim(y) != 1 or not isinstance(stage, MTRN)):
            raise ValueError(
                "n_refinements does not fit the data: got targets in the wide layout or a stage one that is no MTRN, "
                "expected the long layout and an MTRN. Leave n_refinements at 0: with shared inputs the causal model "
                "says nothing about single rows."
            )

    def _refine(self, X: Any, y: Any, tasks: Any, groups: Any, rng: np.random.Generator) -> None:
        """Train the encoder again on the latents, as often as asked for and as it helps."""
        from identirep.refining import refine

        for _ in range(self.n_refinements):
            assert isinstance(self.features_, MTRN)
            assert self.latents_ is not None
            seeds = rng.integers(2**31, size=2)
            refined = refine(self.features_, self.latents_, X, y, tasks, groups, int(seeds[0]))
            if refined is None:
                break
            self.features_ = refined
            self._fit_latents(int(seeds[1]))
            self.n_refinements_ += 1

    def _stage_one(self, seed: int) -> StageOne:
        regressor = self.regressor
        stage: Any
        if isinstance(regressor, str):
            if regressor != "mtrn":
                raise ValueError(
                    f"regressor is unknown: got {regressor!r}, expected 'mtrn' or an estimator. Pass 'mtrn', an MTRN "
                    "or a scikit-learn regressor."
                )
            stage = MTRN(self.n_components, verbose=self.verbose)
        elif isinstance(regressor, (MTRN, PredictiveFeatures)):
            stage = clone(regressor)
            if self.n_components != "auto":
                stage.set_params(n_components=self.n_components)
        elif hasattr(regressor, "fit") and hasattr(regressor, "predict"):
            stage = PredictiveFeatures(clone(regressor), self.n_components)
        else:
            raise TypeError(
                f"regressor has the wrong type: got {type(regressor).__name__}, expected 'mtrn' or an estimator with "
                "fit and predict. Pass for example ExtraTreesRegressor()."
            )
        if self.random_state is not None or stage.random_state is None:
            stage.set_params(random_state=seed)
        return stage

    def _fit_latents(self, seed: int) -> None:
        self.latents_: MTLCM | None = None
        if self.n_components_ > 0:
            model = MTLCM(
                prior=self.prior,
                spurious_std=self.spurious_std,
                noise_std=self.noise_std,
                n_init=self.n_init,
                random_state=seed,
            )
            self.latents_ = model.fit_moments(self.features_.moments_)

    # -- what was found ----------------------------------------------------------------------------------------------

    @property
    def n_components_(self) -> int:
        """Number of latents; 0 if the targets carry no signal."""
        return int(self._fitted().n_components_)

    @property
    def n_features_in_(self) -> int:
        """Number of inputs."""
        return int(self._fitted().n_features_in_)

    @property
    def task_names_(self) -> tuple[Hashable, ...]:
        """Labels of the tasks."""
        return self._fitted().task_names_

    @property
    def spectrum_(self) -> Array:
        """Predictive spectrum of stage one."""
        return self._fitted().spectrum_

    @property
    def moments_(self) -> TaskMoments:
        """Moments of the features of stage one, on which stage two was fitted."""
        return self._fitted().moments_

    @property
    def certificate_(self) -> Certificate:
        """Which latents can be trusted, and why; none if held-out rows show no signal in any direction."""
        stage = self._fitted()
        if self.latents_ is None:
            return Certificate.empty()
        found = self.latents_.certificate_
        # An encoder memorises: its features can carry signal on the rows of the fit and none elsewhere.
        return found if np.any(stage.spectrum_ > stage.spectrum_threshold_) else found.without_signal()

    @property
    def structure_(self) -> CausalStructure:
        """Roles of the latents in each task, as arrays, table and graphs; with shared inputs these are associations."""
        stage = self._fitted()
        return CausalStructure.empty(stage.task_names_) if self.latents_ is None else self.latents_.structure_

    @property
    def causal_probability_(self) -> Array:
        """Probability that the latent causes the target, shape (n_tasks, n_components_)."""
        return self._roles("causal_probability_")

    @property
    def causal_coef_(self) -> Array:
        """Regression of each target on its causes, shape (n_tasks, n_components_)."""
        return self._roles("causal_coef_")

    @property
    def spurious_coef_(self) -> Array:
        """Regression of each effect on the target, shape (n_tasks, n_components_)."""
        return self._roles("spurious_coef_")

    def _roles(self, name: str) -> Array:
        stage = self._fitted()
        return np.zeros((len(stage.task_names_), 0)) if self.latents_ is None else getattr(self.latents_, name)

    def _fitted(self) -> StageOne:
        try:
            return self.__dict__["features_"]
        except KeyError:
            # Not check_is_fitted: it looks for attributes with a trailing underscore, and would ask us again.
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(
                "This IdentifiableRegressor is not fitted yet: got no features_, expected a fitted model. Call "
                "fit first."
            ) from None

    def __sklearn_is_fitted__(self) -> bool:
        return "features_" in self.__dict__

    # -- use ---------------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Return the canonical latents of inputs.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        array, shape (n_samples, n_components_)
            Latents, of unit variance on the rows of the fit.
        """
        check_is_fitted(self)
        H = self.features_.transform(X)
        return H if self.latents_ is None else self.latents_.transform(H)

    def predict(self, X: Any, *, use: Use = "all") -> Array:
        """Predict the targets of all tasks.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.
        use : {"all", "causal"}, default "all"
            "all" are the predictions of stage one. "causal" regresses each target on its most probable causes among
            the latents, see `MTLCM.predict`; with shared inputs roles are associations, and nothing is promised.

        Returns
        -------
        array, shape (n_samples, n_tasks)
            Predicted targets.

        Raises
        ------
        ValueError
            If `use` is neither.
        """
        check_is_fitted(self)
        check_use(use)
        if use == "all" or self.latents_ is None:
            # Without latents there are no causes, and stage one predicts means.
            return self.features_.predict(X)
        prediction = self.latents_.predict(self.features_.transform(X), use=use)
        return prediction[:, 0] if self.features_._flat_target else prediction

    def _predict_rows(self, X: Any, task_index: IntArray) -> Array:
        return self.features_._predict_rows(X, task_index)

    def adapt(self, X: Any, y: Any) -> AdaptedTask:
        """Learn a new task from few labelled rows, the latents held as they are.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.
        y : array-like, shape (n_samples,)
            Target of the new task, in any unit; rows with NaN are left out. At least two labels that differ.

        Returns
        -------
        AdaptedTask
            Roles, coefficients, predictions from inputs and their intervals. This model is not changed.

        Raises
        ------
        ValueError
            If the rows are not valid, or the targets of the fit carried no signal and so there are no latents.

        Notes
        -----
        See `MTLCM.adapt`. Coefficients refer to the latents of `transform`.
        """
        check_is_fitted(self)
        if self.latents_ is None:
            raise ValueError(
                "the model has no latents: got targets without signal in fit, expected at least one latent. Fit to "
                "targets that the inputs say something about."
            )
        check_new_task(self.features_, X, y, name="X")
        return replace(self.latents_.adapt(self.features_.transform(X), y), transform=self.transform)

    def score(self, X: Any, y: Any, tasks: ArrayLike | None = None) -> float:
        """Return the mean over tasks of the coefficient of determination R^2.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets, in either layout; missing labels are left out.
        tasks : array-like, optional
            As for `fit`.

        Returns
        -------
        float
            Mean R^2.
        """
        check_is_fitted(self)
        return float(self.features_.score(X, y, tasks))

    def to_torch(self) -> torch.nn.Module:
        """Return one module that maps inputs to latents.

        Returns
        -------
        torch.nn.Module
            float32 (n_samples, n_features) to (n_samples, n_components_), scaling included, in evaluation mode.

        Raises
        ------
        TypeError
            If stage one is not a neural network.
        """
        check_is_fitted(self)
        if not isinstance(self.features_, MTRN):
            raise TypeError(
                f"regressor has no torch form: got {type(self.features_).__name__}, expected an MTRN. Fit with "
                "regressor='mtrn'."
            )
        import torch

        stage = self.features_.to_torch()
        if self.latents_ is None:
            return stage
        model = self.latents_
        last = torch.nn.Linear(model.n_features_in_, model.n_components_)
        with torch.no_grad():
            last.weight.copy_(torch.from_numpy(model.components_))
            last.bias.copy_(torch.from_numpy(-model.components_ @ model.mean_))
        return torch.nn.Sequential(stage, last).eval()

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Write the model to a run directory.

        Parameters
        ----------
        directory : str or Path
            ``model.safetensors``, ``model.json`` and ``history.parquet`` are put there, all or none; other files of an
            existing run directory are kept.

        Raises
        ------
        TypeError
            If stage one has no array form (a wrapped scikit-learn regressor).
        """
        from identirep.persistence import save_regressor

        check_is_fitted(self)
        save_regressor(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path, *, encoder: Any = None) -> IdentifiableRegressor:
        """Read a model that `save` has written, on any device and without pickle.

        Parameters
        ----------
        directory : str or Path
            Run directory.
        encoder : torch.nn.Module, optional
            The user's own encoder, if the model was fitted with one: a module of the same shape.

        Returns
        -------
        IdentifiableRegressor
            Gives the same latents, bit for bit on the same machine.

        Raises
        ------
        FileNotFoundError
            If there is no model in the directory.
        ValueError
            If the files are damaged or of a newer format.
        """
        from identirep.persistence import load_regressor

        return load_regressor(Path(directory), encoder=encoder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
