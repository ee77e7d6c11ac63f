"""Both stages in files: the part of `IdentifiableRegressor` that writes and reads a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from identirep.comparing import Comparison, Reference, TrainedRows
from identirep.encoding import TableEncoder
from identirep.exchangeability import RowOrder
from identirep.fitted_stages import StageOne
from identirep.mtlcm import MTLCM, ComesBack
from identirep.mtrn import MTRN, ChosenRegressor, PredictiveFeatures
from identirep.persistence import Part, Run, opened_run, prefixed, restored, taken, write_run
from identirep.recording import removed_checkpoint
from identirep.shapes import Damage
from identirep.two_stages import TwoStages

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["StoredStages"]


class StoredStages(TwoStages):
    """Base of `IdentifiableRegressor`: its files."""

    n_refinements_: int
    row_order_: RowOrder
    regressor_choice_: ChosenRegressor | None
    comparison_: Comparison | None
    target_words_: Mapping[str, tuple[str, str]] = MappingProxyType({})
    # Where the work of the fit is kept, if it is.
    _checkpoint: Path | None
    # None in a model that was stored before they were kept.
    _trained_rows: TrainedRows | None
    _reference: Reference | None

    def save(self, directory: str | Path) -> None:
        """Write the model to a run directory.

        Parameters
        ----------
        directory : str or Path
            ``model.safetensors``, ``model.json``, and ``history.parquet`` of a network or ``estimator.skops`` of a
            regressor of scikit-learn are put there, all or none; other files of an existing run directory are kept.
            `random_state` is stored if it is an int; `device` and `verbose` are not. The checkpoint of the fit is
            removed then.

        Raises
        ------
        TypeError
            If stage one is a regressor that is not made of the types of scikit-learn.
        """
        check_is_fitted(self)
        stage = self.regressor_
        parts: dict[str, Part | None] = {
            "model": Part.of(self),
            "regressor": Part.of(stage),
            "causal_model": None if self.causal_model_ is None else Part.of(self.causal_model_),
        }
        names = getattr(stage if self._encoder is None else self._encoder, "feature_names_in_", None)
        history, estimators = None, dict[str, Any]()
        if isinstance(stage, MTRN):
            history = stage.history_
        else:
            estimators = {"parameter": stage.regressor, "fitted": stage.regressor_}
        parts["table_encoder"] = self._encoder_part(estimators)
        write_run(directory, Run("IdentifiableRegressor", parts, names, history, estimators or None))
        if (kept := getattr(self, "_checkpoint", None)) is not None:
            removed_checkpoint(kept)
            # Whatever is there later is of another fit.
            self._checkpoint = None

    @classmethod
    def load(cls, directory: str | Path, *, encoder: Any = None) -> Self:
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
            Of the class that `load` is called on, with stages of this library; gives the same latents, bit for bit on
            the same machine.

        Raises
        ------
        FileNotFoundError
            If there is no model in the directory.
        ValueError
            If the files are damaged, of a newer format, or hold a model of another kind; or if the encoder is missing.
        """
        with opened_run(directory, "IdentifiableRegressor") as run:
            nested = {"MTRN": MTRN, "MTLCM": MTLCM, "PredictiveFeatures": PredictiveFeatures}
            nested |= {"regressor": MTRN, "causal_model": MTLCM, "table_encoder": TableEncoder}
            estimators = run.estimators or {}
            foreign = estimators.get("parameter")
            model = restored(cls, run.parts["model"], encoder=encoder, foreign=foreign, nested=nested)
            stage: StageOne
            if "fitted" not in estimators:
                stage = restored(MTRN, run.parts["regressor"], encoder=encoder)
                stage.history_ = run.history or []
            else:
                stage = restored(PredictiveFeatures, run.parts["regressor"], foreign=foreign)
                stage.regressor_ = estimators["fitted"]
            model._read_encoder(run, estimators)
            model.causal_model_ = model.comparison_ = None
            if (causal := run.parts["causal_model"]) is not None:
                model.causal_model_ = restored(MTLCM, causal).set_output(transform="default")
            if run.feature_names is not None and model.table_encoder_ is None:
                stage.feature_names_in_ = run.names_of(stage.n_features_in_)
            model.regressor_ = stage.set_output(transform="default")
            model._check_parts()
        return model

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return what this model has besides its stages."""
        arrays, comes_back = self.comes_back_._to_arrays()
        arrays = prefixed("comes_back", arrays) | {"encoder_mcc": self.encoder_mcc_}
        # A model that was stored without it has none.
        if hasattr(self, "row_order_"):
            arrays |= prefixed("row_order", self.row_order_._to_arrays())
        if self._trained_rows is not None:
            arrays |= prefixed("trained_rows", self._trained_rows.to_arrays())
        if self._reference is not None:
            arrays |= prefixed("reference", self._reference.to_arrays())
        choice, words = self.regressor_choice_ and asdict(self.regressor_choice_), self.target_words_
        return arrays, {
            "n_refinements": self.n_refinements_,
            "comes_back": comes_back,
            "regressor_choice": choice,
            **({"target_words": {name: list(pair) for name, pair in words.items()}} if words else {}),
        }

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Self:
        self.n_refinements_, choice = int(meta["n_refinements"]), meta["regressor_choice"]
        self.regressor_choice_ = choice and ChosenRegressor(**choice)
        self.target_words_ = _words_of(meta.get("target_words", {}))
        self.comes_back_ = ComesBack._of_arrays(taken("comes_back", arrays), meta["comes_back"])
        self.encoder_mcc_ = arrays["encoder_mcc"]
        if order := taken("row_order", arrays):
            self.row_order_ = RowOrder._of_arrays(order)
        rows = taken("trained_rows", arrays)
        self._trained_rows = TrainedRows.of_arrays(rows) if rows else None
        seen = taken("reference", arrays)
        self._reference = Reference.of_arrays(seen, len(self.encoder_mcc_)) if seen else None
        return self


def _words_of(stored: Any) -> dict[str, tuple[str, str]]:
    """Return the words for 0 and 1 of targets, as they were stored."""
    pairs = {name: tuple(pair) for name, pair in stored.items()}
    if not all(len(pair) == 2 and all(isinstance(word, str) for word in pair) for pair in pairs.values()):
        raise Damage("words of targets that are no pairs")
    if any(zero.casefold() == one.casefold() for zero, one in pairs.values()):
        raise Damage("words of targets that are the same")
    return pairs
