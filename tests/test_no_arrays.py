"""What is no array of numbers is refused in our words, by whatever takes arrays."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import identirep.baselines
from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures, TaskMoments, align, compare, metrics

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(30, 3))
_Y = _X @ _RNG.laplace(size=(3, 4)) + 0.1 * _RNG.normal(size=(30, 4))

NO_ARRAYS = {
    "dict": {"a": [1.0, 2.0], "b": [2.0, 3.0]},
    "set": {1, 2},
    "object": object(),
    "function": len,
    "class": np.ndarray,
    "text": "text",
    "None": None,
    "texts": ["a", "b"],
    "dicts": [{"a": 1}, {"a": 2}],
    "ragged": [[1.0, 2.0], [3.0]],
    "complex": _X.astype(complex),
    "dates": np.zeros((30, 3), dtype="datetime64[ns]"),
    "beyond doubles": [[10**400, 1], [1, 2]],
    "a table of texts": pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
}
_IN_OUR_WORDS = r"(?s)got .*expected"
_MADE = {
    "MTLCM": lambda: MTLCM(2, n_init=1, random_state=0),
    "MTRN": lambda: MTRN(2, n_replicates=1, max_epochs=1, random_state=0),
    "PredictiveFeatures": lambda: PredictiveFeatures(Ridge(), 2, random_state=0),
    "IdentifiableRegressor": lambda: IdentifiableRegressor(
        2, regressor=Ridge(), n_checks=0, table_encoder=None, random_state=0
    ),
}
_BASELINES = [
    made
    for name in identirep.baselines.__all__
    if inspect.isclass(made := getattr(identirep.baselines, name)) and hasattr(made, "fit")
]


def _refused(call, *arguments, **named):
    with pytest.raises((ValueError, TypeError), match=_IN_OUR_WORDS):
        call(*arguments, **named)


@pytest.mark.parametrize("values", NO_ARRAYS.values(), ids=NO_ARRAYS)
@pytest.mark.parametrize("made", [*_MADE.values(), *_BASELINES], ids=[*_MADE, *(made.__name__ for made in _BASELINES)])
def test_estimators_refuse_inputs_targets_and_tasks(made, values):
    _refused(made().fit, values, _Y)
    if made()._needs_labels if made in _BASELINES else True:
        _refused(made().fit, _X, values)
    if values is not None:
        _refused(made().fit, _X, _Y[:, 0], values)


@pytest.fixture(scope="module", params=_MADE)
def fitted(request):
    return _MADE[request.param]().fit(_X, _Y)


@pytest.mark.parametrize("values", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_fitted_models_refuse_inputs(fitted, values):
    for name in ("transform", "predict", "inverse_transform"):
        if hasattr(fitted, name):
            _refused(getattr(fitted, name), values)
    for name in ("score", "adapt"):
        if hasattr(fitted, name):
            _refused(getattr(fitted, name), values, _Y if name == "score" else _Y[:, 0])
            _refused(getattr(fitted, name), _X, values)
    if isinstance(fitted, MTLCM | IdentifiableRegressor):
        _refused(compare, fitted, fitted, values)
        _refused(align, fitted, values, _X)


@pytest.mark.parametrize("values", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_metrics_and_moments_refuse_them(values):
    for metric in (metrics.mcc, metrics.canonical_correlations, metrics.weak_mcc_score):
        _refused(metric, values, _X)
        _refused(metric, _X, values)
    moments = TaskMoments.from_arrays(_X, _Y)
    _refused(TaskMoments.from_arrays, values, _Y)
    _refused(TaskMoments.from_arrays, _X, values)
    _refused(TaskMoments.from_long, _X, values, np.arange(30) % 2)
    _refused(TaskMoments.from_long, _X, _Y[:, 0], values)
    _refused(TaskMoments.from_batches, [values])
    _refused(moments.map_features, values)
    _refused(moments.merge, values)
    _refused(MTLCM().fit_moments, values)
    if values is not None:
        _refused(TaskMoments.from_arrays, _X, _Y, task_names=values)
        _refused(TaskMoments.from_arrays, _X, _Y, sample_weight=values)
        _refused(moments.map_features, np.eye(3), values)


def test_a_table_of_texts_is_refused_by_the_name_of_the_column():
    with pytest.raises(ValueError, match=r"column 'b' of X is not numeric: got .*could not convert string to float"):
        MTLCM(2).fit(NO_ARRAYS["a table of texts"], _Y[:2])


@pytest.mark.parametrize("index", [1e300, [99], 1.1, float("nan"), "a", {"a": 1}, [[0, 1]], [-5], [True], None, 10**30])
def test_positions_of_tasks_that_are_none_are_refused(index):
    with pytest.raises(ValueError, match=r"index .*: got .*, expected"):
        TaskMoments.from_arrays(_X, _Y).select_tasks(index)


def test_tasks_are_selected_by_positions_or_bools():
    moments = TaskMoments.from_arrays(_X, _Y, task_names=["a", "b", "c", "d"])
    assert moments.select_tasks([3, -4]).task_names == ("d", "a")
    assert moments.select_tasks(2).task_names == ("c",)
    assert moments.select_tasks([]).n_tasks == 0
    # As positions, bools would be 0 and 1.
    chosen = moments.select_tasks(np.array([False, False, True, True]))
    assert chosen.task_names == ("c", "d")
    assert chosen.mean_y.tolist() == moments.mean_y[2:].tolist()
