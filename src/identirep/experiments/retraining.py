"""A model trained once on the latents of a run, and applied to those of the next one, trained on other rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from identirep._typing import Array, IntArray
from identirep.canonical_analysis import canonical_maps
from identirep.comparing import align
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.experiments.trust import equal_rows, load_real, why_missing
from identirep.mtrn import MTRN
from identirep.regressor import IdentifiableRegressor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT"]

# Table: most rows that are used, latents, targets that no fit sees and that the downstream models predict.
_TABLES: dict[str, tuple[int, int, int]] = {
    "superconductivity": (20_000, 8, 8),
    "rf1": (9_000, 4, 2),
    "oes10": (403, 2, 4),
}
_KEPT = "kept axes"
_PARTS = ("old", "new", "downstream", "test")

# Rows to values that a downstream model takes.
Map = Callable[[Array], Array]


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    names = ("superconductivity",) if quick else tuple(name for name in _TABLES if why_missing(name) is None)
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
    """Return what makes the downstream models: a linear one, and one that follows bends."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "linear": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 4, 17))),
        "trees": lambda: ExtraTreesRegressor(60, min_samples_leaf=5, random_state=seed),
    }


def _quarters(n: int, groups: IntArray, rng: np.random.Generator) -> dict[str, IntArray]:
    """Share the rows out to the four parts, groups together."""
    number = np.unique(groups, return_inverse=True)[1].reshape(-1)
    part = rng.permutation(number.max() + 1)[number] % len(_PARTS)
    return {name: np.flatnonzero(part == k) for k, name in enumerate(_PARTS)}


def _measure(cell: Cell) -> Measured:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    most, D, n_held = _TABLES[cell["table"]]
    data, rng = load_real(cell["table"]), np.random.default_rng(cell["seed"])
    rows = np.sort(rng.permutation(len(data.X))[: 2_400 if cell["quick"] else most])
    X, Y = data.X[rows], data.Y[rows]
    groups = equal_rows(X) if data.groups is None else data.groups[rows]
    part = _quarters(len(X), groups, rng)
    # A target has to vary in each part.
    usable = [t for t in range(Y.shape[1]) if all(len(np.unique(Y[index, t])) > 3 for index in part.values())]
    held = rng.permutation(usable)[:n_held]
    known = np.setdiff1d(usable, held)
    D = min(4 if cell["quick"] else D, len(known))

    def fit(which: str, seed: int, like: Any = None) -> IdentifiableRegressor:
        model = IdentifiableRegressor(D, regressor=_stage(cell), n_checks=0, random_state=seed)
        index = part[which]
        return model.fit(X[index], Y[np.ix_(index, known)], groups=groups[index], like=like)

    seed = 3 * cell["seed"]
    old, alone = fit("old", seed), fit("new", seed + 1)
    like = fit("new", seed + 1, old)
    down = X[part["downstream"]]
    mapped = _canonical_map(alone.transform(down), old.transform(down))
    components = [make_pipeline(StandardScaler(), PCA(D)).fit(X[part[which]]).transform for which in ("old", "new")]
    # What the downstream model was trained on, what it gets after the training on new rows.
    methods: dict[str, tuple[Map, Map]] = {
        _KEPT: (old.transform, like.transform),
        "aligned afterwards": (old.transform, align(alone, old, down).transform),
        "canonical-correlation map": (old.transform, lambda X: mapped(alone.transform(X))),
        "latents as they come": (old.transform, alone.transform),
        "raw features": (partial(_raw, old), partial(_raw, alone)),
        "PCA of inputs": (components[0], components[1]),
    }
    index = {name: part[name] for name in ("downstream", "test")}
    found: list[Row] = []
    for head, make in _heads(cell["seed"]).items():
        for method, (before, after) in methods.items():
            for target in held:
                y, y_test = Y[index["downstream"], target], Y[index["test"], target]
                once = make().fit(before(down), y).predict(after(X[index["test"]]))
                again = make().fit(after(down), y).predict(after(X[index["test"]]))
                loss, least = (float(np.mean((y_test - each) ** 2) / y_test.var()) for each in (once, again))
                found.append({"head": head, "method": method, "target": int(target), "loss": loss, "again": least})
    kept = like.comparison_.kept if like.comparison_ is not None else np.zeros(0)
    return Measured([*_means(found), {"axes_kept": float(kept.mean()), "worst": _worst(like, old, X[part["test"]])}])


def _means(found: list[Row]) -> list[Row]:
    """Average losses over targets, and compare the sums: a target that is predicted exactly has no share of its own."""
    means = []
    for head, method in dict.fromkeys((row["head"], row["method"]) for row in found):
        own = [row for row in found if (row["head"], row["method"]) == (head, method)]
        loss, again = (float(np.mean([row[name] for row in own])) for name in ("loss", "again"))
        means.append({"head": head, "method": method, "loss": loss, "again": again, "ratio": loss / again})
    return means


def _worst(new: IdentifiableRegressor, old: IdentifiableRegressor, X: Array) -> float:
    """Lowest correlation of an axis with that in the same place of the old run, signed, on rows that none has seen."""
    Z, W = old.transform(X), new.transform(X)
    return float(min(np.corrcoef(Z[:, i], W[:, i])[0, 1] for i in range(Z.shape[1])))


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
    """Draw the loss of the model trained once over that of one trained again."""
    lines = [
        {**row, "line": row["method"], "setting": f"{row['table']}, {row['stage one']}, {row['head']}"}
        for row in rows
        if row.get("ratio") is not None and row["method"] in _SHOWN
    ]
    return dots(lines, value="ratio", label="loss over that of a model trained again", by="line", panel="setting")


_SHOWN = (_KEPT, "aligned afterwards", "canonical-correlation map")
_SETTING = ("table", "stage one")

EXPERIMENT = Experiment(
    title="Retraining: what was trained on the latents goes on working",
    description=(
        "Rows are shared out in four parts, groups together: the old run is fitted to the first, the new one to the "
        "second. Some targets are in neither fit: models of them, linear and trees, are trained once on the old run's "
        "latents of the third part, and applied to the new run's latents of the fourth. `loss` is the squared error "
        "over the variance of the target; `ratio` the mean loss over that of the same model trained again on the new "
        "run's values of the third part: 1 is as good as training again. `kept axes` is `fit(..., like=old)`, which "
        "uses no row of the third part; `aligned afterwards` is `align`, and the canonical-correlation map takes new "
        "latents to old ones by all their axes at once, both learnt on the third part. Raw features are those of stage "
        "one before directions are chosen (of trees the predicted targets, which have an order of their own), PCA that "
        "of the inputs. `worst` is the lowest correlation of a kept axis with the one in its place. Tables besides "
        "superconductivity are read from the folder of IDENTIREP_TABLES, see `bench trust`."
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
            (Column("axes_kept", "share kept", 2), Column("worst", "worst correlation", 3)),
        ),
    ),
    figures={"retraining": _figure},
)
