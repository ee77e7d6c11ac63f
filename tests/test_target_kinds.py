"""Kinds of targets: told from values, or given."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.target_kinds import kind_of, kinds_of_columns, kinds_of_tasks, kinds_sentence

RNG = np.random.default_rng(0)
BY_KIND = {
    "binary": [np.tile([0.0, 1.0], 2), np.repeat([1.0, 2.0], 10), np.repeat([-1.0, 1.0], [3, 40])],
    "ordinal": [RNG.integers(1, 6, 100), RNG.integers(0, 3, 60)],
    "count": [RNG.poisson(8, 300), RNG.negative_binomial(2, 0.1, 50)],
    "continuous": [
        RNG.normal(size=50),
        RNG.normal(size=50).round() * 7.5,
        np.arange(1900.0, 2000.0),
        np.array([0.3, 0.7] * 20),
        np.array([3.0, 4.0, 3.0]),
        -RNG.poisson(8, 300),
        np.empty(0),
        np.full(20, 2.0),
    ],
}


@pytest.mark.parametrize(("kind", "values"), [(kind, values) for kind, all_ in BY_KIND.items() for values in all_])
def test_values_tell_the_kind(kind, values):
    assert kind_of(np.asarray(values, dtype=float)) == kind


def test_columns_and_tasks_are_told_one_by_one():
    Y = np.column_stack([RNG.integers(0, 2, 60), RNG.normal(size=60), RNG.negative_binomial(2, 0.1, 60)]).astype(float)
    Y[::3, 0] = np.nan
    names = ("a", "b", "c")
    assert kinds_of_columns(Y, names, "auto") == ("binary", "continuous", "count")
    order = RNG.permutation(180)
    y, index = Y.T.ravel()[order], np.repeat(np.arange(3), 60)[order]
    seen = ~np.isnan(y)
    assert kinds_of_tasks(y[seen], index[seen], names, "auto") == ("binary", "continuous", "count")
    assert kinds_of_columns(Y, names, {"a": "continuous"}) == ("continuous", "continuous", "count")
    assert kinds_sentence(("binary", "continuous", "binary")) == "2 binary, 1 continuous"


def test_tasks_of_few_labels_take_the_kind_of_all():
    y = RNG.integers(1, 6, 400).astype(float)
    kinds = kinds_of_tasks(y, np.arange(400) // 8, tuple(range(50)), "auto")
    assert set(kinds) <= {"ordinal"}


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("binary", r"does not go with task 0: got 'binary' for \d+ distinct values"),
        ("count", "does not go with task 0: got 'count' for values"),
        ({0: "logistic"}, "got 'logistic' for a kind"),
        ({"z": "binary"}, "names no task: got 'z'"),
        ("gaussian", "target_type"),
        (3, "target_type has the wrong type"),
    ],
)
def test_kinds_that_are_none_are_refused(given, match):
    H, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))
    with pytest.raises((ValueError, TypeError), match=match):
        TaskMoments.from_arrays(H, Y, target_type=given)
    with pytest.raises((ValueError, TypeError), match=match):
        MTLCM(target_type=given).fit(H, Y)


def test_kinds_need_labels():
    H, Y = RNG.normal(size=(40, 3)), RNG.integers(0, 2, (40, 4))
    moments = TaskMoments.from_arrays(H, Y)
    with pytest.raises(ValueError, match="target_type needs all labels"):
        MTLCM(target_type="binary").fit_moments(moments)
    with pytest.raises(ValueError, match="target_type needs all labels"):
        MTLCM(target_type={0: "binary"}).partial_fit(H, Y)


def test_tasks_with_a_label_that_is_no_whole_number_are_told_together(monkeypatch):
    own = [np.asarray(values, dtype=float) for all_ in BY_KIND.values() for values in all_ if len(values) >= 10]
    y, index = np.concatenate(own), np.repeat(np.arange(len(own)), [len(values) for values in own])
    told = tuple(kind_of(values) for values in own)
    order = RNG.permutation(len(y))
    seen = []
    monkeypatch.setattr("identirep.target_kinds.kind_of", lambda values: seen.append(values) or kind_of(values))
    assert kinds_of_tasks(y[order], index[order], tuple(range(len(own))), "auto") == told
    assert seen
    assert all(np.array_equal(values, np.round(values)) for values in seen)


def test_numbers_of_any_size_have_a_kind():
    with np.errstate(all="raise"):
        assert kind_of(np.arange(40) * 1e150) == kind_of(-np.arange(40) * 1e150) == "continuous"
