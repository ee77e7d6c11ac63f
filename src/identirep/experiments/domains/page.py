"""The page of the experiment: cells, how to read it, tables and figures."""

from __future__ import annotations

from functools import partial

from identirep.experiments.domains.catalogue import DOMAINS, why_missing
from identirep.experiments.domains.measuring import measure
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Row, Table, rows_of
from identirep.experiments.figures import dots

__all__ = ["EXPERIMENT"]

_QUICK = ("sprites", "sensors")
_AGAIN, _TRUE = "a fit to other rows", "the truth"
_SCORES = (
    Column("mcc", "strong MCC", 3),
    Column("weak_mcc", "weak MCC", 3),
    Column("worst_latent", "worst latent", 3),
    Column("chance", "chance", 3, None),
    Column("says", "R^2 of targets", 2, None),
)


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    names = _QUICK if quick else tuple(name for name in DOMAINS if why_missing(name) is None)
    return [
        {"domain": name, "quick": quick, "seed": seed}
        for name in names
        for seed in range(n_seeds or (1 if quick else 3))
    ]


def _combine(finished: Finished) -> list[Row]:
    """Count axes that may be named and those of them that are false, and say which domains there were."""
    rows = rows_of(finished)
    found: list[Row] = []
    for name in dict.fromkeys(row["domain"] for row in rows):
        axes = [row for row in rows if row["domain"] == name and "axis" in row]
        counted = {key: sum(row[key] for row in axes) for key in ("certified", "false_again")}
        if any(row["truth"] is not None for row in axes):
            counted |= {key: sum(row[key] for row in axes) for key in ("identified", "false_truth")}
        found.append({"of": name, "axes": len(axes), **counted})
    run = {row["domain"] for row in rows}
    return found + [
        {"name": name, "state": "run" if name in run else why_missing(name) or "not run", "D": domain.n_latents}
        for name, domain in DOMAINS.items()
    ]


EXPERIMENT = Experiment(
    title="Other domains",
    description=(
        "`IdentifiableRegressor` with two networks, fitted once to the rows of a fit, with its checks, and once to as "
        "many other rows, with another seed. Both are compared on rows that neither has seen: one half of those "
        "chooses partners, the other half gives the correlations. Against the truth partners are chosen on the rows of "
        "the fit. Unrelated latents have an MCC of 0 on average, since partners are chosen on other rows; `chance` is "
        "what they would have if the rows that are scored chose their own (`metrics.chance_mcc`), so the most that "
        "chance explains. `R^2 of targets` is that of "
        "linear regressions of each target on the latents, learnt on the rows of the fit: axes that come back but "
        "predict nothing are of no use. `truth` is the same network trained on the true latents, which is the most "
        "that it can read from these inputs. All second stages get the same features; PCA and FastICA of inputs see "
        "no target.\n\n"
        "Drawn domains have 100 tasks of 60 rows in the long layout, two causes and the other factors as effects "
        "(`make_linear_tasks`): `sprites`, images of 32 x 32 pixels of an L with place, scale, rotation and shade, "
        "read by three convolutions; `sensors`, two records of 128 steps of a decaying oscillation that begins at a "
        "random angle, with noise, read by convolutions over time; `topics`, counts of 300 words in texts of 150 "
        "words.\n\n"
        "With the extra `domains`: `weather`, a typical meteorological year of Greensboro by the hour (from `pvlib`; "
        "its months are of several years), 15 measures one, three and six hours later from those of the hour, the sun "
        "and the calendar, whole weeks apart; `summer to winter`, the first fit on 20 weeks from April to September, "
        "the other on 20 others, compared on six weeks of each. `molecules`, 2,219 of them with 21 measured "
        "properties, most of them missing, from atoms and pieces of their SMILES (tables of `chemicals`). Its tables "
        "have gross errors, and robust moments need tasks with rows of their own, so labels further than five "
        "interquartile ranges from the median are left out; `gross errors kept` is without that. `names of "
        "molecules`, the same properties from the mean embedding of the tokens of their names (static, from "
        "`wordllama`), by a small network with much dropout and weight decay. Molecules "
        "of one formula stay together. Nobody knows the true latents of these.\n\n"
        "False: axes called identified or reproducible with less than 0.90 in the other fit, and axes called "
        "identified with less than 0.95 with the truth."
    ),
    cells=_cells,
    measure=measure,
    combine=_combine,
    tables=(
        Table("Domains", ("name", "state"), (Column("D", "latents", 0, None),)),
        Table("Against a fit to other rows", ("domain", "method"), _SCORES, where={"against": _AGAIN}),
        Table("Against the truth", ("domain", "method"), _SCORES, where={"against": _TRUE}),
        Table(
            "Each factor",
            ("domain", "factor"),
            (Column("found", "found", 3), Column("reached", "network trained on the truth", 3)),
        ),
        Table(
            "Axes that may be named, and false ones",
            ("of",),
            (
                Column("axes", "axes", 0, None),
                Column("certified", "identified or reproducible", 0, None),
                Column("false_again", "of these under 0.90 in the other fit", 0, None),
                Column("identified", "identified", 0, None),
                Column("false_truth", "of these under 0.95 with the truth", 0, None),
            ),
        ),
        Table(
            "What is said, and what is found",
            ("domain", "verdict"),
            (
                Column("predicted", "other rows, predicted", 3),
                Column("fresh", "other rows, found", 3),
                Column("expected", "truth, expected", 3),
                Column("truth", "truth, found", 3),
            ),
        ),
        Table(
            "Fits",
            ("domain",),
            (
                Column("rows_of_fit", "rows of a fit", 0, None),
                Column("targets", "targets or tasks", 0, None),
                Column("labels", "share of labels", 2, None),
                Column("r2", "R^2, unseen rows", 2),
                Column("seconds", "fit with checks, s", 0, "max"),
            ),
            where={"whole": True},
        ),
    ),
    figures={
        "agreement": partial(
            dots, value="mcc", label="strong MCC of two fits", by="method", panel="domain", where={"against": _AGAIN}
        ),
        "truth": partial(
            dots, value="mcc", label="strong MCC with the truth", by="method", panel="domain", where={"against": _TRUE}
        ),
    },
)
