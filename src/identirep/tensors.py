"""Tensors of torch as arrays: on any device, of any dtype, with a graph behind them or not."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["unless_tensors"]


def unless_tensors(values: Any, name: str) -> Any:
    """Return a tensor, or a list of them, as an array, anything else as it is; TypeError for one without numbers."""
    if (torch := sys.modules.get("torch")) is not None:
        if isinstance(values, torch.Tensor):
            return _of_tensor(values, name)
        if isinstance(values, (list, tuple)) and values and all(isinstance(part, torch.Tensor) for part in values):
            return _stacked([_of_tensor(part, name) for part in values], name)
    return values


def _stacked(arrays: list[NDArray[Any]], name: str) -> NDArray[Any]:
    if len(shapes := list(dict.fromkeys(array.shape for array in arrays))) > 1:
        raise TypeError(
            f"{name} has rows of several shapes: got tensors of {shapes[0]} and {shapes[1]}, expected one shape. Pass "
            "rows of one length."
        )
    return np.stack(arrays)


def _of_tensor(tensor: Any, name: str) -> NDArray[Any]:
    if tensor.layout != sys.modules["torch"].strided:
        raise TypeError(
            f"{name} is a sparse tensor: got layout {tensor.layout}, expected a dense one. Call {name}.to_dense()."
        )
    if tensor.device.type == "meta":
        raise TypeError(
            f"{name} has no values: got a tensor on the meta device, expected one with numbers. Make it on a device."
        )
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    # NumPy has no bfloat16.
    short_float = tensor.is_floating_point() and tensor.element_size() <= 2
    return np.asarray((tensor.float() if short_float else tensor).numpy())
