"""What is looked at after both stages are fitted: the rows, the encoder, and fits to halves of the rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.base import clone

from identirep._typing import Array, BoolArray, IntArray
from identirep.checking import Fitted, check_fit
from identirep.encoder_error import encoder_correlation_of
from identirep.exchangeability import RowOrder, check_row_order
from identirep.linear_copies import copy_remarks, linear_copies
from identirep.mtlcm import ComesBack
from identirep.mtrn import MTRN
from identirep.two_stages import StageOne, TwoStages
from identirep.validation import TaskData

__all__ = ["CheckedStages"]


class CheckedStages(TwoStages):
    """Base of `IdentifiableRegressor`: the checks of a fit."""

    n_checks: int
    verbose: bool
    n_refinements_: int
    row_order_: RowOrder
    encoder_mcc_: Array
    comes_back_: ComesBack

    @abstractmethod
    def _stage_one(self, seed: int) -> StageOne:
        """Return stage one, not fitted."""

    @abstractmethod
    def _fit_stages(
        self,
        stage: StageOne,
        X: Any,
        y: Any,
        tasks: Any,
        groups: Any,
        order: Any,
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        """Fit both stages, and the first one again as often as asked for and as it helps."""

    def _check(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> list[str]:
        """Look at the rows, at the encoder and at fits to halves of the rows; return what is to be said of the rows."""
        self.row_order_ = check_row_order(data, groups)
        copies = copy_remarks(linear_copies(data, getattr(self.regressor_, "feature_names_in_", None)))
        self.encoder_mcc_ = self._encoder_mcc(data)
        self.comes_back_ = self._checked(data, groups, rng)
        return [text for text in (f"{'; '.join(copies)}." if copies else "", self.row_order_.remark) if text]

    def _encoder_mcc(self, data: TaskData) -> Array:
        """Correlation that the encoder leaves between axes and latents, (D,), NaN where that cannot be told."""
        stage, model = self.regressor_, self.causal_model_
        if model is not None and isinstance(stage, MTRN) and (found := encoder_correlation_of(stage, model, data)):
            return found.correlation
        return np.full(self.n_components_, np.nan)

    def _checked(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> ComesBack:
        """Fit again to halves of the rows, with a stage one like that of the fit, and compare."""
        model = self.causal_model_
        if model is None:
            return ComesBack.unknown(0, "there are no axes")
        if self.n_checks == 0:
            return ComesBack.unknown(self.n_components_, "no fits to other rows were made: fit with n_checks=2")
        if self.row_order_.reason:
            return ComesBack.unknown(self.n_components_, self.row_order_.reason)

        def refit(rows: BoolArray, seed: int, quick: bool) -> Fitted:
            own = clone(self.regressor_).set_params(n_components=self.n_components_)
            if isinstance(own, MTRN):
                # Half of the rows and half of the replicates double both parts of the error.
                own.set_params(n_replicates=max(own.n_replicates // 2, 1))
            elif quick and own.cross_fit != "oob":
                own.set_params(cross_fit=2)
            other = clone(self).set_params(
                n_components=self.n_components_,
                regressor=own,
                n_refinements=self.n_refinements_,
                random_state=seed,
            )
            part = data.rows(rows)
            own_groups = None if groups is None else groups[rows]
            own_rng = np.random.default_rng(seed)
            seeds = own_rng.integers(2**31, size=2).tolist()
            stage = other._stage_one(seeds[0])
            stage._judges_signal = False
            other._fit_stages(stage, part.X, part.targets, part.task_index, own_groups, part.order, own_rng, seeds[1])
            return Fitted(other.regressor_, other.causal_model_, part, own_groups)

        fit = Fitted(self.regressor_, model, data, groups)
        return check_fit(fit, refit, self.n_checks, rng, print if self.verbose else _silent)


def _silent(text: str) -> None:
    """Show nothing."""
