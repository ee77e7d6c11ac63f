"""Replicates start from weights of their own: copies of a module are drawn anew, and what stayed equal is refused."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.parameter import is_lazy

__all__ = ["drawn_anew", "refuse_equal_starts"]

_MAX_NAMED = 3
# Names under which layers keep what draws their weights; that of nn.MultiheadAttention has an underscore.
_RESET = ("reset_parameters", "_reset_parameters")


def drawn_anew(module: nn.Module) -> nn.Module:
    """Return a deep copy in which every layer has drawn new weights that knows how to, or whose class can be called.

    Only a class without arguments is called: with others nobody knows how the module was made.
    """
    replicate = copy.deepcopy(module)
    for layer in replicate.modules():
        reset = _reset_of(layer)
        if reset is not None:
            reset()
        elif own := dict(_bare_of(layer)):
            _take_over(own, _made_anew(type(layer)))
    return replicate


def _made_anew(kind: type[nn.Module]) -> nn.Module | None:
    """Return a new module of a class that is made without arguments; None if it is not."""
    try:
        return None if inspect.signature(kind).parameters else kind()
    except Exception:
        # Somebody else's code, which is asked and not needed.
        return None


def _take_over(own: dict[str, nn.Parameter], made: nn.Module | None) -> None:
    """Give parameters the values that those of a new module have, if it has all of them."""
    drawn = {} if made is None else dict(made.named_parameters(recurse=False))
    if all(name in drawn and drawn[name].shape == parameter.shape for name, parameter in own.items()):
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(drawn[name])


def refuse_equal_starts(encoder: nn.Module | Callable[[], nn.Module], replicates: nn.ModuleList) -> None:
    """Refuse parameters that copies have from the module, and what a function returns if its modules start alike."""
    if isinstance(encoder, nn.Module):
        kept = [name for name, own in _bare(encoder) if all(_same(own, replicate, name) for replicate in replicates)]
        where, cause = (
            ", ".join(map(repr, kept[:_MAX_NAMED])),
            "which neither reset_parameters nor a class without arguments draws anew",
        )
        if len(kept) > _MAX_NAMED:
            where += f" and {len(kept) - _MAX_NAMED} more"
    else:
        kept = [str(r) for r, (a, b) in enumerate(pairwise(replicates)) if _alike(a, b)]
        where, cause = "all parameters", "since the function returned the same weights twice"
    if kept:
        raise ValueError(
            f"encoder starts its replicates from the same weights: got equal values of {where}, {cause}, expected "
            "weights of their own, without which agreement of replicates and seeds says nothing. Pass a function that "
            "returns a new module with new weights (encoder=lambda: Encoder()), or give the module that holds them a "
            "method reset_parameters."
        )


def _reset_of(layer: nn.Module) -> Callable[[], object] | None:
    """Return what draws the weights of a layer, None if nothing does."""
    found = (getattr(layer, name, None) for name in _RESET)
    return next((reset for reset in found if callable(reset)), None)


def _bare(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters to be trained whose module cannot draw them, but for constants, which are starts by rule."""
    for path, part in module.named_modules():
        if _reset_of(part) is not None:
            continue
        for name, parameter in _bare_of(part):
            yield f"{path}.{name}" if path else name, parameter


def _bare_of(part: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters of a module itself that are to be trained, but for constants."""
    for name, parameter in part.named_parameters(recurse=False):
        if parameter.requires_grad and not is_lazy(parameter) and not _constant(parameter):
            yield name, parameter


def _constant(parameter: nn.Parameter) -> bool:
    values = parameter.detach().flatten()
    # A single number that was drawn cannot be told from one that was set.
    return bool((values == values[:1]).all())


def _same(own: nn.Parameter, replicate: nn.Module, name: str) -> bool:
    return torch.equal(own.detach().cpu(), replicate.get_parameter(name).detach().cpu())


def _alike(a: nn.Module, b: nn.Module) -> bool:
    """Tell whether two modules have the same parameters throughout."""
    if a is b:
        return True
    first, second = dict(a.named_parameters()), dict(b.named_parameters())
    return (
        bool(first)
        and first.keys() == second.keys()
        and not any(is_lazy(p) for p in (*first.values(), *second.values()))
        and all(p.shape == second[name].shape and torch.equal(p, second[name]) for name, p in first.items())
    )
