"""A model trained once on the latents of a run, and applied to those of the next one, trained on other rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from identirep._typing import Array, IntArray
from identirep.canonical_analysis import canonical_maps
from identirep.comparing import align
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.trust import equal_rows, load_real, why_missing
from identirep.mtrn import MTRN
from identirep.regressor import IdentifiableRegressor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT"]


class _Source(NamedTuple):
    """A table, the most rows that are used of it, and targets that no fit sees and that downstream models predict."""

    name: str
    most: int
    n_held: int
    # Rows in the order of the table that stay together, 1 where they are shared out one by one.
    stretch: int = 1


# Besides superconductivity, the tables of the collection with at least 1,000 complete rows and 8 targets: a fit has 350
# rows then, and some targets can be held back. Rows of rf1 are hours, of which 168 make a week.
_TABLES = {
    "superconductivity": _Source("superconductivity", 10_000, 8),
    "rf1": _Source("rf1", 9_005, 2),
    "rf1, weeks apart": _Source("rf1", 9_005, 2, 168),
    "wq": _Source("wq", 1_060, 4),
}
_QUICK = (2_400, 4)
_KEPT = "kept axes"
# Shares of the rows.
_PARTS = {"old": 0.35, "new": 0.35, "downstream": 0.15, "test": 0.15}
_LEVELS = 3

# Rows to values that a downstream model takes.
Map = Callable[[Array], Array]


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    names = (
        ("superconductivity",)
        if quick
        else tuple(name for name, source in _TABLES.items() if why_missing(source.name) is None)
    )
    return [
        {"table": name, "stage one": stage, "quick": quick, "seed": seed}
        for name in names
        for stage in (("trees",) if quick else ("MTRN", "trees"))
        for seed in range(n_seeds or (2 if quick else 5))
    ]


def _stage(cell: Cell) -> Any:
    if cell["stage one"] == "MTRN":
        return MTRN(n_replicates=2)
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(10 if cell["quick"] else 60, min_samples_leaf=2)


def _heads(seed: int) -> dict[str, Callable[[], Any]]:
    """Return what makes the downstream models of all targets held back: a linear one, and one that follows bends."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "linear": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 4, 17))),
        "trees": lambda: ExtraTreesRegressor(60, min_samples_leaf=5, random_state=seed),
    }


def _parts(groups: IntArray, rng: np.random.Generator) -> dict[str, IntArray]:
    """Share the rows out to the four parts, groups together."""
    number = np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_groups = int(number.max()) + 1
    part = np.searchsorted(np.cumsum(list(_PARTS.values())), (np.arange(n_groups) + 0.5) / n_groups)
    drawn = rng.permutation(part)[number]
    return {name: np.flatnonzero(drawn == k) for k, name in enumerate(_PARTS)}


def _measure(cell: Cell) -> Measured:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    source = _TABLES[cell["table"]]
    most, n_held = _QUICK if cell["quick"] else (source.most, source.n_held)
    data, rng = load_real(source.name), np.random.default_rng(cell["seed"])
    together = equal_rows(data.X) if data.groups is None else data.groups
    if source.stretch > 1:
        together = np.arange(len(data.X)) // source.stretch
    rows = np.sort(rng.permutation(len(data.X))[:most])
    X, Y, groups = data.X[rows], data.Y[rows], together[rows]
    part = _parts(groups, rng)
    # A target has to vary in each part.
    usable = [t for t in range(Y.shape[1]) if all(len(np.unique(Y[index, t])) > _LEVELS for index in part.values())]
    held = rng.permutation(usable)[:n_held]
    known = np.setdiff1d(usable, held)

    def fit(which: str, seed: int, like: Any = None, D: int | Literal["auto"] = "auto") -> IdentifiableRegressor:
        model = IdentifiableRegressor(D, regressor=_stage(cell), n_checks=0, random_state=seed)
        index = part[which]
        return model.fit(X[index], Y[np.ix_(index, known)], groups=groups[index], like=like)

    seed = 2 * cell["seed"]
    old = fit("old", seed)
    if not old.n_components_:
        return Measured([{"latents": 0.0}])
    like, alone = fit("new", seed + 1, old), fit("new", seed + 1, D=old.n_components_)
    found, maps = list[Row](), _methods(old, like, alone, X[part["downstream"]])
    components = [
        make_pipeline(StandardScaler(), PCA(old.n_components_)).fit(X[part[which]]).transform
        for which in ("old", "new")
    ]
    maps["PCA of inputs"] = (components[0], components[1])
    down, test = part["downstream"], part["test"]
    # In like units, since one model predicts all of them.
    y, y_test = (
        (Y[np.ix_(index, held)] - Y[down][:, held].mean(axis=0)) / Y[down][:, held].std(axis=0)
        for index in (down, test)
    )
    for head, make in _heads(cell["seed"]).items():
        trained: dict[Map, Any] = {}
        for method, (before, after) in maps.items():
            for each in (before, after):
                if each not in trained:
                    trained[each] = make().fit(each(X[down]), y)
            values = after(X[test])
            loss, again = (
                float(np.mean((y_test - trained[each].predict(values)) ** 2 / y_test.var(axis=0)))
                for each in (before, after)
            )
            found.append({"head": head, "method": method, "loss": loss, "again": again, "ratio": loss / again})
    kept = like.comparison_.kept if like.comparison_ is not None else np.zeros(0)
    predicted, by_itself = (_own_loss(model, X[test], Y[np.ix_(test, known)]) for model in (like, alone))
    axes = {"latents": float(len(kept)), "axes_kept": float(kept.mean()), "worst": _worst(like, old, X[test])}
    return Measured([*found, axes | {"predicted": predicted, "by_itself": by_itself}])


