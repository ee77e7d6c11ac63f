"""A fit that keeps the axes of an earlier one, as far as its own rows bear them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.canonical_analysis import column_correlations
from identirep.checked_stages import CheckedStages
from identirep.checking import Fitted
from identirep.checkpoints import array_digest
from identirep.comparing import Comparison, Measured, aligned, compared, inputs_of, least_rows, read_off, remark_on_lost
from identirep.fitted_stages import StageOne
from identirep.inputs import column_names
from identirep.missing import shape_of
from identirep.mtrn import MTRN
from identirep.parameters import Fault
from identirep.validation import TaskData

__all__ = ["CarriedStages", "Earlier"]

# Axes that are nearly dependent are none.
_MOST_CONDITION = 1e4


class Earlier(NamedTuple):
    """A model whose axes are wanted, its latents on rows of a fit, and which of these it was trained on, if known."""

    model: Any
    latents: Array
    seen: BoolArray | None

    def rows(self, kept: BoolArray | None) -> Earlier:
        """Return the same on some of the rows."""
        if kept is None:
            return self
        return self._replace(latents=self.latents[kept], seen=None if self.seen is None else self.seen[kept])

    def digests(self) -> dict[str, str]:
        """Return what a fit takes from it, for a checkpoint to compare."""
        named = repr((self.model._names_of_latents(), tuple(map(str, self.model.task_names_))))
        texts = np.frombuffer(named.encode("utf-8", "replace"), dtype=np.uint8)
        return {"like": f"a model with digest {array_digest(self.latents, self.seen, texts)}"}


class CarriedStages(CheckedStages):
    """Base of `IdentifiableRegressor`: fits in the axes of another model."""

    n_components: Any
    comparison_: Comparison | None
    target_words_: Mapping[str, tuple[str, str]]

    def _like_faults(self, like: Any, X: Any) -> list[Fault]:
        """Say what is wrong with a model whose axes are wanted, or is missing in the inputs."""
        if like is None:
            return []
        if not (hasattr(like, "latent_names_") and hasattr(like, "_latents_of")):
            return [
                Fault(
                    f"like has no axes: got {type(like).__name__}, expected a fitted IdentifiableRegressor. Pass the "
                    "model whose axes are to be kept.",
                    True,
                )
            ]
        if not like.latent_names_:
            return [Fault("like has no axes: got a model without latents, expected some. Leave it out.")]
        try:
            inputs_of(like, X, "earlier")
        except ValueError as error:
            return [Fault(str(error))]
        if getattr(like, "_encoder", None) is not None:
            # It counts columns itself.
            return []
        shape, named = shape_of(X), column_names(X) is not None and hasattr(like, "feature_names_in_")
        if not named and len(shape) == 2 and shape[1] != like.n_features_in_:
            return [
                Fault(
                    f"X does not go with like: got {shape[1]} inputs, expected the {like.n_features_in_} of the "
                    "earlier model, or names by which to find them. Pass those."
                )
            ]
        return []

    def _with_number_of(self, like: Any, stage: StageOne) -> StageOne:
        """Let stage one, not fitted, have as many directions as the axes that are wanted, unless a number is given."""
        if like is not None and self.n_components == "auto" and stage.n_components == "auto":
            stage.set_params(n_components=len(like.latent_names_))
        return stage

    def _earlier(self, like: Any, X: Any) -> Earlier | None:
        """Return latents of an earlier model on the rows of this fit, which may be a table that it encodes itself."""
        if like is None:
            return None
        inputs = inputs_of(like, X, "earlier")
        return Earlier(like, like._latents_of(inputs), like._saw(inputs) if hasattr(like, "_saw") else None)

    def _turn_like(self, earlier: Earlier | None, data: TaskData, groups: IntArray | None) -> Array | None:
        """Go to the axes of an earlier model as far as targets let it; return latents to measure them by.

        Of optima of stage two that targets do not tell apart, that is the nearest one. Axes that come back there are
        then read off all features of stage one.
        """
        model = self.causal_model_
        if earlier is None or model is None:
            return None
        H, Z = self.regressor_._reduce(data.X), earlier.latents
        start = np.linalg.lstsq(H - H.mean(axis=0), Z - Z.mean(axis=0), rcond=None)[0].T
        model._turn_to(start, max_iter=model.max_iter, tol=model.tol)
        return self._read_like(earlier, data, groups)

    def _read_like(self, earlier: Earlier, data: TaskData, groups: IntArray | None) -> Array:
        """Read axes that come back off all features of stage one; return latents of the rows as other rows say them.

        Only where axes are chosen and not identified, and only those that are nearer to the earlier ones then, on rows
        that they were not read from.
        """
        stage, model, Z = self.regressor_, self.causal_model_, earlier.latents
        assert model is not None
        fit = Fitted(stage, model, data, groups)
        W = fit.latents(np.ones(len(Z), dtype=bool))
        if not model._chooses_axes:
            return W
        used, words, unseen = self._rows_to_compare(earlier, data, groups, W)
        found = compared(self, earlier.model, Measured(Z[used], W[used], words, unseen))
        kept = np.flatnonzero(found.kept)
        of, own = found.partner[kept], W[:, found.partner[kept]]
        F, known = fit.base_features()
        learn = known & ~self._held_out_rows(data, groups) if isinstance(stage, MTRN) else known
        read = read_off(F, own, Z[:, kept], learn, groups=groups, order=data.order, weights=data.weights)
        if read is None:
            return W
        nearer = column_correlations(read.slope * own[used] + read.unseen[used], Z[np.ix_(used, kept)])
        better = (nearer > found.correlation[kept]) & (read.coef != 0.0).any(axis=1)
        unmixing = model.components_ @ stage.components_
        moved, rest = W - W.mean(axis=0), np.zeros_like(W)
        for j, k in zip(of[better], np.flatnonzero(better), strict=True):
            # In the units and with the sign of its own, until axes are aligned.
            unmixing[j] += read.coef[k] / read.slope[k]
            moved[:, j] += read.values[:, k] / read.slope[k]
            rest[:, j] = (read.unseen[:, k] - read.values[:, k]) / read.slope[k]
        if not better.any() or np.linalg.cond(np.corrcoef(moved, rowvar=False)) > _MOST_CONDITION:
            return W
        self.regressor_ = stage._with_components(unmixing, F[known], data.rows(known))
        model._move_to(self.regressor_.moments_, unmixing @ np.linalg.pinv(self.regressor_.components_))
        units = np.linalg.norm(model.components_ @ self.regressor_.components_, axis=1) / np.linalg.norm(
            unmixing, axis=1
        )
        fit = Fitted(self.regressor_, model, data, groups)
        return fit.latents(np.ones(len(Z), dtype=bool)) + units * rest

    def _align_like(
        self, earlier: Earlier | None, data: TaskData, groups: IntArray | None, latents: Array | None
    ) -> list[str]:
        """Take order, signs, scales, origins and names of axes that come back; return what is to be said of others."""
        self.comparison_, self.target_words_ = None, {}
        model = self.causal_model_
        if earlier is None:
            return []
        if model is None:
            return ["There are no latents, so that no axis of the earlier model comes back."]
        assert latents is not None
        used, words, unseen = self._rows_to_compare(earlier, data, groups, latents)
        measured = Measured(earlier.latents[used], latents[used], words, unseen)
        moved, self.comparison_ = aligned(self, earlier.model, measured)
        for name in ("causal_model_", "comes_back_", "encoder_mcc_", "_reference"):
            setattr(self, name, getattr(moved, name))
        return [remark] if (remark := remark_on_lost(self.comparison_)) else []

    def _rows_to_compare(
        self, earlier: Earlier, data: TaskData, groups: IntArray | None, latents: Array
    ) -> tuple[BoolArray, str, bool]:
        """Choose rows of the fit that the earlier model has not seen and, of a network, that were held out from it."""
        old, own = earlier.seen, self._held_out_rows(data, groups)
        n, least = len(own), least_rows(earlier.latents.shape[1], latents.shape[1])
        if old is not None and np.sum(own & ~old) >= least:
            return own & ~old, "rows that neither was trained on", True
        if old is None:
            where = own if own.sum() >= least else np.ones(n, dtype=bool)
            return where, "rows; whether the earlier model was trained on them is not known", False
        where = ~old if np.sum(~old) >= least else np.ones(n, dtype=bool)
        return where, "rows of the fit, so that correlations may be off", False
