"""CausalStructure: roles of latents in each task with their probabilities, and effect sizes with standard errors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.mtlcm.roles.posterior import CausalPosterior
from identirep.mtlcm.roles.sets import swept_on

if TYPE_CHECKING:
    import networkx
    import pyarrow

__all__ = ["CausalStructure", "causal_structure"]

ROLES = ("cause", "effect", "unrelated")
# Residual variances of latents below this share of their variance: collinear with the causes.
_COLLINEAR = 1e-10


@dataclass(frozen=True)
class CausalStructure:
    r"""Which latents cause each target, which are caused by it, which have nothing to do with it, and how strongly.

    .. math::
        y = \sum_{i \in C_t} w_{ti} z_i + b_t + \mathcal N(0, s_t^2), \qquad
        z_i \mid y \sim \mathcal N(\gamma_{ti} y, q_{ti}) \;\; (i \notin C_t).

    Parameters
    ----------
    cause, effect, unrelated : array, shape (n_tasks, D)
        Posterior probability of each role; the three sum to one.
    causal_coef : array, shape (n_tasks, D)
        w: regression of the target on the most probable causes of the task; for a latent that is not among them, the
        coefficient that it gets when it joins them.
    causal_std_error : array, shape (n_tasks, D)
        Standard error of `causal_coef`; NaN where a task has too few rows for the regression.
    spurious_coef : array, shape (n_tasks, D)
        gamma: regression of each latent on the target, whatever its role.
    spurious_std_error : array, shape (n_tasks, D)
        Standard error of `spurious_coef`.
    task_names : tuple of hashable, length n_tasks
        Labels of the tasks.
    scales : {"free", "shared"}
        Whether variances of causes, and of effects given the target, were taken as equal in all tasks: the marginal
        likelihood decides. Shared ones tell roles apart by the variance of a latent.
    exact : bool
        Whether all sets of causes were enumerated (up to 12 latents); if not, the sets were averaged over the ten
        latents of each task whose role is least clear.
    given_names : mapping of int to str
        Names of latents, by number, from `name_latents`; the others are "z0", "z1", ...

    Notes
    -----
    Coefficients are those of latents of unit pooled within-task variance. Standard errors are those of the regressions,
    given roles and axes: add what `Certificate.leakage` says of the axes.

    A latent that alone correlates with a target explains it equally well as cause and as effect. Probabilities then
    stay at what all tasks together suggest, near one half if that is nothing. With shared inputs (all tasks observed
    on the same rows) the causal model cannot hold for all tasks at once: read roles as associations.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> data = make_linear_tasks(n_tasks=100, n_latents=5, mixing="orthogonal", random_state=0)
    >>> structure = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks).structure_
    >>> structure.cause.shape
    (100, 5)
    >>> structure.to_table().column_names
    ['task', 'latent', 'role', 'probability', 'coefficient', 'std_error']
    >>> sorted(structure.graph(0).predecessors(0))
    ['z2', 'z3']
    """

    cause: Array
    effect: Array
    unrelated: Array
    causal_coef: Array
    causal_std_error: Array
    spurious_coef: Array
    spurious_std_error: Array
    task_names: tuple[Hashable, ...]
    scales: Literal["free", "shared"]
    exact: bool
    given_names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, task_names: tuple[Hashable, ...]) -> CausalStructure:
        """Return the structure of a representation without latents: the targets carry no signal.

        Parameters
        ----------
        task_names : tuple of hashable, length n_tasks
            Labels of the tasks.

        Returns
        -------
        CausalStructure
            Arrays of shape (n_tasks, 0), graphs of the task alone.
        """
        none = np.zeros((len(task_names), 0))
        return cls(none, none, none, none, none, none, none, task_names, "free", True)

    @property
    def role(self) -> NDArray[np.str_]:
        """Most probable role of each latent, shape (n_tasks, D)."""
        return np.array(ROLES)[np.argmax([self.cause, self.effect, self.unrelated], axis=0)]

    def to_table(self) -> pyarrow.Table:
        """Return one row for each task, latent and role.

        Returns
        -------
        pyarrow.Table
            Columns ``task`` (numbers or text as in `task_names`; other labels become text), ``latent`` (its name, "z0",
            ... without one), ``role`` ("cause", "effect", "unrelated"), ``probability``, ``coefficient`` (w for a
            cause, gamma for an effect, null for unrelated) and ``std_error`` (likewise). ``to_table().to_pandas()``
            makes a data frame.
        """
        import pyarrow as pa

        T, D = self.cause.shape
        missing = np.full((T, D), np.nan)
        probability = np.stack([self.cause, self.effect, self.unrelated], axis=2)
        coefficient = np.stack([self.causal_coef, self.spurious_coef, missing], axis=2)
        error = np.stack([self.causal_std_error, self.spurious_std_error, missing], axis=2)
        same = len({type(name) for name in self.task_names}) == 1 and isinstance(self.task_names[0], (str, int, float))
        names = list(self.task_names) if same else [str(name) for name in self.task_names]
        return pa.table(
            {
                "task": pa.array(names).take(pa.array(np.repeat(np.arange(T), D * len(ROLES)))),
                "latent": [name for name in self._latents(D) for _ in ROLES] * T,
                "role": list(ROLES) * (T * D),
                "probability": probability.ravel(),
                "coefficient": pa.array(coefficient.ravel(), from_pandas=True),
                "std_error": pa.array(error.ravel(), from_pandas=True),
            }
        )

    def graph(self, task: Hashable, *, threshold: float = 0.5) -> networkx.DiGraph:
        """Return the causal graph of a task.

        Parameters
        ----------
        task : hashable
            Label of the task, one of `task_names`.
        threshold : float, default 0.5
            Smallest probability of a role for its edge to be drawn, in (0, 1].

        Returns
        -------
        networkx.DiGraph
            Nodes are the latents, by their names or as "z0", "z1", ... (attributes ``kind="latent"`` and the
            probability of each role), and the label of the task (``kind="task"``). A latent with the name of the task
            is "z0", ... there. Edges lead from causes to the task and from the task to its
            effects, with attributes ``role``, ``probability``, ``coefficient`` and ``std_error``.

        Raises
        ------
        ValueError
            If the task is unknown, has the name of a latent, or the threshold is out of range.
        """
        import networkx as nx

        if task not in self.task_names:
            raise ValueError(
                f"task is unknown: got {task!r}, expected one of the {len(self.task_names)} labels in task_names. "
                "Choose one of these."
            )
        if not 0.0 < threshold <= 1.0:
            raise ValueError(
                f"threshold is out of range: got {threshold!r}, expected a number above 0 and at most 1. Pass for "
                "example 0.5."
            )
        t = self.task_names.index(task)
        # A latent is often named after the target that it goes with.
        latents = [f"z{i}" if name == task else name for i, name in enumerate(self._latents(self.cause.shape[1]))]
        if task in latents:
            raise ValueError(
                f"task has the name of a latent: got {task!r}, expected a label other than those of the latents. "
                "Rename the task before fitting."
            )
        graph = nx.DiGraph()
        graph.add_node(task, kind="task")
        for i, latent in enumerate(latents):
            cause, effect = float(self.cause[t, i]), float(self.effect[t, i])
            graph.add_node(latent, kind="latent", cause=cause, effect=effect, unrelated=float(self.unrelated[t, i]))
            if cause >= threshold:
                w, error = float(self.causal_coef[t, i]), float(self.causal_std_error[t, i])
                graph.add_edge(latent, task, role="cause", probability=cause, coefficient=w, std_error=error)
            if effect >= threshold:
                w, error = float(self.spurious_coef[t, i]), float(self.spurious_std_error[t, i])
                graph.add_edge(task, latent, role="effect", probability=effect, coefficient=w, std_error=error)
        return graph

    def _latents(self, D: int) -> list[str]:
        return [self.given_names.get(i, f"z{i}") for i in range(D)]


def causal_structure(
    posterior: CausalPosterior,
    correlation: Array,
    scale: Array,
    n_samples: Counts,
    task_names: tuple[Hashable, ...],
    given_names: Mapping[int, str] | None = None,
) -> CausalStructure:
    """Join probabilities and effect sizes; `scale` (n_tasks, D + 1) are standard deviations of latents and target."""
    D = correlation.shape[1] - 1
    causal, n = posterior.best, n_samples[:, None]
    coef, error = _joining_regression(swept_on(correlation, causal), causal, n)
    to_causal = scale[:, D:] / scale[:, :D]
    rho = correlation[:, :D, D]
    gamma_error = np.sqrt(np.maximum(1.0 - rho**2, 0.0) / np.maximum(n - 2, 1))
    return CausalStructure(
        cause=posterior.cause,
        effect=posterior.effect,
        unrelated=posterior.unrelated,
        causal_coef=coef * to_causal,
        causal_std_error=error * to_causal,
        spurious_coef=rho / to_causal,
        spurious_std_error=gamma_error / to_causal,
        task_names=task_names,
        scales="free" if posterior.scales is None else "shared",
        exact=posterior.exact,
        given_names=given_names or {},
    )


def _joining_regression(M: Array, causal: BoolArray, n: IntArray) -> tuple[Array, Array]:
    """Standardised coefficients and standard errors of causes, and of each other latent if it joined them.

    In the swept matrix `M` a cause has its coefficient in the column of the target and minus the inverse of the
    normal matrix on the diagonal; any other latent has there what the causes leave of its covariance and variance.
    """
    D = causal.shape[1]
    diagonal = np.einsum("tii->ti", M)[:, :D]
    column, residual = M[:, :D, D], np.maximum(M[:, D, D], 0.0)[:, None]
    left = np.where(~causal & (diagonal > _COLLINEAR), diagonal, np.inf)
    coef = np.where(causal, column, column / left)
    inverse = np.where(causal, -diagonal, 1.0 / left)
    rest = np.where(causal, residual, np.maximum(residual - column**2 / left, 0.0))
    freedom = n - 1 - causal.sum(axis=1)[:, None] - ~causal
    with np.errstate(invalid="ignore"):
        error = np.sqrt(rest * np.maximum(inverse, 0.0) / np.where(freedom > 0, freedom, np.nan))
    return coef, error
