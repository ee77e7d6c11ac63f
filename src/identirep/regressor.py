"""IdentifiableRegressor: both stages, from inputs and targets to canonical latents."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone

from identirep._typing import RandomState
from identirep.carrying import CarriedStages, Earlier
from identirep.checked_stages import Given
from identirep.checkpoints import FitRecord
from identirep.fitted_stages import STAGE_TWO_LABELS, StageOne
from identirep.mapped_rows import MappedRows
from identirep.missing import shape_of
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN, ChosenRegressor, PredictiveFeatures, choose_regressor, named_stage
from identirep.parameters import Choice, Either, Fault, Made, Rule, Whole, parameter_faults, raise_faults
from identirep.processes import common_generator
from identirep.recording import recorded
from identirep.robust_weights import needs_rows_fault
from identirep.row_labels import warn_of_other_order
from identirep.seeds import as_generator
from identirep.stored_stages import StoredStages
from identirep.target_kinds import TOLD_TYPE, TargetType, needs_labels_fault

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["IdentifiableRegressor"]


class IdentifiableRegressor(StoredStages, CarriedStages, RegressorMixin, BaseEstimator):
    """Multi-task regression whose representation is the same on every run: stage one, then stage two.

    Stage one learns features that predict all targets and are unique up to a linear map (`MTRN`, or the predictions
    of any other multi-output regressor through `PredictiveFeatures`). Stage two (`MTLCM`) finds the axes of these
    features that are unique up to order, sign and scale.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Number of latents; "auto" takes as many as the targets carry signal for on rows held out.
    regressor : {"mtrn", "extra-trees", "ridge", "auto"}, MTRN, PredictiveFeatures or estimator, default "mtrn"
        Stage one. "auto" takes the one that best predicts a quarter of the rows, held out for the choice, and the
        network unless another is clearly better; see `regressor_choice_`. A stage-one object is cloned and used with
        its own settings; its `n_components` and `random_state` are replaced where those of this object are set. Any
        other multi-output regressor is wrapped in `PredictiveFeatures`.
    causal_model : MTLCM, optional
        Stage two, cloned and used with its own settings; default ``MTLCM()``. Its `n_components` is None or that of
        stage one, its `random_state` is drawn from that of this object where it is None.
    n_checks : int, default 2
        Fits of both stages to halves of the rows, an even number, from which `certificate_` says what comes back on
        other rows: 2 for one pair of disjoint halves, 4 for two pairs, 0 for none, with verdicts "not checked". Two
        take about as long as the fit itself.
    n_refinements : int or "auto", default 0
        Rounds in which the network is trained again on what targets and causal model say of the latents of its rows; in
        the long layout, with `MTRN` only. Each takes about as long as stage one, and is the last if on held-out rows
        targets say no more of the latents than before. Two or three bring latents of nonlinear data considerably
        closer to the truth. "auto" makes up to three where the network is shown to leave an axis a correlation with
        its latent under 0.99 (see `encoder_mcc_`), and none with shared inputs or another stage one.
    table_encoder : "auto", TableEncoder or None, default "auto"
        What makes numbers of columns and fills gaps: "auto" is ``TableEncoder()`` for tables (of pandas, polars, Arrow)
        and nothing for arrays; an encoder is cloned and used for both; None takes numbers alone. Gaps are passed on to
        a regressor that takes them, unless the encoder's `impute` says otherwise.
    target_type : str or dict of task to str, default "auto"
        What targets are: "continuous", "binary", "ordinal", "count"; "auto" tells it from their values, see
        `TaskMoments.from_long`, or leaves it to the `target_type` of a stage one that was given. Binary targets are
        predicted by probabilities; see `MTRN` for what the other kinds change.
    verbose : bool, default False
        Whether stage one and the checks show their progress.
    random_state : int, Generator, RandomState or None, default None
        Source of all randomness of both stages.

    Attributes
    ----------
    regressor_ : MTRN or PredictiveFeatures
        Fitted stage one.
    table_encoder_ : TableEncoder or None
        What was learnt of columns; ``get_feature_names_out`` names the inputs of stage one.
    regressor_choice_ : ChosenRegressor or None
        With "auto", the `name` of stage one, the `reason`, and `r2` of each candidate on the rows held out.
    causal_model_ : MTLCM or None
        Fitted stage two; None if the targets carry no signal.
    n_components_ : int
        Number of latents; 0 if "auto" found no signal.
    row_order_ : RowOrder
        What the order of the rows says: whether neighbours are alike, and what that costs on rows away from them.
    n_refinements_ : int
        Rounds of refinement that were kept.
    comparison_ : Comparison or None
        What has become of each axis of the model `like` of the fit; None without one, and in a model that was loaded.
    comes_back_ : ComesBack
        What fits to halves of the rows showed of each axis.
    encoder_mcc_ : array, shape (n_components_,)
        Correlation with its latent that the encoder leaves each axis; NaN where that cannot be told (wide layout).
    certificate_ : Certificate
        Which latents can be trusted.
    structure_ : CausalStructure
        Probability of each role of each latent in each task, and effect sizes with standard errors.
    causal_probability_, causal_coef_, spurious_coef_ : array, shape (n_tasks, n_components_)
        Roles of the latents in each task, see `MTLCM`. With shared inputs they are associations, not causes.
    spectrum_ : array
        Predictive spectrum of stage one, on held-out rows.
    target_kinds_ : tuple of str, length n_tasks
        Kind of each target.
    target_words_ : mapping of str to (str, str)
        Of targets that a table had in two words, such as good and bad, by column: the word for 0 and that for 1. The
        command line sets it.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    left_out_tasks_ : dict of hashable to str
        Tasks of `y` that nothing can be learnt of, with fewer than three labels or constant, and why: the fit warns and
        goes on without them. `score` takes `y` with or without them.
    n_features_in_ : int
        Number of inputs.

    Notes
    -----
    What comes back on other rows is measured, by fits to halves of the rows. That an axis is a latent of the causal
    model ("identified") is said only where tasks have rows of their own; with shared inputs (wide layout) that model
    cannot hold for all tasks at once, and axes are reproducible at best.

    With `like` in `fit`, what the certificate says is still measured by fits to halves of the rows that know of no
    earlier model: an axis can come back from that one, because it was looked for, and be called unstable.

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

    _parameter_rules: ClassVar[dict[str, Rule]] = {
        "n_components": Either(Choice("auto"), Whole()),
        "regressor": Either(
            Choice("mtrn", "extra-trees", "ridge", "auto"),
            Made("an estimator with fit and predict", ("fit", "predict")),
        ),
        "causal_model": Either(Choice(None), Made("an MTLCM", ("fit_moments", "bootstrap"))),
        "n_checks": Whole(0),
        "n_refinements": Either(Choice("auto"), Whole(0)),
        "table_encoder": Either(
            Choice("auto", None), Made("a TableEncoder", ("_to_arrays", "fit_transform", "get_feature_names_out"))
        ),
        "target_type": TOLD_TYPE,
        "verbose": Choice(False, True),
    }

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        regressor: Any = "mtrn",
        causal_model: MTLCM | None = None,
        n_checks: int = 2,
        n_refinements: int | Literal["auto"] = 0,
        table_encoder: Any = "auto",
        target_type: TargetType = "auto",
        verbose: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.regressor = regressor
        self.causal_model = causal_model
        self.n_checks = n_checks
        self.n_refinements = n_refinements
        self.table_encoder = table_encoder
        self.target_type = target_type
        self.verbose = verbose
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        tasks: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        order: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        checkpoint: str | Path | FitRecord | None = None,
        like: Any = None,
    ) -> Self:
        """Fit both stages.

        Parameters
        ----------
        X : array-like or table, shape (n_samples, n_features)
            Inputs: numbers, or a table of any columns, see `table_encoder`.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets; NaN means that the label is missing. One dimension together with `tasks` is the long layout.
        tasks : array-like, optional
            Long layout: label of each row's task. Wide layout: names of the columns of `y`.
        groups : array-like, shape (n_samples,), optional
            Rows of one group (repeated compositions, the same molecule) are never split between training and held-out
            rows. Nor are rows with equal inputs, without being told.
        order : array-like, shape (n_samples,), optional
            Numbers, dates or texts that sort, where rows next to each other are alike (a series in time): what is held
            out is then the last rows, after a gap, or stretches of them.
        sample_weight : array-like, shape (n_samples,), optional
            How much each row says relative to the others of its task, at least 0; default: all alike. Rows of weight 0
            are left out, and a task counts for its effective number of rows, see `TaskMoments`. What is learnt of
            columns of a table, such as the mean that stands in gaps, is of the other rows, all alike.
        checkpoint : str or Path, optional
            Directory, new or of this fit, in which the work is kept from time to time: after Ctrl-C, SIGTERM or a kill
            the same call goes on from there, to the same result, bit for bit on the same machine (but for times in
            ``history_``). Kept are trainings of networks, and predictions of folds by other regressors, whose last fit
            to all rows is made again; modules of your own must have all their state in ``state_dict``. It stays until
            `save` has written the model.
        like : IdentifiableRegressor, optional
            Fitted model whose axes are to be kept; `X` has its inputs. With ``n_components="auto"`` there are as many
            latents. Where tasks share rows, and targets do not tell two solutions apart, the one nearer to it is taken.
            Axes that come back, as measured on rows of this fit, get its order, signs, scales, origins and names, and
            where tasks share rows they are read off all features of stage one, which brings them nearer to the old ones
            (and may predict the targets of this fit a little less well). Others stay without a name, and a warning
            says which; see `comparison_`.

        Returns
        -------
        IdentifiableRegressor
            The fitted model.

        Raises
        ------
        ValueError
            If the data or the parameters are not valid; all faults are listed. Or if `checkpoint` holds other files or
            the work of another fit, damaged, or in use by another process.
        """
        raise_faults(parameter_faults(self))
        # Where `save` looks for it, the working directory may be another.
        kept = Path(checkpoint).absolute() if isinstance(checkpoint, (str, Path)) else None
        rng = common_generator(as_generator(self.random_state))
        self.regressor_choice_: ChosenRegressor | None = None
        raise_faults(self._like_faults(like, X))
        stage = self._with_number_of(like, self._stage_one(0))
        raise_faults([*self._faults(stage, y, tasks), *self._faults_on_disk(stage, X, like)])
        earlier = self._earlier(like, X)
        rows = {"y": y, "tasks": tasks, "groups": groups, "order": order, "sample_weight": sample_weight}
        warn_of_other_order("X", X, **rows)
        given = Given(self._fit_encoder(stage, X, sample_weight), y, tasks, groups, order, sample_weight)
        with recorded(self, given, checkpoint, rng, earlier and earlier.digests()) as done:
            # What has become of the axes of an earlier model is not stored: such a fit is made again of its parts.
            if done is not None and earlier is None:
                return self._taken_over(type(self).load(done))
            for remark in self._fit_and_check(given, rng, earlier):
                warnings.warn(remark, UserWarning, stacklevel=2)
        self._checkpoint = kept
        return self

    def _taken_over(self, done: Self) -> Self:
        """Take the fitted state of another model with the same parameters."""
        parameters = self.get_params(deep=False)
        self.__dict__.update({name: value for name, value in vars(done).items() if name not in parameters})
        return self

    def _fit_and_check(self, given: Given, rng: np.random.Generator, earlier: Earlier | None) -> list[str]:
        """Fit both stages and check what comes back; return what is to be said of the rows."""
        X, y, tasks, groups, order, weight = given
        like = None if earlier is None else earlier.model
        seeds = rng.integers(2**31, size=2)
        stage = self._with_number_of(like, self._stage_one(int(seeds[0])))
        if isinstance(self.regressor, str) and self.regressor == "auto":
            rows = {"order": order, "sample_weight": weight}
            self.regressor_choice_ = choose_regressor(X, y, tasks, groups, int(seeds[0]), **rows)
            stage = self._with_number_of(like, self._stage_one(int(seeds[0])))
        self._fit_stages(stage, given, rng, int(seeds[1]))
        data, unit = given.checked(self.regressor_)
        # Rows that the fit has dropped are dropped here, too.
        earlier = earlier and earlier.rows(data.given_rows)
        latents = self._turn_like(earlier, data, unit)
        return [*self._check(data, unit, given, rng), *self._align_like(earlier, data, unit, latents)]

    def _faults(self, stage: StageOne, y: Any, tasks: ArrayLike | None) -> list[Fault]:
        """List what is wrong with stage two, and with refinements of that stage one, before it is trained."""
        faults = []
        if self.n_checks % 2:
            faults.append(
                Fault(
                    f"n_checks is odd: got {self.n_checks}, expected an even number, since halves of the rows come in "
                    "pairs. Pass 2, or 0 for no checks."
                )
            )
        if self.causal_model is not None:
            found = parameter_faults(self.causal_model)
            found += needs_rows_fault(getattr(self.causal_model, "robust", None))
            found += needs_labels_fault(getattr(self.causal_model, "target_type", None))
            faults += [Fault(f"causal_model: {fault.message}", fault.of_type) for fault in found]
            D = self.causal_model.n_components
            if D is not None and stage.n_components != D:
                faults.append(
                    Fault(
                        f"causal_model has an n_components of its own: got {D!r}, expected None or that of stage one, "
                        f"{stage.n_components!r}. Pass n_components to {type(self).__name__} alone."
                    )
                )
        rounds = 0 if isinstance(self.n_refinements, str) else self.n_refinements
        if rounds > 0 and (tasks is None or len(shape_of(y)) != 1 or not isinstance(stage, MTRN)):
            faults.append(
                Fault(
                    "n_refinements does not fit the data: got targets in the wide layout or a stage one that is no "
                    "MTRN, expected the long layout and an MTRN. Leave n_refinements at 0: with shared inputs the "
                    "causal model says nothing about single rows."
                )
            )
        return faults

    def _faults_on_disk(self, stage: StageOne, X: Any, like: Any) -> list[str]:
        """List what rows on disk do not go with: what needs all of them in memory."""
        if not isinstance(X, MappedRows):
            return []
        others = {
            f"regressor={self.regressor!r}": not isinstance(stage, MTRN) or self.regressor == "auto",
            f"n_refinements={self.n_refinements!r}": self.n_refinements != 0,
            "a table_encoder": self.table_encoder is not None and not isinstance(self.table_encoder, str),
            "like": like is not None,
        }
        return [
            f"X is on disk: got {name} as well, which needs all rows in memory, expected an MTRN and none of the "
            "others. Leave it out, or fit to fewer rows in memory."
            for name, given in others.items()
            if given
        ]

    def _stage_one(self, seed: int) -> StageOne:
        """Return stage one, not fitted; between the stages go arrays, whatever `set_output` says."""
        stage: Any
        if isinstance(self.regressor, str):
            chosen = "mtrn" if self.regressor_choice_ is None else self.regressor_choice_.name
            name = chosen if self.regressor == "auto" else self.regressor
            stage = named_stage(name, self.n_components, verbose=self.verbose)
        elif isinstance(self.regressor, (MTRN, PredictiveFeatures)):
            stage = clone(self.regressor)
            if self.n_components != "auto":
                stage.set_params(n_components=self.n_components)
        else:
            stage = PredictiveFeatures(clone(self.regressor), self.n_components)
        if self.target_type != "auto":
            stage.set_params(target_type=self.target_type)
        if self.random_state is not None or stage.random_state is None:
            stage.set_params(random_state=seed)
        stage._least_labels = STAGE_TWO_LABELS
        return stage.set_output(transform="default")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = self._takes_gaps
        return tags