def _methods(
    old: IdentifiableRegressor, like: IdentifiableRegressor, alone: IdentifiableRegressor, X: Array
) -> dict[str, tuple[Map, Map]]:
    """Return what a downstream model is trained on, and what it gets after retraining; maps learn on X."""
    before = old.transform
    mapped = _canonical_map(alone.transform(X), before(X))
    return {
        _KEPT: (before, like.transform),
        "aligned afterwards": (before, align(alone, old, X).transform),
        "canonical-correlation map": (before, lambda X: mapped(alone.transform(X))),
        "latents as they come": (before, alone.transform),
        "raw features": (partial(_raw, old), partial(_raw, like)),
    }


def _worst(new: IdentifiableRegressor, old: IdentifiableRegressor, X: Array) -> float:
    """Lowest correlation of an axis with that in the same place of the old run, signed, on rows that none has seen."""
    Z, W = old.transform(X), new.transform(X)
    return float(min(np.corrcoef(Z[:, i], W[:, i])[0, 1] for i in range(Z.shape[1])))


def _own_loss(model: IdentifiableRegressor, X: Array, Y: Array) -> float:
    """Squared error of the predictions of a model's own targets, over their variance."""
    return float(np.mean(np.mean((Y - model.predict(X)) ** 2, axis=0) / Y.var(axis=0)))


def _raw(model: IdentifiableRegressor, X: Array) -> Array:
    """Return what stage one had before directions were chosen."""
    return model.regressor_._base_features(np.asarray(X))


def _canonical_map(new: Array, old: Array) -> Map:
    """Map new latents to old ones by their canonical variates, learnt on the same rows."""
    maps = canonical_maps(new, old)
    back = np.linalg.pinv(maps.map_y)
    mean, center = new.mean(axis=0), old.mean(axis=0)
    return lambda Z: np.asarray(center + (Z - mean) @ maps.map_x * maps.correlations @ back)


def _figure(rows: list[Row]) -> Figure:
    """Draw the loss of the model trained once over that of one trained again, a row for each setting."""
    from matplotlib.figure import Figure

    lines = [row for row in rows if row.get("ratio") is not None and row["method"] in _SHOWN]
    settings = list(dict.fromkeys(f"{row['table']}, {row['stage one']}, {row['head']}" for row in lines))
    figure = Figure(figsize=(9, 1.2 + 0.35 * len(settings)), layout="constrained")
    axes = figure.add_subplot()
    for k, method in enumerate(_SHOWN):
        own = [row for row in lines if row["method"] == method]
        places = [settings.index(f"{row['table']}, {row['stage one']}, {row['head']}") + 0.2 * (k - 1) for row in own]
        axes.plot([row["ratio"] for row in own], places, "o", markersize=5, alpha=0.7, label=method)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [1.0, 1.1, 1.5, 2.0]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(settings)), settings)
    axes.invert_yaxis()
    axes.set_xlabel("loss over that of a model trained again (1 is as good)")
    axes.legend(loc="lower right", fontsize=8)
    return figure


_SHOWN = (_KEPT, "aligned afterwards", "canonical-correlation map")
_SETTING = ("table", "stage one")

EXPERIMENT = Experiment(
    title="Retraining: what was trained on the latents goes on working",
    description=(
        "Rows are shared out in four parts, groups together: the old run is fitted to the first 35 % (3,500 rows of "
        "superconductivity), the new one to the next 35 %, with as many latents as the old one takes by itself. Some "
        "targets are in neither fit: "
        "one model of all of them, linear or trees, is trained once on the old run's latents of the third part, and "
        "applied to the new run's latents of the fourth. `loss` is the squared error over the variance of the target, "
        "averaged over targets; `ratio` the loss over that of the same model trained again on the new run's values of "
        "the third part: 1 is as good as training again. `kept axes` is `fit(..., like=old)`, which uses no row of the "
        "third part; `aligned afterwards` is `align` of a new run that knows nothing of the old one, and the "
        "canonical-correlation map takes new latents to old ones by all their axes at once, both learnt on "
        "the third part. Raw features are those of stage one before "
        "directions are chosen (of trees the predicted targets, which have an order of their own), PCA that of the "
        "inputs. `worst` is the lowest correlation of an axis with the one in its place in the old run, on the fourth "
        "part; losses of own targets are those of the new run's predictions of the targets that it was fitted to, with "
        "the old run's axes and without. Networks have two replicates, half of what they have by default, to save "
        "time.\n\n"
        "Tables besides superconductivity are those of the Mulan collection with at least 1,000 complete rows (350 a "
        "fit) and 8 targets: rf1 and wq. rf1 is a series in time: shared out row by row both runs know the same weeks, "
        "which is easy; with whole weeks apart it is another question. Both are read from the folder of "
        "IDENTIREP_TABLES, see `bench trust`, and left out without it. Where the old run finds no latents there is "
        "nothing to compare."
    ),
    cells=_cells,
    measure=_measure,
    tables=(
        Table(
            "Loss of a model trained once over that of one trained again",
            (*_SETTING, "head", "method"),
            (Column("ratio", "ratio", 3, "max"), Column("loss", "loss", 3, "max"), Column("again", "trained again", 3)),
        ),
        Table(
            "Axes of the new run in the places of the old one",
            _SETTING,
            (
                Column("latents", "latents", 1),
                Column("axes_kept", "share kept", 2),
                Column("worst", "worst correlation", 3),
                Column("predicted", "loss of own targets", 3, "max"),
                Column("by_itself", "without the old run", 3),
            ),
        ),
    ),
    figures={"retraining": _figure},
)
