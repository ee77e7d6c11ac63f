"""The function that plans: checks what it is given, and puts together what a study needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, RandomState
from identirep.mtlcm import MTLCM
from identirep.parameters import Choice as OneOf
from identirep.parameters import Either, Number, Rule, Sizes, Whole, check_arguments
from identirep.planning.populations import Design, Pilot, Population
from identirep.planning.result import Plan, RowsNeeded, TasksNeeded
from identirep.planning.searching import rows_needed, tasks_needed
from identirep.seeds import as_generator

__all__ = ["plan"]

_SAFE = 0.9
# Expected correlation of the axes of a pilot under which it tells too little of them to be extrapolated from.
_KNOWN = 0.9
# Fewer labels of a task are no fit.
_FEWEST_ROWS = 3


def plan(
    pilot: Any = None,
    *,
    n_components: int | None = None,
    n_causal: int | None = None,
    spurious_std: float | None = None,
    noise_std: float | None = None,
    target: float = 0.99,
    n_samples: Sequence[int] = (20, 50, 100),
    n_tasks: Sequence[int] | None = None,
    n_draws: int = 11,
    random_state: RandomState = None,
) -> Plan:
    """Say how many tasks, and rows of each task, are needed for axes that agree with the latents by a target.

    Studies are imagined, features and targets drawn, and `MTLCM` fitted to them at several sizes: studies of tasks like
    those of a pilot, or of the causal graph with a number of latents.

    Parameters
    ----------
    pilot : MTLCM or IdentifiableRegressor, optional
        A fit. Where its tasks have rows of their own, new studies have tasks drawn from those of the pilot: effects of
        the targets and variances that these leave, less sampling error. Where targets share their rows, only the rows
        needed for axes to come back are planned.
    n_components : int, optional
        Number of latents D, at least 2; without a pilot.
    n_causal : int, optional
        Causes of each target, 1 to D; without a pilot. Default: not known, each imagined study has a number of its own
        from 1 to D - 1.
    spurious_std : float, optional
        Standard deviation of effects given the target, before standardising, as in `make_linear_tasks`; without a
        pilot, default 0.1.
    noise_std : float, optional
        Standard deviation of the observation noise in each latent of unit variance; without a pilot, default 0.
    target : float, default 0.99
        Correlation of axes with latents, averaged over the axes, above 0.5 and below 1.
    n_samples : sequence of int, default (20, 50, 100)
        Rows of a task for which the number of tasks is wanted, each at least 3.
    n_tasks : sequence of int, optional
        Numbers of tasks, each at least 2, for which the number of rows is wanted; default: none, with a pilot that of
        the pilot. With a pilot no other number can be asked for.
    n_draws : int, default 11
        Imagined studies for each size that is wanted, at least 3.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed or generator.

    Returns
    -------
    Plan
        Tasks and rows needed, and what is to be known about these numbers.

    Raises
    ------
    ValueError
        If arguments are out of range, contradict each other, or the pilot has no axes or shares its rows and was not
        checked; the message lists all faults.
    TypeError
        If an argument is of another type.

    Notes
    -----
    The factorised likelihood is what is fitted. Numbers hold for features that are linear mixtures of the latents: of a
    pilot with an encoder, given its features. Tasks of new studies are taken to be as different as those of the pilot;
    tasks that are alike add less. A pilot whose certificate expects less than 0.9 gives lower bounds, and says so.
    `identirep bench diversity` compares plans with what is needed.

    Rows needed for axes to come back follow from the correlation c with a fit to as many other rows, which `fit` has
    measured: c / (1 - c) grows as the number of rows. That solutions turn as a whole is not in it.

    Cost: a few seconds with 10 latents, most of it where very many tasks are needed.

    Examples
    --------
    >>> from identirep import plan
    >>> found = plan(n_components=3, n_causal=1, n_samples=[50], n_draws=3, random_state=0)
    >>> found.tasks[0].n_samples, bool(2 <= found.tasks[0].n_tasks <= 10)
    (50, True)
    """
    designed = {
        "n_components": n_components,
        "n_causal": n_causal,
        "spurious_std": spurious_std,
        "noise_std": noise_std,
    }
    given: dict[str, tuple[Any, Rule]] = {
        "target": (target, Number(0.5, 1.0, open_low=True, open_high=True)),
        "n_samples": (n_samples, Sizes(_FEWEST_ROWS)),
        "n_tasks": (n_tasks, Either(OneOf(None), Sizes(2))),
        "n_draws": (n_draws, Whole(3)),
        "n_components": (n_components, Either(OneOf(None), Whole(2))),
        "n_causal": (n_causal, Either(OneOf(None), Whole(1))),
        "spurious_std": (spurious_std, Either(OneOf(None), Number(0.0))),
        "noise_std": (noise_std, Either(OneOf(None), Number(0.0))),
    }
    check_arguments(**given)
    n_samples, n_tasks, rng = tuple(n_samples), tuple(() if n_tasks is None else n_tasks), as_generator(random_state)
    if pilot is None:
        population, subject = _designed(n_components, n_causal, spurious_std, noise_std)
        return _planned(population, subject, target, n_samples, n_tasks, n_draws, rng)
    unused = [name for name, value in designed.items() if value is not None] + (["n_tasks"] if n_tasks else [])
    if unused:
        raise ValueError(
            f"pilot does not go with {', '.join(unused)}: got both, expected what the pilot has found. Leave one out."
        )
    return _of_pilot(pilot, target, n_samples, n_draws, rng)


def _designed(D: int | None, causes: int | None, spurious: float | None, noise: float | None) -> tuple[Design, str]:
    if D is None:
        raise ValueError("n_components is not known: got no pilot and None, expected one of them. Pass n_components.")
    if causes is not None and causes > D:
        raise ValueError(f"n_causal is too large: got {causes}, expected at most n_components={D}. Lower n_causal.")
    spurious, noise = 0.1 if spurious is None else spurious, noise or 0.0
    words = f"1 to {D - 1}" if causes is None else str(causes)
    subject = f"{D} latents, {words} causes of each target, effects with a deviation of {spurious:g} given the target"
    return Design(D, causes, spurious, noise), subject + (f", noise {noise:g}" if noise else "")


def _of_pilot(pilot: Any, target: float, n_samples: Sequence[int], n_draws: int, rng: np.random.Generator) -> Plan:
    """Plan from a fit."""
    if not isinstance(pilot, MTLCM) and "causal_model" not in getattr(pilot, "__dict__", {}):
        raise TypeError(
            f"pilot has the wrong type: got {type(pilot).__name__}, expected an MTLCM or IdentifiableRegressor. Pass a "
            "fit."
        )
    check_is_fitted(pilot)
    model = pilot if isinstance(pilot, MTLCM) else pilot.causal_model_
    if not pilot.n_components_ or model is None:
        raise ValueError("pilot has no axes: got a fit without signal, expected latents. Plan from D instead.")
    back = pilot.certificate_.comes_back.other_rows
    n_rows = round(model.moments_._n_effective_rows)
    returns = None if np.isnan(back).all() else _rows_to_come_back(back, n_rows, target)
    D = model.n_components_
    if not model.moments_._has_own_rows:
        if returns is None:
            raise ValueError(
                "pilot shares its rows and was not checked: got axes that are not known to come back, expected a fit "
                "with checks. Fit it with n_checks=2."
            )
        subject = f"a pilot of {model.moments_.n_tasks} targets on {n_rows:,} rows, {D} latents"
        remarks = (
            "Targets share their rows: axes can be shown to come back, not to be causal latents, so that rows are "
            "planned and tasks are not.",
        )
        return Plan(target, subject, (), (), 1.0, False, n_rows, returns, remarks)
    fit, moments, _ = model._counted()
    known = pilot.certificate_.features_mcc / model.certificate_.noise_mcc
    highest = float(model.certificate_.noise_mcc.mean())
    rows = moments.n_samples
    subject = f"a pilot of {moments.n_tasks} tasks of {np.median(rows):.0f} rows, {D} latents"
    bound = not float(known.mean()) >= _KNOWN
    more: list[str] = []
    if bound:
        more.append(
            f"The pilot does not tell its axes apart yet (correlation with the latents expected {known.mean():.2f}): "
            "at least so much is needed. Plan again from a larger pilot."
        )
    if fit.prior == "exact":
        more.append("What is planned for is prior='factorized', which knows less than the exact likelihood.")
    if pilot is not model:
        more.append("Tasks and rows are those needed given the features of this fit; an encoder may need more.")
    population = Pilot.of(fit, moments, highest)
    sizes = (moments.n_tasks,) if D > 1 else ()
    found = _planned(population, subject, target, n_samples, sizes, n_draws, rng)
    return Plan(
        **{
            **vars(found),
            "is_lower_bound": bound,
            "n_rows": n_rows,
            "rows_to_come_back": returns,
            "remarks": (*found.remarks, *more),
        }
    )


def _planned(
    population: Population,
    subject: str,
    target: float,
    n_samples: Sequence[int],
    n_tasks: Sequence[int],
    n_draws: int,
    rng: np.random.Generator,
) -> Plan:
    """Search for the sizes that are wanted, in the same imagined studies."""
    seeds = rng.integers(2**62, size=n_draws).tolist()
    remarks: tuple[str, ...] = ()
    if population.highest <= target:
        remarks = (
            f"Observation noise leaves a correlation of {population.highest:.3f} at most: no number of tasks or rows "
            f"reaches {target:g}.",
        )

        def search(*_: Any) -> Array:
            return np.full(n_draws, np.inf)

        of_tasks = of_rows = search
    else:
        of_tasks, of_rows = tasks_needed, rows_needed
    tasks = [TasksNeeded(int(n), *_spread(of_tasks(population, int(n), target, seeds))) for n in n_samples]
    rows = [RowsNeeded(int(T), *_spread(of_rows(population, int(T), target, seeds))) for T in n_tasks]
    return Plan(target, subject, tuple(tasks), tuple(rows), population.highest, False, None, None, remarks)


def _spread(sizes: Array) -> tuple[float, float]:
    """Sizes that half of the studies, and nine of ten, do with."""
    ordered = np.sort(sizes)
    return float(ordered[(len(ordered) - 1) // 2]), float(ordered[int(np.ceil(_SAFE * len(ordered))) - 1])


def _rows_to_come_back(correlation: Array, n_rows: int, target: float) -> Array:
    """Rows at which the correlation with a fit to as many others is the target, no fewer than those of the pilot."""
    known = np.clip(np.where(np.isnan(correlation), 0.0, correlation), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        needed = n_rows * (1.0 - known) / known * target / (1.0 - target)
    return np.maximum(needed, n_rows)
