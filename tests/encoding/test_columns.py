"""What a column is: judged by its type and values, one reason for each that is no input."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from identirep.datasets import Markers
from identirep.encoding import judge_columns

N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
WHOLE = RNG.integers(0, 7, N)
WORDS = [["red", "blue", "green"][i % 3] for i in range(N)]
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in RNG.integers(0, 600, N)]
LISTS = RNG.normal(size=(N, 3)).tolist()
TABLE = pa.table({"x": X})


def _judge(values, name="column", **settings):
    return judge_columns(pa.table({name: values}), **settings)[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(X), "number"),
        (pa.array(X.astype(np.float16)), "number"),
        (pa.array([Decimal(f"{v:.3f}") for v in X]), "number"),
        (pa.array(X.round(1)).dictionary_encode(), "number"),
        (pa.array(WHOLE, pa.int8()), "whole number"),
        (pa.array(WHOLE.astype(np.uint64) + 2**40), "whole number"),
        (pa.array(X > 0), "yes or no"),
        (pa.array([dt.timedelta(seconds=int(v)) for v in WHOLE]), "duration"),
        (pa.array(WORDS), "category"),
        (pa.array(WORDS, pa.large_string()), "category"),
        # Older releases of Arrow have no views.
        *([(pa.array(WORDS).cast(pa.string_view()), "category")] if hasattr(pa, "string_view") else []),
        (pa.array(WORDS).dictionary_encode(), "category"),
        (pa.array([f"{v}" for v in WHOLE]), "category"),
        (pa.array([f"{v}" for v in X]), "number"),
        (pa.array(DAYS), "date or time"),
        (pa.array(DAYS).cast(pa.timestamp("ns", "UTC")), "date or time"),
        (pa.array(list(map(str, DAYS))), "date or time"),
        (pa.array([f"{d}T12:00:00+02:00" for d in DAYS]), "date or time"),
        (pa.array([dt.time(int(v)) for v in WHOLE]), "time of day"),
        (pa.array(LISTS), "list"),
        (pa.array(LISTS, pa.list_(pa.float16(), 3)), "list"),
        (pa.array(LISTS, pa.large_list(pa.float32())), "list"),
        (pa.array([[row, row] for row in LISTS]), "list"),
        *([(pa.array(LISTS, pa.list_view(pa.float64())), "list")] if hasattr(pa, "list_view") else []),
        (pa.FixedShapeTensorArray.from_numpy_ndarray(RNG.normal(size=(N, 2, 3))), "list"),
        (pa.RunEndEncodedArray.from_arrays(pa.array([N // 2, N]), pa.array([1.0, 2.0])), "number"),
        (pa.array([None if i % 5 == 0 else "yes" for i in range(N)]), "category"),
    ],
)
def test_inputs(values, kind):
    column = _judge(values)
    assert (column.kind, column.why_not) == (kind, "")


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        (pa.array(np.arange(N)), "whole number", "numbers the rows"),
        (pa.array(np.arange(N, 0.0, -1)), "number", "numbers the rows"),
        (pa.array([f"molecule {i}" for i in range(N)]), "text", "a text of its own in each row"),
        (pa.array([f"molecule {i % 25}" for i in range(N)]), "text", "text with 25 values"),
        (pa.array(["looks odd", *[None] * (N - 2), "looks fine"]), "text", f"text in 2 of {N} rows"),
        (pa.array([f"{d:%d.%m.%Y}" for d in DAYS]), "text", "dates that are not written as 2020-12-31"),
        (pa.array(np.ones(N)), "number", "constant"),
        (pa.array(["a"] * N), "category", "constant"),
        (pa.array(DAYS[:1] * N), "date or time", "constant"),
        (pa.array(LISTS[:1] * N), "list", "constant"),
        (pa.nulls(N), "empty", "empty"),
        (pa.array([np.nan] * N), "empty", "empty"),
        (pa.array([None, " "] * (N // 2)), "empty", "empty"),
        (pa.array([[1.0] * (1 + i % 2) for i in range(N)]), "list", "lists of 1 to 2 values"),
        (pa.array([["a", "b"]] * N), "list", "lists of string"),
        (pa.array([[]] * N, pa.list_(pa.float64())), "list", "empty lists"),
        (pa.array([[[1.0], None]] * N), "list", "lists with missing lists inside"),
        (pa.array([{"a": 1.0}] * N), "other", "struct<a: double>, no numbers"),
        (pa.array([b"x"] * N), "other", "binary, no numbers"),
        (pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())), "other", "map<string, int64>, no numbers"),
    ],
)
def test_no_inputs(values, kind, why):
    column = _judge(values)
    assert (column.kind, column.why_not) == (kind, why)
    assert not column.is_fault


@pytest.mark.parametrize("text", ["7,5", "7.5 %", "1 000", "\u22127"])
def test_few_numbers_written_otherwise_are_no_codes(text):
    column = _judge(pa.array(["1.5", "2.5", "7.5", text] * (N // 4)))
    assert column.is_fault
    assert column.why_not.startswith(f"{text!r} among numbers, first at row 4, of {N // 4} cells that are no numbers")
    assert _judge(pa.array(["1", "2", "3", "1a"] * (N // 4))).is_input


def test_ways_of_writing_numbers_are_counted():
    texts = ["1.5"] * (N - 4) + ["1,234.5", "1.5 eV", "?", "2 eV"]
    column = _judge(pa.array(texts))
    ways = "2 with units or signs, 1 with thousands separators, 1 of text"
    assert column.why_not == f"'1,234.5' among numbers, first at row {N - 3}, of 4 cells that are no numbers ({ways})"


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_index_columns_by_name(name):
    assert _judge(X, name).numbers_rows
    assert _judge(X, name, keep=[name]).is_input


def test_an_index_that_the_table_declares():
    table = pa.table({"x": X, "k": X}).replace_schema_metadata({"pandas": '{"index_columns": ["k"]}'})
    assert [column.why_not for column in judge_columns(table)] == ["", "the index of the table"]


@pytest.mark.parametrize("mark", ["?", "--", "n.d."])
def test_marks_among_numbers_are_a_fault(mark):
    for numbers in (X, WHOLE):
        values = [f"{v}" for v in numbers]
        values[5] = mark
        column = _judge(values)
        assert column.is_fault
        assert f"{mark!r} among numbers, first at row 6" in column.why_not
        assert f"missing={mark!r}" in column.remedy
        marked = _judge(values, markers=Markers.of(mark))
        assert (marked.is_fault, marked.n_missing) == (False, 1) if numbers is X else not marked.is_fault


def test_a_text_among_many_numbers_is_a_fault_and_one_among_few_a_value():
    assert _judge([*map(str, X[1:]), "high"]).is_fault
    assert _judge([*map(str, WHOLE[1:]), "high"]).kind == "category"


def test_whole_numbers_are_categories_if_somebody_says_so():
    column = _judge(WHOLE, categorical=["column"])
    assert (column.kind, column.n_distinct, column.why_not) == ("category", len(set(WHOLE)), "")
    assert _judge(np.arange(N), categorical=["column"]).is_input
    assert _judge([f"m{i}" for i in range(N)], categorical=["column"]).is_input


def test_one_value_or_none_is_an_input():
    assert _judge(np.where(np.arange(N) % 4 == 0, np.nan, 1.0)).is_input


def test_numbers_that_stand_for_a_missing_value():
    column = _judge(np.where(np.arange(N) % 4 == 0, -9999, WHOLE), markers=Markers.of("-9999"))
    assert column.n_missing == N // 4
