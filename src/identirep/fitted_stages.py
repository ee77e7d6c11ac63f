"""What both fitted stages say together, as the base of `TwoStages`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from identirep._typing import Array
from identirep.encoded_tables import EncodedTables
from identirep.moments import TaskMoments
from identirep.mtlcm import MTLCM, CausalStructure, Certificate, CertifiedLatents, ComesBack
from identirep.mtrn import MTRN, PredictiveFeatures
from identirep.naming import Names
from identirep.shapes import CORRELATION, Damage, check_shapes, check_values
from identirep.signal_check import Signal

__all__ = ["STAGE_TWO_LABELS", "FittedStages", "StageOne"]
# Labels of a task that stage two needs.
STAGE_TWO_LABELS = 3
StageOne: TypeAlias = MTRN | PredictiveFeatures


class FittedStages(EncodedTables, CertifiedLatents):
    """Base of `TwoStages`: the attributes of a fit."""

    regressor_: StageOne
    causal_model_: MTLCM | None
    comes_back_: ComesBack
    encoder_mcc_: Array

    @property
    def n_components_(self) -> int:
        """Number of latents; 0 if the targets carry no signal."""
        return int(self._fitted().n_components_)

    @property
    def n_features_in_(self) -> int:
        """Number of inputs: of columns, where these are encoded."""
        stage = self._fitted()
        return int(stage.n_features_in_ if self._encoder is None else self._encoder.n_features_in_)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the inputs, if they had any."""
        stage = self._fitted()
        return stage.feature_names_in_ if self._encoder is None else self._encoder.feature_names_in_

    @property
    def task_names_(self) -> tuple[Hashable, ...]:
        """Labels of the tasks."""
        return self._fitted().task_names_

    @property
    def target_kinds_(self) -> tuple[str, ...]:
        """Kind of each target."""
        return self._fitted().target_kinds_

    @property
    def left_out_tasks_(self) -> dict[Hashable, str]:
        """Tasks that nothing can be learnt of, which the fit has left out, and why."""
        return self._fitted().left_out_tasks_

    @property
    def spectrum_(self) -> Array:
        """Predictive spectrum of stage one."""
        return self._fitted().spectrum_

    @property
    def n_components_range_(self) -> tuple[int, int]:
        """Least and largest number of latents that are as good for "auto", and what it takes on halves of the rows."""
        return self._fitted().n_components_range_

    @property
    def signal_(self) -> Signal:
        """Whether the targets carry signal: `answer` "signal", "none" or "too few rows", and what to do."""
        return self._fitted().signal_

    @property
    def moments_(self) -> TaskMoments:
        """Moments of the features of stage one, on which stage two was fitted."""
        return self._fitted().moments_

    @property
    def certificate_(self) -> Certificate:
        """Which latents can be trusted, and why; none if held-out rows show no signal in any direction."""
        stage = self._fitted()
        if self.causal_model_ is None:
            return Certificate.empty()
        comes_back = getattr(self, "comes_back_", None)
        if comes_back is None:
            comes_back = ComesBack.unknown(stage.n_components_, "the model was stored without checks: fit again")
        # An encoder memorises: its features can carry signal on the rows of the fit and none elsewhere.
        seen = np.any(stage.spectrum_ > stage.spectrum_threshold_)
        if not seen and stage.signal_.answer == "too few rows":
            comes_back = ComesBack.unknown(
                stage.n_components_, "too few rows to tell whether there is signal: add rows"
            )
        encoder_mcc = getattr(self, "encoder_mcc_", np.full(stage.n_components_, np.nan))
        found = self.causal_model_._formulas.checked(comes_back, encoder_mcc=encoder_mcc)
        return found if seen or stage.signal_.answer == "too few rows" else found.without_signal()

    @property
    def structure_(self) -> CausalStructure:
        """Roles of the latents in each task, as arrays, table and graphs; with shared inputs these are associations."""
        stage = self._fitted()
        return CausalStructure.empty(stage.task_names_) if self.causal_model_ is None else self.causal_model_.structure_

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
        return (
            np.zeros((len(stage.task_names_), 0)) if self.causal_model_ is None else getattr(self.causal_model_, name)
        )

    def _names_of_latents(self) -> Names:
        self._fitted()
        # They are those of stage two, so that roles and tables have them as well.
        return {} if self.causal_model_ is None else self.causal_model_._names_of_latents()

    def _set_names(self, names: Names) -> None:
        if self.causal_model_ is not None:
            self.causal_model_._set_names(names)

    def _fitted(self) -> StageOne:
        try:
            return self.__dict__["regressor_"]
        except KeyError:
            # Not check_is_fitted: it looks for attributes with a trailing underscore, and would ask us again.
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet: got no regressor_, expected a fitted model. Call fit "
                "first."
            ) from None

    def _check_parts(self) -> None:
        """Raise unless what was read from files, each part of which is sound, fits together."""
        stage, model = self.regressor_, self.causal_model_
        D, n_inputs = stage.n_components_, stage.n_features_in_
        if (model is None) != (D == 0) or (model is not None and model.task_names_ != stage.task_names_):
            raise Damage("stages of two models")
        mixing = np.zeros((0, 0)) if model is None else model.mixing_
        parts = {"mixing": mixing, "same_rows": self.comes_back_.same_rows, "encoder_mcc": self.encoder_mcc_}
        check_shapes(parts, {"mixing": "DD", "same_rows": "D", "encoder_mcc": "D"}, D=D)
        check_values(parts, {"encoder_mcc": CORRELATION}, gaps=True)
        if getattr(getattr(stage, "regressor_", None), "n_features_in_", n_inputs) != n_inputs:
            raise Damage(f"a regressor that was not fitted to {n_inputs} inputs")
        if self._encoder is not None and len(self._encoder.get_feature_names_out()) != n_inputs:
            raise Damage(f"an encoder of tables that does not give {n_inputs} inputs")

    def __sklearn_is_fitted__(self) -> bool:
        return "regressor_" in self.__dict__
