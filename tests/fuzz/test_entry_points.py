"""Any arguments of what is called from Python: moments, metrics, stage two, both stages."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from outcomes import NUMBERS, judge
from sklearn.linear_model import Ridge

from identirep import MTLCM, IdentifiableRegressor, TaskMoments, metrics

_SIZES = st.sampled_from([0, 1, 2, 3, 5, 12, 40])


@st.composite
def _matrices(draw, n_rows=None, n_columns=None):
    """Return something like a matrix, mostly sound."""
    n_rows = draw(_SIZES) if n_rows is None else n_rows
    n_columns = draw(st.sampled_from([0, 1, 2, 3, 6])) if n_columns is None else n_columns
    values = np.random.default_rng(draw(st.integers(0, 2**32))).normal(size=(n_rows, n_columns))
    values = values * 10.0 ** draw(st.sampled_from([0, 0, 0, 0, -60, 60, 300, -320])) + draw(
        st.sampled_from([0.0, 0.0, 1e8])
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 5]))):
        if values.size:
            values[draw(st.integers(0, n_rows - 1)), draw(st.integers(0, n_columns - 1))] = draw(NUMBERS)
    if values.size and draw(st.sampled_from([False, False, False, True])):
        values[:, 0] = draw(NUMBERS)
    return _as_kind(draw, values)


def _as_kind(draw, values):
    kind = draw(st.sampled_from(["float"] * 10 + ["odd", "frame", "list", "masked", "short", "whole", "order"]))
    with np.errstate(all="ignore"):
        if kind == "frame":
            return pd.DataFrame(
                values, columns=[f"c{j}" for j in range(values.shape[-1])] if values.ndim == 2 else None
            )
        if kind == "list":
            return values.tolist()
        if kind == "masked":
            return np.ma.masked_array(values, values > 1.0)
        if kind == "short":
            return values.astype(draw(st.sampled_from([np.float16, np.float32])))
        if kind == "whole":
            return (
                np.nan_to_num(values).clip(-100, 100).astype(draw(st.sampled_from([np.int8, np.int64, np.uint8, bool])))
            )
        if kind == "order":
            return np.asfortranarray(values)[::-1]
        if kind == "odd":
            return draw(
                st.sampled_from(
                    [
                        None,
                        5,
                        "text",
                        [],
                        [[]],
                        {"a": 1},
                        object(),
                        np.zeros((2, 2, 2)),
                        np.float64(3.0),
                        values.astype(complex),
                        values.astype(object),
                        values.astype(str),
                        np.array(["a", "b"]),
                        np.zeros(3, dtype="datetime64[ns]"),
                        [[1.0, 2.0], [3.0]],
                        iter([1, 2]),
                    ]
                )
            )
    return values


@st.composite
def _labels(draw, n_rows):
    """Return labels of rows, mostly sound."""
    n_labels = draw(st.sampled_from([1, 2, 3, 5, 100]))
    index = np.arange(n_rows) % n_labels
    return draw(
        st.sampled_from(
            [
                index,
                index,
                index,
                [f"task {i}" for i in index],
                [None, *index[1:]],
                np.where(index == 1, np.nan, index),
                pd.Categorical(index),
                index[:-1],
                index[:, None],
                [(i, "a") for i in index],
                [[i] for i in index],
                pd.array(index, dtype="Int64"),
                None,
                "task",
                3,
            ]
        )
    )


@st.composite
def _problem(draw):
    """Return inputs, targets and tasks that go together, or nearly."""
    n_rows = draw(_SIZES)
    X = draw(_matrices(n_rows, draw(st.sampled_from([1, 2, 3, 6]))))
    tasks = draw(_labels(n_rows)) if draw(st.booleans()) else None
    n_rows += draw(st.sampled_from([0] * 9 + [1]))
    if tasks is None or draw(st.sampled_from([False] * 5 + [True])):
        return X, draw(_matrices(n_rows)), tasks
    y = np.random.default_rng(draw(st.integers(0, 2**32))).normal(size=n_rows)
    if n_rows:
        y[draw(st.integers(0, n_rows - 1))] = draw(NUMBERS)
    return X, _as_kind(draw, y), tasks


_ANY = st.one_of(
    st.sampled_from([None, True, 0, 1, 2, -1, 1.5, float("nan"), float("inf"), "auto", "x", [], np.int64(2)]), NUMBERS
)


def _parameters(draw, sound):
    """Return some constructor parameters: of some the value is any."""
    found = {name: draw(value) for name, value in sound.items() if draw(st.booleans())}
    if found and draw(st.sampled_from([False, False, True])):
        found[draw(st.sampled_from(sorted(found)))] = draw(_ANY)
    return found


@given(_problem(), st.data())
def test_moments(problem, data):
    X, y, tasks = problem
    case = f"{X!r} {y!r} {tasks!r}"
    found = judge(lambda: TaskMoments.from_arrays(X, y) if tasks is None else TaskMoments.from_long(X, y, tasks), case)
    if found is not None:
        judge(lambda: found + found, case)
        M = data.draw(_matrices())
        judge(lambda: found.map_features(M), f"map {M!r} {case}")
        index = data.draw(st.one_of(st.lists(st.integers(-3, 8), max_size=4), _ANY))
        judge(lambda: found.select_tasks(index), f"select {index!r} {case}")
        judge(lambda: (found.cov_h, found.cov_hy, found.var_y, found.pooled_covariance, repr(found)), case)
        X2, y2 = data.draw(_matrices()), data.draw(_matrices())
        judge(lambda: found.update(X2, y2), f"update {X2!r} {y2!r} {case}")


_PAIRS = {
    "mcc": metrics.mcc,
    "mcc_score": metrics.mcc_score,
    "weak_mcc_score": metrics.weak_mcc_score,
    "canonical_correlations": metrics.canonical_correlations,
}


@pytest.mark.parametrize("name", [*_PAIRS, "match_latents", "stability"])
@given(st.data())
def test_metrics(name, data):
    n_rows = data.draw(_SIZES)
    a, b = data.draw(_matrices(n_rows)), data.draw(_matrices(n_rows))
    held_out = data.draw(st.sampled_from([None, None, (a, b), (a,), (b, a, a)]))
    case = f"{name} {a!r} {b!r} {held_out!r}"
    if name == "match_latents":
        judge(lambda: metrics.match_latents(a), case)
    elif name == "stability":
        judge(lambda: metrics.stability([a, b]), case)
        judge(lambda: metrics.stability(a), case)
    else:
        found = judge(lambda: _PAIRS[name](a, b, held_out=held_out), case)
        if isinstance(found, float):
            assert np.isnan(found) or -1e-9 <= found <= 1.0 + 1e-9, case


_MTLCM = {
    "n_components": st.sampled_from([None, 1, 2, 3]),
    "prior": st.sampled_from(["exact", "conjugate", "sparse"]),
    "noise_std": st.sampled_from(["auto", 0.1, 0.0, 1e-9]),
    "n_init": st.sampled_from([1, 2]),
    "max_iter": st.sampled_from([1, 20]),
    "tol": st.sampled_from([1e-3, 0.0]),
    "random_state": st.sampled_from([0, None, np.random.default_rng(0), -1]),
}


@given(_problem(), st.data())
def test_stage_two(problem, data):
    X, y, tasks = problem
    parameters = _parameters(data.draw, _MTLCM)
    case = f"MTLCM({parameters}) {X!r} {y!r} {tasks!r}"
    model = judge(lambda: MTLCM(**parameters).fit(X, y, tasks), case)
    if model is None:
        return
    Z, t = data.draw(_matrices()), data.draw(_matrices())
    use = data.draw(st.sampled_from(["all", "causal", "x", None]))
    judge(lambda: model.transform(Z), f"transform {Z!r} {case}")
    judge(lambda: model.predict(Z, use=use), f"predict {Z!r} {use} {case}")
    judge(lambda: model.inverse_transform(Z), f"inverse {Z!r} {case}")
    judge(lambda: model.adapt(Z, t), f"adapt {Z!r} {t!r} {case}")
    judge(lambda: model.score(Z, t, tasks), f"score {Z!r} {t!r} {case}")
    judge(lambda: (repr(model.certificate_), model.structure_), case)


_BOTH = {
    "n_components": st.sampled_from(["auto", 1, 2, 3]),
    "regressor": st.sampled_from([Ridge(), "ridge"]),
    "n_checks": st.sampled_from([0, 0, 2]),
    "random_state": st.sampled_from([0, None]),
    "causal_model": st.sampled_from([None, MTLCM(n_init=1), MTLCM(2)]),
}


@given(_problem(), st.data())
def test_both_stages(problem, data):
    X, y, tasks = problem
    # Networks would take long.
    parameters = {"regressor": Ridge(), **_parameters(data.draw, _BOTH)}
    if parameters["regressor"] == "auto":
        return
    rows = len(X) if hasattr(X, "__len__") else 3
    options = {}
    for name in ("groups", "order"):
        if data.draw(st.sampled_from([False, False, True])):
            options[name] = data.draw(_labels(rows))
    case = f"{parameters} {X!r} {y!r} {tasks!r} {options!r}"
    model = judge(lambda: IdentifiableRegressor(**parameters).fit(X, y, tasks, **options), case)
    if model is None:
        return
    Z, t = data.draw(_matrices()), data.draw(_matrices())
    judge(lambda: model.transform(Z), f"transform {Z!r} {case}")
    judge(lambda: model.predict(X), case)
    judge(lambda: model.adapt(Z, t), f"adapt {Z!r} {t!r} {case}")
    judge(lambda: model.score(X, y, tasks), case)
    judge(lambda: repr(model.certificate_), case)
