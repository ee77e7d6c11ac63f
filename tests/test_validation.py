"""Data are checked completely, and errors say what is wrong, where, and what to do."""

import warnings

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.baselines import PrincipalComponents
from identirep.parameters import raise_faults
from identirep.validation import check_features, check_task_data

_X = np.arange(12.0).reshape(6, 2)
_Y = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 4.0], [0.0, 1.0], [1.0, 7.0]])
_TASKS = ["a", "a", "a", "b", "b", "b"]


class _Estimator(BaseEstimator):
    def fit(self, X, Y):
        check_task_data(X, Y, estimator=self)
        return self


def _with(array, row, column, value):
    changed = array.copy()
    changed[row, column] = value
    return changed


def test_wide_layout_names_columns_by_position():
    data = check_task_data(_X, _Y)
    assert data.task_names == (0, 1)
    assert not data.is_long
    assert data.n_tasks == 2
    np.testing.assert_array_equal(data.targets, _Y)


def test_one_dimension_without_tasks_is_one_task():
    data = check_task_data(_X, _Y[:, 0])
    assert data.targets.shape == (6, 1)
    assert data.is_flat
    assert not check_task_data(_X, _Y[:, :1]).is_flat


def test_long_layout_numbers_tasks_in_sorted_order():
    data = check_task_data(_X, _Y[:, 0], ["b", "a", "b", "a", "b", "a"])
    assert data.task_names == ("a", "b")
    np.testing.assert_array_equal(data.task_index, [1, 0, 1, 0, 1, 0])


def test_a_single_column_with_a_label_for_each_row_is_long():
    assert check_task_data(_X, _Y[:, :1], _TASKS).is_long


def test_tuples_are_task_labels():
    data = check_task_data(_X, _Y[:, 0], [("a", 1)] * 3 + [("b", 2)] * 3)
    assert data.task_names == (("a", 1), ("b", 2))


def test_tables_name_inputs_and_tasks():
    estimator = _Estimator()
    X = pa.table({"p": _X[:, 0], "q": _X[:, 1]})
    data = check_task_data(X, pa.table({"u": _Y[:, 0], "v": _Y[:, 1]}), estimator=estimator)
    assert data.task_names == ("u", "v")
    assert list(estimator.feature_names_in_) == ["p", "q"]
    np.testing.assert_array_equal(data.X, _X)


def test_float32_stays_and_integers_become_float64():
    assert check_task_data(_X.astype(np.float32), _Y).X.dtype == np.float32
    assert check_task_data(_X.astype(int), _Y.astype(int)).X.dtype == np.float64


def test_missing_labels_stay_nan():
    data = check_task_data(_X, _with(_Y, 0, 1, np.nan))
    assert np.isnan(data.targets[0, 1])
    masked = np.ma.masked_equal(_Y, 7.0)
    assert np.isnan(check_task_data(_X, masked).targets[5, 1])


def test_known_tasks_arrange_columns():
    data = check_task_data(_X, _Y, ["b", "a"], known_tasks=("a", "b", "c"), min_labels=0)
    np.testing.assert_array_equal(data.targets[:, :2], _Y[:, ::-1])
    assert np.isnan(data.targets[:, 2]).all()


def test_known_tasks_number_rows():
    data = check_task_data(_X, _Y[:, 0], ["c", "a"] * 3, known_tasks=("a", "b", "c"), min_labels=0)
    np.testing.assert_array_equal(data.task_index, [2, 0] * 3)


