"""Missing is told from value: masks, None, NaN, NaT and NA are missing, texts and zeros are not."""

import numpy as np
import pandas as pd
import pytest

from identirep import MTLCM, TaskMoments
from identirep.missing import as_labels, as_numbers, is_missing, missing_labels
from identirep.splits import number_groups, order_ranks
from identirep.validation import check_task_data

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ np.random.default_rng(1).normal(size=(3, 4))
GAP = np.zeros(Y.shape, dtype=bool)
GAP[[3, 5], [0, 2]] = True
WANTED = np.where(GAP, np.nan, Y)


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, np.ma.masked, np.datetime64("NaT"), np.float32("nan")])
def test_missing_values(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", ["", "NA", "nan", "None", 0, 0.0, False, (), np.inf])
def test_values(value):
    assert not is_missing(value)


FORMS = {
    "mask": np.ma.masked_array(np.where(GAP, -9999.0, Y), GAP),
    "pandas Float64": pd.DataFrame(WANTED).convert_dtypes(),
    "None": np.where(GAP, None, Y),
    "NA": np.where(GAP, pd.NA, Y.astype(object)),
    "lists": np.where(GAP, pd.NA, Y.astype(object)).tolist(),
    "Arrow": pd.DataFrame(WANTED).astype("double[pyarrow]"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_targets(form):
    np.testing.assert_array_equal(check_task_data(X, form).targets, WANTED)
    np.testing.assert_array_equal(TaskMoments.from_arrays(X, form).mean_y, TaskMoments.from_arrays(X, WANTED).mean_y)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_targets_of_rows_of_tasks(form):
    H, tasks = np.repeat(X, WANTED.shape[1], axis=0), np.tile(np.arange(WANTED.shape[1]), len(X))
    flat = form.ravel() if hasattr(form, "ravel") else np.ravel(np.array(form, dtype=object))
    found = TaskMoments.from_long(H, flat, tasks)
    np.testing.assert_array_equal(found.mean_y, TaskMoments.from_long(H, WANTED.ravel(), tasks).mean_y)


def test_masks_of_whole_numbers():
    whole = np.arange(80).reshape(40, 2)
    masked = np.ma.masked_array(np.where(whole == 7, -9999, whole), whole == 7)
    np.testing.assert_array_equal(check_task_data(X, masked).targets, np.where(whole == 7, np.nan, whole))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_inputs_say_where(form):
    with pytest.raises(ValueError, match=r"2 non-finite values \(NaN or inf\): got nan first at index 3, column 0"):
        check_task_data(form, Y)
    with pytest.raises(ValueError, match="non-finite"):
        TaskMoments.from_arrays(form, Y)


def test_complete_inputs_of_objects_and_their_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for given in (frame.astype(object), frame.convert_dtypes()):
        model = MTLCM(random_state=0).fit(given, Y + np.random.default_rng(2).normal(size=Y.shape))
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]


LABELS = {
    "list": ["DE", None, "NA", "DE", np.nan, "nan"],
    "mask": np.ma.masked_array(["DE", "x", "NA", "DE", "x", "nan"], [0, 1, 0, 0, 1, 0]),
    "string": pd.array(["DE", None, "NA", "DE", None, "nan"], dtype="string"),
    "series": pd.Series(["DE", pd.NA, "NA", "DE", None, "nan"], dtype=object),
    "categories": pd.Series(["DE", None, "NA", "DE", None, "nan"], dtype="category"),
    "numbers": np.array([0, np.nan, 2, 0, np.nan, 3]),
    "masked numbers": np.ma.masked_array([0, 9, 2, 0, 9, 3], [0, 1, 0, 0, 1, 0]),
    "days": pd.to_datetime(["2020-01-01", None, "2020-01-02", "2020-01-01", None, "2020-01-03"]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels(labels):
    assert missing_labels(as_labels(labels)).tolist() == [False, True, False, False, True, False]
    groups = number_groups(labels)
    # A row without a label is alone: nothing says that two of them belong together.
    assert len(set(groups.tolist())) == 5
    assert groups[0] == groups[3]
    with pytest.raises(ValueError, match="tasks contains 2 missing labels"):
        check_task_data(X[:6], Y[:6, 0], labels)
    with pytest.raises(ValueError, match="tasks has missing labels: got 2, first at index 1"):
        TaskMoments.from_long(X[:6], Y[:6, 0], labels)
    with pytest.raises(ValueError, match=r"order contains 2 missing values: got .* first at index 1"):
        order_ranks(labels)


def test_numbers_without_gaps_are_not_copied():
    assert as_numbers(X) is X


@pytest.mark.parametrize("labels", [5, None, 1.5, "abc", {"a": 1}, {1, 2, 3}])
def test_labels_that_are_no_sequence_are_refused_in_our_words(labels):
    with pytest.raises(ValueError, match=r"labels holds no sequence of labels: got \w+, expected one for"):
        as_labels(labels)
    with pytest.raises(ValueError, match="no sequence"):
        TaskMoments.from_long(np.ones((3, 1)), np.ones(3), labels)


def test_labels_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match=r"tasks has labels that cannot be told apart: got an unhashable"):
        TaskMoments.from_long(np.ones((3, 1)), np.ones(3), [[1], "a", [2]])


def test_labels_are_looked_at_one_by_one_only_if_their_types_can_be_missing(monkeypatch):
    labels = as_labels(np.array(["a", ("b", 1), 2, True, np.int64(3), b"c"] * 3, dtype=object))
    gaps = [None, np.nan, pd.NA, pd.NaT, np.ma.masked, np.datetime64("NaT"), np.timedelta64("NaT"), np.float32("nan")]
    for gap in gaps:
        mixed = labels.copy()
        mixed[4] = gap
        assert np.flatnonzero(missing_labels(mixed)).tolist() == [4]
    monkeypatch.setattr("identirep.missing.is_missing", pytest.fail)
    assert not missing_labels(labels).any()
