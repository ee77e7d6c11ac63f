"""Where simulated tasks come from: the causal graph of the paper, or the tasks of a pilot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.special import digamma, polygamma

from identirep._typing import Array
from identirep.datasets import make_linear_tasks
from identirep.moments import TaskMoments
from identirep.mtlcm import LatentFit

__all__ = ["Design", "Drawn", "Growing", "Pilot", "Population", "Study"]

# Tasks are drawn in blocks that double, so that a longer study starts with the tasks of a shorter one.
_FIRST_BLOCK = 16


class Drawn(NamedTuple):
    """Latents (n_tasks, n_samples, D) and targets (n_tasks, n_samples)."""

    Z: Array
    y: Array

    def first(self, n_tasks: int, n_samples: int) -> Drawn:
        """Return the first tasks, and the first rows of these."""
        return Drawn(self.Z[:n_tasks, :n_samples], self.y[:n_tasks, :n_samples])


class Study(Protocol):
    """Tasks of one imagined study; `mixing` makes features (K, D) of their latents."""

    @property
    def mixing(self) -> Array:
        """The mixing matrix."""
        ...

    def draw(self, n_tasks: int, n_samples: int, rng: np.random.Generator) -> Drawn:
        """Draw tasks with so many rows each."""
        ...


class Population(Protocol):
    """What studies are imagined of; `highest` is the mean correlation that observation noise leaves."""

    @property
    def n_components(self) -> int:
        """Number of latents D."""
        ...

    @property
    def highest(self) -> float:
        """The largest correlation that there can be."""
        ...

    @property
    def noise_std(self) -> float:
        """Deviation of the noise on each feature."""
        ...

    @property
    def known_noise(self) -> float:
        """Deviation of the noise that a fit can know of."""
        ...

    def study(self, rng: np.random.Generator, *, own_tasks: bool) -> Study:
        """Imagine a study, of the tasks of the population as they are if it has `own_tasks`."""
        ...


@dataclass(frozen=True)
class Design:
    """Studies of the causal graph alone; without a number of causes each study has one of its own."""

    n_components: int
    n_causal: int | None
    spurious_std: float
    noise_std: float

    # The mixing is orthogonal, where no likelihood can tell noise from the latents' own variation.
    known_noise = 0.0

    @property
    def highest(self) -> float:
        """Correlation of a latent of unit variance with itself and the noise."""
        return float(1.0 / np.sqrt(1.0 + self.noise_std**2))

    def study(self, rng: np.random.Generator, *, own_tasks: bool) -> Study:
        """Imagine a study with a mixing of its own."""
        D = self.n_components
        causes = int(rng.integers(1, D)) if self.n_causal is None else self.n_causal
        return _DesignedStudy(_rotation(D, rng), causes, self.spurious_std)


@dataclass(frozen=True)
class _DesignedStudy:
    mixing: Array
    n_causal: int
    spurious_std: float

    def draw(self, n_tasks: int, n_samples: int, rng: np.random.Generator) -> Drawn:
        """Draw tasks with standardised latents, as `make_linear_tasks` does."""
        D = len(self.mixing)
        settings: dict[str, Any] = {"mixing": "identity", "observation_noise": 0.0, "spurious_std": self.spurious_std}
        data = make_linear_tasks(n_tasks, n_samples, D, self.n_causal, **settings, random_state=rng)
        return Drawn(data.Z.reshape(n_tasks, n_samples, D), data.y.reshape(n_tasks, n_samples))


@dataclass(frozen=True)
class Pilot:
    """Studies of tasks like those of a pilot: `effects` on the latents of a target of unit variance, `variances` left.

    Both have the shape (n_tasks, D).
    """

    effects: Array
    variances: Array
    mixing: Array
    noise_std: float
    highest: float

    @property
    def n_components(self) -> int:
        """Those of the pilot."""
        return self.variances.shape[1]

    @property
    def known_noise(self) -> float:
        """What the pilot has found."""
        return self.noise_std

    @classmethod
    def of(cls, fit: LatentFit, moments: TaskMoments, highest: float) -> Pilot:
        """Read tasks from a fit."""
        latents = moments.map_features(fit.unmixing)
        effects = latents.cov_hy / np.sqrt(latents.var_y)[:, None]
        noise = float(np.sqrt(fit.noise_variance))
        return cls(effects, _without_sampling_error(fit.variances, moments.n_samples), fit.mixing, noise, highest)

    def study(self, rng: np.random.Generator, *, own_tasks: bool) -> Study:
        """Imagine a study: of the tasks of the pilot, or of tasks drawn from these."""
        # Any rotation of noiseless features is as good, and none may be the one that the fit starts from.
        mixing = self.mixing if self.noise_std > 0.0 else _rotation(self.variances.shape[1], rng)
        return _PilotStudy(mixing, self.effects, self.variances, own_tasks)


@dataclass(frozen=True)
class _PilotStudy:
    mixing: Array
    effects: Array
    variances: Array
    own_tasks: bool

    def draw(self, n_tasks: int, n_samples: int, rng: np.random.Generator) -> Drawn:
        """Draw rows of the factorised prior (6): latents that are independent given the target."""
        T, D = self.variances.shape
        chosen = np.arange(n_tasks) if self.own_tasks else rng.integers(T, size=n_tasks)
        y = rng.standard_normal((n_tasks, n_samples))
        Z = np.sqrt(self.variances[chosen])[:, None] * rng.standard_normal((n_tasks, n_samples, D))
        return Drawn(Z + self.effects[chosen][:, None] * y[:, :, None], y)


def _without_sampling_error(variances: Array, n_samples: Array) -> Array:
    """Draw log variances of a latent together by what sampling error adds to how they differ between tasks.

    With f degrees of freedom the log of a sample variance varies by trigamma(f / 2). How much that is of all there is
    is asked of all latents at once: a few tasks tell little of a single one.
    """
    half = 0.5 * np.maximum(n_samples - 2.0, 1.0)[:, None]
    logs = np.log(np.maximum(variances, np.finfo(np.float64).tiny)) - (digamma(half) - np.log(half))
    mean, total = logs.mean(axis=0), float(logs.var(axis=0, ddof=1).mean())
    left = max(total - float(polygamma(1, half).mean()), 0.0)
    kept = np.exp(mean + np.sqrt(left / total if total > 0.0 else 0.0) * (logs - mean))
    return np.asarray(kept * variances.mean(axis=0) / kept.mean(axis=0))


def _rotation(D: int, rng: np.random.Generator) -> Array:
    """Draw an orthogonal matrix, uniformly (Mezzadri 2007)."""
    Q, R = np.linalg.qr(rng.standard_normal((D, D)))
    return np.asarray(Q * np.sign(np.diagonal(R)))


class Growing:
    """Tasks of a study with the same number of rows, drawn as they are asked for."""

    def __init__(self, study: Study, n_samples: int, rng: np.random.Generator) -> None:
        self._study, self._n_samples, self._rng = study, n_samples, rng
        self._blocks: list[Drawn] = []

    def first(self, n_tasks: int) -> Drawn:
        """Return the first tasks."""
        while (known := sum(len(block.y) for block in self._blocks)) < n_tasks:
            self._blocks.append(self._study.draw(max(known, _FIRST_BLOCK), self._n_samples, self._rng))
        joined = Drawn(*(np.concatenate(parts) for parts in zip(*self._blocks, strict=True)))
        return joined.first(n_tasks, self._n_samples)
