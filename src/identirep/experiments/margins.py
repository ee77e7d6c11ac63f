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
    """Compare a score of our method with the baseline that has the best mean in each setting, run by run.

    For each setting and run where both are known: ``<score>_margin`` over the method named in ``best_baseline``.
    Variants of our own and references that know the truth are not baselines.
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
