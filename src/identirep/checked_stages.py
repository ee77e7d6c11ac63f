"""What is looked at after both stages are fitted: the rows, the encoder, and fits to halves of the rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from identirep._typing import Array, BoolArray, IntArray
from identirep.checking import Fitted, check_fit
from identirep.comparing import Reference, TrainedRows, targets_looked_at
from identirep.encoder_error import encoder_correlation_of
from identirep.exchangeability import RowOrder, check_row_order
from identirep.fitted_stages import StageOne
from identirep.linear_copies import copy_remarks, linear_copies
from identirep.mapped_rows import some_of
from identirep.mtlcm import MTLCM, ComesBack
from identirep.mtrn import MTRN, ChosenRegressor, check_fit_data
from identirep.parameters import Fault
from identirep.refining import refine
from identirep.splits import number_groups, two_sides
from identirep.two_stages import TwoStages
from identirep.validation import TaskData, check_features

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CheckedStages", "Given"]

# Numbers of latents that differ by no more are the same, up to a latent that is as good in as out.
_ABOUT_AS_MANY = 1
# Rounds of refinement if their number is "auto", and the correlation of an axis with its latent that needs none.
_MOST_REFINEMENTS, _GOOD_ENCODER = 3, 0.99


class Given(NamedTuple):
    """The data of a fit, as they were given."""

    X: Any
    y: Any
    tasks: Any
    groups: Any
    order: Any
    sample_weight: Any = None

    def checked(self, stage: StageOne, faults: Sequence[Fault | str] = ()) -> tuple[TaskData, IntArray | None]:
        """Return them as `stage` takes them, and the groups, numbered."""
        X, y, tasks, groups, order, weight = self
        return check_fit_data(stage, X, y, tasks, groups, faults, order=order, sample_weight=weight)

    def own_groups(self, data: TaskData) -> IntArray | None:
        """Number the groups as they were given, rows of equal inputs apart, of the rows that are left."""
        if self.groups is None:
            return None
        index = number_groups(self.groups)
        return index if data.given_rows is None else index[data.given_rows]


class CheckedStages(TwoStages):
    """Base of `IdentifiableRegressor`: the checks of a fit."""

    causal_model: MTLCM | None
    n_checks: int
    n_refinements: int | Literal["auto"]
    verbose: bool
    regressor_choice_: ChosenRegressor | None
    n_refinements_: int
    row_order_: RowOrder
    encoder_mcc_: Array
    comes_back_: ComesBack
    # None in a model that was stored before they were kept.
    _trained_rows: TrainedRows | None
    _reference: Reference | None
    # Whether this is a fit to some of the rows, of which nothing but latents is looked at.
    _is_check: bool = False

    @abstractmethod
    def _stage_one(self, seed: int) -> StageOne:
        """Return stage one, not fitted."""

    def _stage_two(self, seed: int) -> MTLCM | None:
        """Fit stage two to the features of stage one; None if there are none."""
        if not self.regressor_.n_components_:
            return None
        model = MTLCM() if self.causal_model is None else clone(self.causal_model)
        # Rows and tasks are judged on given features alone: these are made from the targets.
        model.set_params(robust=None)
        if model.random_state is None:
            model.set_params(random_state=seed)
        remedy = f"Pass causal_model=MTLCM(max_iter=...) with more than {model.max_iter}."
        model.set_output(transform="default")
        return model._fit(self.regressor_.moments_, remedy, only_best=self._is_check)

    def _fit_stages(self, stage: StageOne, given: Given, rng: np.random.Generator, seed: int) -> None:
        """Fit both stages, and the first one again as often as asked for and as it helps."""
        options = {"groups": given.groups, "order": given.order, "sample_weight": given.sample_weight}
        self.regressor_: StageOne = stage.fit(given.X, given.y, given.tasks, **options)
        self.causal_model_ = self._stage_two(seed)
        self.n_refinements_ = 0
        if self.causal_model_ is not None and isinstance(self.regressor_, MTRN):
            self._refine(given, rng)

    def _refine(self, given: Given, rng: np.random.Generator) -> None:
        """Train the encoder again on the latents, as often as asked for and as it helps."""
        automatic = isinstance(self.n_refinements, str)
        for _ in range(_MOST_REFINEMENTS if isinstance(self.n_refinements, str) else self.n_refinements):
            assert isinstance(self.regressor_, MTRN)
            assert self.causal_model_ is not None
            if automatic and not self._encoder_falls_short(given):
                break
            seeds = rng.integers(2**31, size=2)
            stages, data = (self.regressor_, self.causal_model_), (given.X, given.y, given.tasks, given.groups)
            rows = {"order": given.order, "sample_weight": given.sample_weight}
            refined = refine(*stages, *data, int(seeds[0]), **rows)
            if refined is None:
                break
            self.regressor_ = refined.set_output(transform="default")
            self.causal_model_ = self._stage_two(int(seeds[1]))
            self.n_refinements_ += 1

    def _encoder_falls_short(self, given: Given) -> bool:
        """Tell whether the encoder is shown to leave an axis too low a correlation with its latent."""
        data, _ = given.checked(self.regressor_)
        # Unknown is NaN, which is no reason.
        return bool(np.any(self._encoder_mcc(data) < _GOOD_ENCODER))

    def _check(self, data: TaskData, groups: IntArray | None, given: Given, rng: np.random.Generator) -> list[str]:
        """Look at the rows, at the encoder and at fits to halves of the rows; return what is to be said of the rows."""
        own = given.own_groups(data)
        self._trained_rows, self._reference = TrainedRows.of(data.X, own), self._looked_at(data, groups, own)
        looked, rows = data.in_memory()
        self.row_order_, names = check_row_order(looked, some_of(groups, rows)), self._names_of_inputs(self.regressor_)
        copies = copy_remarks(linear_copies(looked, None if names is None else names.tolist()))
        self.encoder_mcc_ = self._encoder_mcc(data)
        self.comes_back_, numbers = self._checked(data, groups, rng)
        remarks = [f"{'; '.join(copies)}." if copies else "", self.row_order_.remark, self._remark_on_number(numbers)]
        return [text for text in remarks if text]

    def _looked_at(self, data: TaskData, groups: IntArray | None, own: IntArray | None) -> Reference | None:
        """Return what latents, targets and inputs look like, given groups counted once; None without latents."""
        stage, model = self.regressor_, self.causal_model_
        if model is None:
            return None
        is_network = isinstance(stage, MTRN)
        held_out = self._held_out_rows(data, groups) if is_network else None
        data, rows = data.in_memory()
        groups, own, held_out = (some_of(of, rows) for of in (groups, own, held_out))
        Z = model._map(stage._reduce(data.X))
        if held_out is not None:
            unseen = np.where(held_out[:, None], Z, np.nan)
        else:
            unseen = Fitted(stage, model, data, groups).latents(np.ones(len(Z), dtype=bool))
        targets = targets_looked_at(data.targets, data.X, data.task_index, len(data.task_names), own)
        return Reference.of(unseen, Z, data.X, targets, own, between=not is_network, ordered=data.order is not None)

    def _held_out_rows(self, data: TaskData, groups: IntArray | None) -> BoolArray:
        """Tell which rows validated a network; latents of other regressors are without the row in any case."""
        stage = self.regressor_
        if not isinstance(stage, MTRN):
            return np.ones(len(data.X), dtype=bool)
        if data.order is None:
            return stage._held_out
        # Of an order the network knows the rows on both sides of the gap only.
        share, rng = stage.validation_fraction, np.random.default_rng(0)
        return two_sides(len(data.X), share, rng, groups=groups, tasks=data.task_index, order=data.order)[1]

    def _encoder_mcc(self, data: TaskData) -> Array:
        """Correlation that the encoder leaves between axes and latents, (D,), NaN where that cannot be told."""
        stage, model = self.regressor_, self.causal_model_
        if model is not None and isinstance(stage, MTRN) and (found := encoder_correlation_of(stage, model, data)):
            return found.correlation
        return np.full(self.n_components_, np.nan)

    def _remark_on_number(self, numbers: list[int]) -> str:
        """Say so if all fits to halves of the rows take more latents, though they see fewer rows; empty otherwise."""
        D = self.n_components_
        if self.regressor_.n_components != "auto" or not numbers or min(numbers) <= D + _ABOUT_AS_MANY:
            return ""
        taken = " and ".join(map(str, numbers))
        return (
            f'The number of latents does not come back: n_components="auto" takes {D}, and {taken} in fits to halves '
            f"of the rows. Pass n_components={min(numbers)}."
        )

    def _checked(
        self, data: TaskData, groups: IntArray | None, rng: np.random.Generator
    ) -> tuple[ComesBack, list[int]]:
        """Fit again to halves of the rows, with a stage one like that of the fit, and compare.

        Also the numbers of latents that "auto" takes there, which the range of the fit reaches.
        """
        model, numbers = self.causal_model_, list[int]()
        if model is None:
            return ComesBack.unknown(0, "there are no axes"), numbers
        if self.n_checks == 0:
            why = "no fits to other rows were made: fit again with 2 checks"
            return ComesBack.unknown(self.n_components_, why), numbers
        if self.row_order_.reason:
            return ComesBack.unknown(self.n_components_, self.row_order_.reason), numbers

        def refit(rows: BoolArray, seed: int, quick: bool) -> Fitted:
            # Tasks of parts of the rows have numbers for names, and the kinds that they have on all rows.
            kinds: Any = dict(enumerate(self.regressor_.target_kinds_))
            own = clone(self.regressor_).set_params(n_components=self.n_components_, target_type=kinds)
            if isinstance(own, MTRN):
                # Half of the rows and half of the replicates double both parts of the error.
                own.set_params(n_replicates=max(own.n_replicates // 2, 1))
            elif quick and own.cross_fit != "oob":
                own.set_params(cross_fit=2)
            other = clone(self).set_params(
                n_components=self.n_components_,
                regressor=own,
                n_refinements=self.n_refinements_,
                target_type="auto",
                random_state=seed,
            )
            part = data.rows(rows)
            own_groups = None if groups is None else groups[rows]
            given = Given(part.inputs, part.targets, part.task_index, own_groups, part.order, part.weights)
            own_rng = np.random.default_rng(seed)
            seeds = own_rng.integers(2**31, size=2).tolist()
            stage = other._stage_one(seeds[0])
            stage._judges_signal = False
            other._is_check = True
            other._fit_stages(stage, given, own_rng, seeds[1])
            if not quick:
                numbers.append(other.regressor_._auto_components)
            return Fitted(other.regressor_, other.causal_model_, part, own_groups)

        fit = Fitted(self.regressor_, model, data, groups)
        found = check_fit(fit, refit, self.n_checks, rng, print if self.verbose else _silent)
        self.regressor_._widen_range(numbers)
        return found, numbers

    def _in_axes(self, order: IntArray, factor: Array, origin: Array) -> Self:
        """Return this model with latents ``factor * z[order] + origin``, and without names."""
        found = copy(self)
        if self.causal_model_ is not None:
            found.causal_model_ = self.causal_model_._in_axes(order, factor, origin)
            found.comes_back_ = self.comes_back_._in_order(order)
            found.encoder_mcc_ = self.encoder_mcc_[order]
            found._reference = self._reference and self._reference.in_axes(order, factor, origin)
        return found

    def _saw(self, X: Any) -> BoolArray | None:
        """Tell which rows of inputs this was trained on; None where that is not known."""
        inputs = self._checked_inputs(X)
        return None if self._trained_rows is None else self._trained_rows.saw(inputs)

    def _checked_inputs(self, X: Any) -> NDArray[Any]:
        """Return inputs as stage one has them."""
        return check_features(self.regressor_, self._inputs(X))


def _silent(text: str) -> None:
    """Show nothing."""
