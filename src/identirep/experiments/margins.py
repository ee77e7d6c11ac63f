"""How far a method is ahead of the best baseline, seed by seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from identirep.experiments.experiment import Row

__all__ = ["margins"]


def margins(
    rows: Sequence[Row],
    *,
    setting: Sequence[str],
    ours: str,
    not_baselines: Collection[str],
    run: str = "seed",
    score: str = "mcc",
) -> list[Row]:
    """Compare a score, such as the MCC, of our method with the best baseline in each setting.

    Parameters
    ----------
    rows : sequence of dict
        With the values that name a setting, ``method``, the run and the score.
    setting : sequence of str
        Names of the values that make a setting.
    ours : str
        Our method.
    not_baselines : collection of str
        Other methods that do not count: variants of our own, and references that know the truth.
    run : str, default "seed"
        Name of the value that tells runs of a setting apart: methods are compared run by run.
    score : str, default "mcc"
        Name of the score.

    Returns
    -------
    list of dict
        For each setting and run where both are known: ``<score>_margin`` over the baseline with the best mean in that
        setting, which is named in ``best_baseline``.
    """
    scores: dict[tuple[object, ...], dict[str, dict[object, float]]] = {}
    for row in rows:
        if row.get(score) is not None and "method" in row:
            place = tuple(row[name] for name in setting)
            scores.setdefault(place, {}).setdefault(row["method"], {})[row[run]] = row[score]
    found: list[Row] = []
    for place, methods in scores.items():
        own = methods.get(ours, {})
        others = {name: by_run for name, by_run in methods.items() if name != ours and name not in not_baselines}
        if not own or not others:
            continue
        best = max(others, key=lambda name: sum(others[name].values()) / len(others[name]))
        found += [
            {
                **dict(zip(setting, place, strict=True)),
                "best_baseline": best,
                run: name,
                f"{score}_margin": value - others[best][name],
            }
            for name, value in own.items()
            if name in others[best]
        ]
    return found
