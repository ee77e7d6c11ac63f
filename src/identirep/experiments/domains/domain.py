"""What a domain is: data, what is known of them, and the network that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.datasets import make_linear_tasks
from identirep.experiments.trust import Drawn, in_each_task

__all__ = ["Domain", "draw_observed"]

# Causes of the target of a task; the other factors are its effects.
_N_CAUSAL = 2
# Observations of latents (n_samples, n_latents).
Observe = Callable[[Array, np.random.Generator], NDArray[Any]]


@dataclass(frozen=True)
class Domain:
    """A domain: how its data are drawn, and how they are fitted."""

    draw: Callable[[np.random.Generator, bool], Drawn]  # of generator and quick
    n_latents: int
    network: Mapping[str, Any] = field(default_factory=dict)  # settings of `MTRN` beside its defaults
    quick_epochs: int = 10
    factors: tuple[str, ...] = ()  # names of the true latents
    needs: tuple[str, ...] = ()  # packages that hold the data


def draw_observed(rng: np.random.Generator, n_tasks: int, n_rows: int, n_latents: int, observe: Observe) -> Drawn:
    """Draw tasks of the causal model with rows for two fits and a comparison, and what is observed of the latents."""
    data = make_linear_tasks(
        n_tasks, 3 * n_rows, n_latents, _N_CAUSAL, mixing="identity", observation_noise=0.0, random_state=rng
    )
    return Drawn(observe(data.Z, rng), data.y, *in_each_task(n_tasks, n_rows), tasks=data.tasks, truth=data.Z)
