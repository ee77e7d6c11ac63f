"""A fitted MTRN as arrays and plain values, and back; nothing is pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtrn.encoders import make_encoder

if TYPE_CHECKING:
    from identirep.mtrn.estimator import MTRN

__all__ = ["restore_state", "stored_state"]

_ARRAYS = ("components_", "mean_", "coef_", "intercept_", "noise_std_", "spectrum_", "spectrum_threshold_")


def stored_state(estimator: MTRN) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the fitted state.

    Parameters
    ----------
    estimator : MTRN
        Fitted.

    Returns
    -------
    arrays : dict of array
        Everything numerical, on the CPU.
    meta : dict
        What JSON can hold. Parameters, feature names and history are not part of it.
    """
    moments, moments_meta = estimator.moments_.to_arrays()
    arrays = {name: np.ascontiguousarray(getattr(estimator, name)) for name in _ARRAYS}
    arrays |= {f"moments.{name}": value for name, value in moments.items()}
    arrays |= {f"module.{name}": value.numpy().copy() for name, value in estimator.module_.state_dict().items()}
    meta = {
        "moments": moments_meta,
        "n_features_in": estimator.n_features_in_,
        "sizes": list(getattr(estimator.module_, "sizes", ())),
        "flat_target": estimator._flat_target,
    }
    return arrays, meta


def restore_state(estimator: MTRN, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
    """Put a stored state into an estimator with the same parameters.

    Parameters
    ----------
    estimator : MTRN
        Gets the fitted attributes. With an encoder of the user, its ``encoder`` parameter has the same architecture.
    arrays : dict of array
        From `stored_state`.
    meta : dict
        From `stored_state`.

    Raises
    ------
    ValueError
        If the encoder does not fit the stored weights.
    """
    if bool(meta["sizes"]) != isinstance(estimator.encoder, str):
        raise ValueError(
            f"encoder does not fit the stored weights: got {estimator.encoder!r}, expected "
            f"{'mlp' if meta['sizes'] else 'the module that the model was fitted with, which is not stored'!r}. Pass "
            "encoder=... with the same architecture."
        )
    module = make_encoder(
        estimator.encoder, sizes=meta["sizes"], n_replicates=estimator.n_replicates, generator=torch.Generator()
    )
    prefix = "module."
    weights = {name[len(prefix) :]: torch.from_numpy(a.copy()) for name, a in arrays.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"encoder does not fit the stored weights: got {error}, expected the architecture that the model was "
            "fitted with. Pass encoder=... with the same architecture."
        ) from None
    estimator.module_ = module.eval()
    for name in _ARRAYS:
        setattr(estimator, name, arrays[name])
    prefix = "moments."
    moments = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    estimator.moments_ = TaskMoments.from_parts(moments, meta["moments"])
    estimator.task_names_ = estimator.moments_.task_names
    estimator.n_components_ = len(estimator.components_)
    estimator.n_features_in_ = int(meta["n_features_in"])
    estimator._flat_target = bool(meta["flat_target"])
