"""What both fitted stages are used for together, as the base of `IdentifiableRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, IntArray
from identirep.fitted_stages import FittedStages
from identirep.mtlcm import AdaptedTask, Use, check_new_task, check_use
from identirep.mtrn import MTRN
from identirep.row_labels import warn_of_other_order
from identirep.target_kinds import has_binary_targets

if TYPE_CHECKING:
    import torch

    from identirep.evaluation import Evaluation
    from identirep.serving import Graph

__all__ = ["TwoStages"]


class TwoStages(FittedStages):
    """Base of `IdentifiableRegressor`: its methods that need a fit."""

    def transform(self, X: Any) -> Array:
        """Return the canonical latents of inputs.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs, as in `fit`.

        Returns
        -------
        array, shape (n_samples, n_components_)
            Latents, of unit variance on the rows of the fit; a data frame if `set_output` asks for one.
        """
        return self._latents_of(X)

    def _latents_of(self, X: Any) -> Array:
        """Return the latents as an array, whatever `set_output` says."""
        check_is_fitted(self)
        return self._latents_of_numbers(self._inputs(X))

    def _latents_of_numbers(self, X: Any) -> Array:
        """Return the latents of inputs of stage one."""
        H = self.regressor_.transform(X)
        return H if self.causal_model_ is None else self.causal_model_.transform(H)

    def predict(self, X: Any, *, use: Use = "all") -> Array:
        """Predict the targets of all tasks.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs, as in `fit`.
        use : {"all", "causal"}, default "all"
            "all" are the predictions of stage one. "causal" regresses each target on its most probable causes among
            the latents, see `MTLCM.predict`; with shared inputs roles are associations, and nothing is promised.

        Returns
        -------
        array, shape (n_samples, n_tasks)
            Predicted targets; of a binary target the mean of its values, for 0 and 1 the probability of 1 ("causal":
            a linear one).

        Raises
        ------
        ValueError
            If `use` is neither.
        """
        check_is_fitted(self)
        check_use(use)
        if use == "all" or self.causal_model_ is None:
            # Without latents there are no causes, and stage one predicts means.
            return self.regressor_.predict(self._inputs(X))
        prediction = self.causal_model_.predict(self.regressor_.transform(self._inputs(X)), use=use)
        return prediction[:, 0] if self.regressor_._flat_target else prediction

    @available_if(has_binary_targets)
    def predict_proba(self, X: Any) -> Array:
        """Predict the probability of the larger value of each binary target.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs, as in `fit`.

        Returns
        -------
        array, shape (n_samples, n_tasks)
            One column for each task; NaN for targets that are not binary. Probabilities of the other value are one
            less these.
        """
        check_is_fitted(self)
        return self.regressor_.predict_proba(self._inputs(X))

    def _predict_rows(self, X: Any, task_index: IntArray) -> Array:
        return self.regressor_._predict_rows(self._inputs(X), task_index)

    def adapt(self, X: Any, y: Any, *, sample_weight: ArrayLike | None = None) -> AdaptedTask:
        """Learn a new task from few labelled rows, the latents held as they are.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs, as in `fit`.
        y : array-like, shape (n_samples,)
            Target of the new task, in any unit; rows with NaN are left out. At least two labels that differ.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0: what it says relative to the others. Whatever counts rows counts the
            effective number (sum w)^2 / sum w^2, at least 2. Default: all alike.

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
        if self.causal_model_ is None:
            raise ValueError(
                "the model has no latents: got targets without signal in fit, expected at least one latent. Fit to "
                "targets that the inputs say something about."
            )
        warn_of_other_order("X", X, y=y, sample_weight=sample_weight)
        X = self._inputs(X)
        check_new_task(self.regressor_, X, y, name="X", sample_weight=sample_weight)
        task = self.causal_model_.adapt(self.regressor_.transform(X), y, sample_weight=sample_weight)
        return replace(task, transform=self._latents_of)

    def score(self, X: Any, y: Any, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean over tasks of the coefficient of determination R^2.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs, as in `fit`.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets, in either layout; missing labels are left out.
        tasks : array-like, optional
            As for `fit`.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row in the sums of squares; default: all alike.

        Returns
        -------
        float
            Mean R^2.
        """
        check_is_fitted(self)
        warn_of_other_order("X", X, y=y, tasks=tasks, sample_weight=sample_weight)
        return float(self.regressor_.score(self._inputs(X), y, tasks, sample_weight=sample_weight))

    def report(
        self,
        path: str | Path,
        X: Any = None,
        y: Any = None,
        tasks: ArrayLike | None = None,
        *,
        labels: Sequence[Any] | None = None,
        evaluation: Evaluation | None = None,
        title: str = "Identifiable latents",
    ) -> Path:
        """Write what the fit has found to one HTML file that opens without a network.

        Parameters
        ----------
        path : str or Path
            File to write; an existing one is replaced as a whole.
        X : array-like or table, shape (n_samples, n_features), optional
            Inputs, as in `fit`, of the rows of the fit or others: for each axis, what moves it and the rows at its
            ends. Default: the report does without these.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,), optional
            Targets of these rows, in either layout: each axis against its best target.
        tasks : array-like, optional
            As for `fit`.
        labels : sequence, length n_samples, optional
            Names of these rows.
        evaluation : Evaluation, optional
            Scores on held-out rows and agreement with other fits, see `identirep.report`. Default: without these.
        title : str, default "Identifiable latents"
            Heading of the page.

        Returns
        -------
        Path
            The file.

        Notes
        -----
        The same as :func:`identirep.report.write_report` with what :func:`identirep.report.describe` says of the rows;
        the former also takes an `MTLCM`.
        """
        from identirep.report import describe, write_report

        check_is_fitted(self)
        description = None if X is None else describe(self, X, y, tasks, labels=labels)
        write_report(self, path, evaluation=evaluation, title=title, description=description)
        return Path(path)

    def to_torch(self) -> torch.nn.Module:
        """Return one module that maps inputs to latents.

        Returns
        -------
        torch.nn.Module
            Inputs (n_samples, n_features), float32 or, where large offsets leave that no digits, float64, to float32
            (n_samples, n_components_), scaling included, in evaluation mode. Of a table that was encoded the inputs
            are those that ``table_encoder_.transform`` returns.

        Raises
        ------
        TypeError
            If stage one is not a neural network.
        """
        check_is_fitted(self)
        if not isinstance(self.regressor_, MTRN):
            raise TypeError(
                f"regressor has no torch form: got {type(self.regressor_).__name__}, expected an MTRN. Fit with "
                "regressor='mtrn'."
            )
        import torch

        from identirep.training import ordinary_torch

        stage = self.regressor_.to_torch()
        if self.causal_model_ is None:
            return stage
        model = self.causal_model_
        with ordinary_torch():
            last = torch.nn.Linear(model.n_features_in_, model.n_components_)
            last.weight.data.copy_(torch.from_numpy(model.components_))
            last.bias.data.copy_(torch.from_numpy(-model.components_ @ model.mean_))
        return torch.nn.Sequential(stage, last).eval()

    def _graph(self) -> Graph:
        import torch

        from identirep.mtrn import base_features, example_rows
        from identirep.serving import Affine, Graph, MeanOfLevels, ServedModel

        stage, model = self.regressor_, self.causal_model_
        assert model is not None
        features = torch.nn.Sequential(base_features(stage), Affine(stage.mean_, stage.components_))
        latents = Affine(model.mean_, model.components_)
        heads = Affine(np.zeros(stage.n_components_), stage.coef_, stage.intercept_)
        predictions = torch.nn.Sequential(heads, MeanOfLevels(stage._levels))
        served = ServedModel(features, latents, predictions)
        return Graph(served, example_rows(stage), model._scales_of_graph())

    def _names_of_graph_inputs(self) -> NDArray[Any] | None:
        return self._names_of_inputs(self.regressor_)