def test_all_faults_are_raised_at_once():
    Y = _with(_Y, 2, 0, np.inf)
    Y[:, 1] = 3.0
    with pytest.raises(ValueError) as error:
        check_task_data(_with(_X, 4, 1, np.nan), Y, found=["n_components is too small."])
    for part in ("4 faults", "n_components", "X contains 1 non-finite", "y contains 1 infinite", "1 constant"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((_with(_X, 4, 1, np.nan), _Y), r"X contains 1 non-finite .* got nan first at index 4, column 1,"),
        ((pa.table({"p": [1.0, np.inf], "q": [1.0, 2.0]}), _Y[:2]), r"first at index 1, column 0 \('p'\)"),
        ((_X[:, 0], _Y), r"X has the wrong shape: got \(6,\), expected \(n_samples, n_features\)"),
        ((None, _Y), "X is missing: got None"),
        ((_X, _Y, [[0], "a"]), "tasks has labels that cannot be told apart: got an unhashable type: 'list'"),
        ((_X, _Y, _X), r"tasks has the wrong shape: got \(6, \d\), expected one dimension"),
        ((_X, [[1.0, 2.0], [3.0]]), "y is no array: got list .* expected numbers, in rows of one length"),
        ((_X, _Y[:5]), "y does not match X: got 5 rows for 6"),
        ((_X, None), "y is missing: got None"),
        ((_X, ["a"] * 6), "y is not numeric"),
        ((_X, _Y.astype(complex)), "Complex data not supported"),
        ((_X, np.zeros((6, 2, 2))), r"y has the wrong shape: got \(6, 2, 2\)"),
        ((_X, _with(_Y, 2, 0, -np.inf)), "y contains 1 infinite values: .* index 2"),
        ((_X, _Y, ["a"]), r"got 1 names \(1 distinct\) for 2 columns"),
        ((_X, _Y, ["a", "a"]), r"got 2 names \(1 distinct\) for 2 columns"),
        ((_X, _Y[:, 0], _TASKS[:5]), "got 5 labels for 6 rows"),
        ((_X, _Y[:, 0], [*_TASKS[:5], None]), "tasks contains 1 missing labels: got None first at index 5"),
        ((_X, _Y[:, 0], ["a"] * 5 + ["b"]), "1 tasks with too few labels: got 1 at least in 'b'"),
        ((_X, _Y[:, 0] * np.nan, _TASKS), "got 0 at least in 'a', 'b'"),
        ((_X, np.repeat([[1.0, 2.0]], 6, axis=0), ["u", "v"]), "2 constant targets: got a single value in 'u', 'v'"),
        ((_X, np.array([1.0, 1, 1, 2, 3, 4]), _TASKS), "1 constant targets: got a single value in 'a'"),
        ((_X, np.full((6, 9), np.nan)), "in 0, 1, 2, 3, 4 and 4 more"),
    ],
)
def test_bad_data(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_task_data(*arguments)


@pytest.mark.parametrize("arguments", [(csr_matrix(_X), _Y), (_X, csr_matrix(_Y))])
def test_sparse_data_are_refused(arguments):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        check_task_data(*arguments)


def test_unknown_tasks():
    with pytest.raises(ValueError, match=r"not fitted on: got 'z', expected some of 'a', 'b'"):
        check_task_data(_X, _Y, ["a", "z"], known_tasks=("a", "b"))
    with pytest.raises(ValueError, match="got 2, expected 3, the tasks of the model"):
        check_task_data(_X, _Y, known_tasks=("a", "b", "c"))


def test_scoring_needs_no_varying_targets():
    check_task_data(_X[:1], np.ones((1, 2)), reset=False, min_labels=0)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_features_of_another_model():
    model = _Estimator().fit(pa.table({"p": _X[:, 0], "q": _X[:, 1]}), _Y)
    with pytest.raises(ValueError, match="expecting 2 features"):
        check_features(model, np.ones((2, 3)))
    with pytest.raises(ValueError, match="non-finite"):
        check_features(model, pa.table({"p": [np.nan], "q": [1.0]}))
    with pytest.raises(ValueError, match="X lacks 1 of the 2 inputs of the model: got no column 'q'"):
        check_features(model, pa.table({"p": [1.0], "r": [1.0]}))
    with pytest.raises(NotFittedError):
        check_features(_Estimator(), _X)


def test_unfit_tasks_are_left_out_on_request():
    Y = np.column_stack([_Y, np.full(6, 3.0), [1.0, *[np.nan] * 5]])
    data = check_task_data(_X, Y, ["a", "b", "c", "d"], leaves_out=True)
    assert data.task_names == ("a", "b")
    assert data.left_out == {"c": "constant", "d": "1 label"}
    assert data.given_tasks == ("a", "b", "c", "d")
    np.testing.assert_array_equal(data.targets, _Y)
    data = check_task_data(_X, [1.0, 1, 1, 2, 3, 4], _TASKS, leaves_out=True)
    assert (data.task_names, data.left_out) == (("b",), {"a": "constant"})
    np.testing.assert_array_equal(data.X, _X[3:])
    np.testing.assert_array_equal(data.given_rows, [False] * 3 + [True] * 3)
    with pytest.raises(ValueError, match="2 constant targets"):
        check_task_data(_X, np.ones((6, 2)), leaves_out=True)


def test_messages_cut_long_names_and_list_few_faults():
    with pytest.raises(ValueError) as error:
        check_task_data(_X, np.ones((6, 1)), ["n" * 10**6])
    assert len(str(error.value)) < 500
    assert "expected targets that vary" in str(error.value)
    with pytest.raises(ValueError, match=r"100 faults:[\s\S]*And 80 more\.$"):
        raise_faults([f"x{i} is wrong: got '{'c d' * 10**5}', expected less. Change it." for i in range(100)])
    with pytest.raises(ValueError, match=r"^x is wrong: got 'c dc[^']{1,90}characters\), expected 'a'\.$"):
        raise_faults([f"x is wrong: got '{'c d' * 10**5}', expected 'a'."])


@pytest.fixture(scope="module")
def named():
    """Inputs with names, targets, and estimators of all kinds fitted to them."""
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
    Y = X.to_numpy() @ rng.laplace(size=(3, 6)) + 0.1 * rng.normal(size=(120, 6))
    small = MTRN(2, hidden_sizes=(8,), n_replicates=1, n_features=4, max_epochs=3, random_state=0)
    estimators = {
        "MTLCM": MTLCM(2, random_state=0),
        "MTRN": small,
        "PredictiveFeatures": PredictiveFeatures(LinearRegression(), 2, random_state=0),
        "IdentifiableRegressor": IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0),
        "PrincipalComponents": PrincipalComponents(2),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return X, Y, {name: estimator.fit(X, Y) for name, estimator in estimators.items()}


_FRAMES = {
    "pandas": lambda frame: frame,
    "polars": lambda frame: polars.from_pandas(frame),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


@pytest.mark.parametrize("kind", _FRAMES)
@pytest.mark.parametrize(
    "name", ["MTLCM", "MTRN", "PredictiveFeatures", "IdentifiableRegressor", "PrincipalComponents"]
)
def test_columns_of_a_frame_are_taken_by_their_names(named, tmp_path, name, kind):
    X, Y, fitted = named
    model = fitted[name]
    expected = model.transform(X)
    wider = X.assign(formula="Fe", batch=np.arange(120))[["c", "formula", "a", "batch", "b"]]
    models = [model]
    if hasattr(model, "save"):
        model.save(tmp_path / "run")
        models.append(type(model).load(tmp_path / "run"))
    for each in models:
        frame = _FRAMES[kind](wider)
        np.testing.assert_array_equal(each.transform(frame), expected)
        if hasattr(each, "predict"):
            np.testing.assert_array_equal(each.predict(frame), each.predict(X))
        if hasattr(each, "score"):
            # Sums over columns of another memory layout round differently.
            assert each.score(frame, Y) == pytest.approx(each.score(X, Y), rel=1e-12)
        if hasattr(each, "adapt"):
            adapted, plain = each.adapt(frame, Y[:, 0]), each.adapt(X, Y[:, 0])
            np.testing.assert_array_equal(adapted.predict(frame), plain.predict(X))
        message = "X lacks 2 of the 3 inputs of the model: got no column 'a', 'c', expected each by its name"
        with pytest.raises(ValueError, match=message):
            each.transform(_FRAMES[kind](wider[["b", "formula", "batch"]]))


def test_a_feature_that_is_there_twice_is_refused(named):
    X, _, fitted = named
    twice = pandas.concat([X, X[["b"]]], axis=1)
    with pytest.raises(ValueError, match="X has repeated column names: got 'b' several times"):
        fitted["MTLCM"].transform(twice)


def test_batches_are_added_by_the_names_of_their_columns(named):
    X, Y, _ = named
    model, other = (MTLCM(2, random_state=0).partial_fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(
        model.partial_fit(X[["c", "b", "a"]].assign(text="x"), Y).mixing_, other.partial_fit(X, Y).mixing_
    )


def test_rows_of_messages_are_those_given_with_rows_of_weight_zero():
    X, y, weight = np.eye(6), np.arange(6.0), np.array([0, 0, 1, 1, 1, 1])
    tasks = np.array(["a", None, "a", "b", None, "b"], dtype=object)
    with pytest.raises(ValueError, match="tasks contains 1 missing labels: got None first at index 4"):
        check_task_data(X, y, tasks, sample_weight=weight)
    with pytest.raises(ValueError, match="tasks does not match y: got 5 labels for 6 rows"):
        check_task_data(X, y, ["a", "a", "a", "b", "b"], sample_weight=weight)
