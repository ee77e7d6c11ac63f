"""TableEncoder: what numbers are made of a table, of whatever library, and what it says of what it has not seen."""

import datetime as dt
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone

from identirep import TableEncoder

N = 90
RNG = np.random.default_rng(0)


@pytest.fixture
def frame():
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.permutation(700)[:N], unit="D")
    return pd.DataFrame(
        {
            "x": np.where(np.arange(N) % 9 == 0, np.nan, RNG.normal(size=N)),
            "colour": [["red", "blue", "green"][i % 3] for i in range(N)],
            "is_metal": RNG.random(N) > 0.5,
            "when": days,
            "embedding": list(RNG.normal(size=(N, 2))),
            "code": RNG.integers(0, 4, N),
        }
    )


def _quiet(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call()


def test_columns_become_numbers_in_their_order(frame):
    encoder = TableEncoder(categorical=["code"])
    numbers = _quiet(lambda: encoder.fit_transform(frame))
    assert encoder.get_feature_names_out().tolist() == [
        *("x", "x is missing", "colour=blue", "colour=green", "colour=red", "is_metal", "when: days since 1970"),
        *("when: sine of year", "when: cosine of year", "when: sine of week", "when: cosine of week"),
        *("embedding[0]", "embedding[1]", "code=0", "code=1", "code=2", "code=3"),
    ]
    assert numbers.dtype == np.float64
    column = dict(zip(encoder.get_feature_names_out(), numbers.T, strict=True))
    np.testing.assert_allclose(column["x"], frame.x.fillna(frame.x.mean()))
    np.testing.assert_array_equal(column["x is missing"], frame.x.isna())
    np.testing.assert_array_equal(column["colour=red"], frame.colour == "red")
    np.testing.assert_array_equal(column["is_metal"], frame.is_metal)
    np.testing.assert_array_equal(column["code=2"], frame.code == 2)
    np.testing.assert_array_equal(column["embedding[1]"], np.stack(frame.embedding)[:, 1])
    days = (frame.when - pd.Timestamp("1970-01-01")).dt.days
    np.testing.assert_array_equal(column["when: days since 1970"], days)
    # Mondays are at the origin of the week.
    np.testing.assert_allclose(
        column["when: cosine of week"], np.cos(2 * np.pi * frame.when.dt.dayofweek / 7), atol=1e-9
    )


@pytest.mark.parametrize("kind", ["polars", "arrow", "batch", "stream"])
def test_tables_of_all_libraries_are_equal(frame, kind):
    encoder = TableEncoder().fit(frame)
    arrow = pa.Table.from_pandas(frame)
    other = {
        "polars": lambda: pl.from_arrow(arrow),
        "arrow": lambda: arrow,
        "batch": lambda: arrow.combine_chunks().to_batches()[0],
        "stream": lambda: _Stream(arrow),
    }[kind]()
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(frame))
    np.testing.assert_array_equal(clone(encoder).fit(other).transform(frame), encoder.transform(frame))


class _Stream:
    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_types_of_polars_and_pandas():
    words, x = ["a", "b"] * 20, RNG.normal(size=40)
    frame = pl.DataFrame({"x": x, "enum": pl.Series(words).cast(pl.Enum(["a", "b"]))})
    frame = frame.with_columns(pl.Series("categorical", words).cast(pl.Categorical))
    names = ["x", "enum=a", "enum=b", "categorical=a", "categorical=b"]
    assert TableEncoder().fit(frame.lazy()).get_feature_names_out().tolist() == names
    matrices = pd.DataFrame({"m": list(RNG.normal(size=(40, 2, 2))), "n": pd.array([None, *range(39)], dtype="Int64")})
    np.testing.assert_array_equal(TableEncoder().fit_transform(matrices)[:, :4], np.stack(matrices.m).reshape(40, 4))
    with pytest.raises(ValueError, match=r"X cannot be read: got .* expected columns of types that Arrow has"):
        TableEncoder().fit(frame.with_columns(pl.col("x").cast(pl.Int128)))


def test_columns_are_taken_by_name_and_texts_as_what_they_were(frame):
    encoder = TableEncoder(categorical=["code"]).fit(frame)
    expected = encoder.transform(frame)
    other = frame[frame.columns[::-1]].assign(extra="text", code=frame.code.astype(float), when=frame.when.astype(str))
    other = other.assign(x=frame.x.astype(str).replace("nan", "NA"), is_metal=frame.is_metal.astype(str))
    np.testing.assert_array_equal(_quiet(lambda: encoder.transform(other)), expected)


def test_what_was_not_seen_has_one_warning(frame):
    encoder = TableEncoder().fit(frame)
    other = frame.assign(colour=["violet", None, *frame.colour[2:]], code=[np.nan, *frame.code[1:]])
    with pytest.warns(UserWarning, match="fit had none") as caught:
        numbers = encoder.transform(other)
    assert [str(warning.message) for warning in caught] == [
        "Gaps where the fit had none: 'code' in 1 row, filled with the mean of the fit. 'colour' has what the fit did "
        "not have: 'violet' and missing values, in 2 rows, which count as none of its values."
    ]
    names = encoder.get_feature_names_out().tolist()
    assert not numbers[:2, names.index("colour=blue") : names.index("colour=red") + 1].any()
    assert numbers[0, names.index("code")] == pytest.approx(frame.code.mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": "high"}, "column 'x' is of another type than in the fit: got 'high' first at row 1, expected numbers"),
        ({"x": "n,a"}, """'x' .* got 'n,a' .* or pass missing='"n,a"' if that stands for a missing value"""),
        ({"when": 3.0}, "column 'when' is of another type .* got 3.0 first at row 1, expected dates"),
        ({"embedding": [[1.0] * 3] * N}, "column 'embedding' .* expected lists of 2 numbers"),
        ({"when": ["2020-01-01T00:00:00Z"] + ["2020-01-01"] * (N - 1)}, "'when' .* got dates with and without a time"),
        ({"x": pd.to_timedelta(np.arange(N), unit="s")}, r"column 'x' .* got .*timedelta\(.* expected numbers"),
        ({"since": 3.0}, "column 'since' is of another type .* got 3.0 first at row 1, expected durations"),
        ({"x": np.inf}, "column 'x' has infinite values: got 90, first at row 1"),
        ({"x": None, "colour": None, "code": 1}, None),
    ],
)
def test_columns_of_another_type(frame, changes, message):
    frame = frame.assign(since=pd.to_timedelta(np.arange(N) % 7, unit="h"))
    encoder = TableEncoder().fit(frame)
    other = frame.assign(**{name: pd.Series(value, index=frame.index) for name, value in changes.items()})
    if message is None:
        with pytest.warns(UserWarning, match="'colour' has what the fit did not have: missing values, in 90 rows"):
            assert np.isfinite(encoder.transform(other)).all()
    else:
        with pytest.raises(ValueError, match=message):
            encoder.transform(other)


def test_missing_columns_are_named(frame):
    with pytest.raises(ValueError, match="X lacks 2 of the 6 inputs of the model: got no column 'x', 'code'"):
        TableEncoder().fit(frame).transform(frame.drop(columns=["x", "code"]))


@pytest.mark.parametrize(("impute", "expected"), [("mean", 3.0), ("median", 2.0), ("none", np.nan), ("auto", 3.0)])
def test_gaps(impute, expected):
    x = np.array([1.0, 2.0, 2.0, 7.0, np.nan] * 8)
    encoder = TableEncoder(impute=impute).fit(pa.table({"x": x, "z": np.tile([0.0, 1.0], 20)}))
    numbers = encoder.transform(pa.table({"x": [np.nan], "z": [1.0]}))
    np.testing.assert_array_equal(numbers[0, 0], expected)
    assert encoder.gaps_ == {"x": 0.2}
    assert ("x is missing" in encoder.get_feature_names_out()) == (impute != "none")


def test_one_more_input_for_each_pattern_of_gaps():
    gaps = np.arange(N) % 8 == 0
    x = np.where(gaps[:, None], np.nan, RNG.normal(size=(N, 3)))
    x[::7, 2] = np.nan
    rare = np.where(np.arange(N) == 3, np.nan, RNG.normal(size=N))
    encoder = TableEncoder().fit(np.column_stack([x, rare]))
    assert encoder.get_feature_names_out().tolist() == ["x0", "x0 is missing", "x1", "x2", "x2 is missing", "x3"]


def test_rare_values_share_one_input():
    values = ["a"] * 40 + ["b"] * 40 + ["c"] * 2 + ["d"]
    encoder = TableEncoder().fit(pa.table({"v": values}))
    assert encoder.get_feature_names_out().tolist() == ["v=a", "v=b", "v=others"]
    with pytest.warns(
        UserWarning, match="'v' has what the fit did not have: 'e', in 1 row, which count as its rare val"
    ):
        np.testing.assert_array_equal(encoder.transform(pa.table({"v": ["c", "e"]})), [[0, 0, 1]] * 2)
    many = TableEncoder(categorical=["v"], max_categories=3).fit(pa.table({"v": np.repeat(np.arange(10), 9)}))
    assert len(many.get_feature_names_out()) == 3


def test_long_values_have_short_names():
    encoder = TableEncoder().fit(pa.table({"v": ["a" * 5000, "a" * 4999 + "b"] * 10}))
    assert encoder.get_feature_names_out().tolist() == [f"v={'a' * 60}...", f"v={'a' * 60}... (2)"]
    with pytest.warns(UserWarning, match="'v' has what the fit did not have") as caught:
        encoder.transform(pa.table({"v": ["c" * 5000]}))
    assert len(str(caught[0].message)) < 300


def test_missing_is_a_value_of_a_category():
    encoder = TableEncoder().fit(pa.table({"v": ["a", None, "b", " "] * 10}))
    assert encoder.get_feature_names_out().tolist() == ["v=a", "v=b", "v is missing"]
    np.testing.assert_array_equal(encoder.transform(pa.table({"v": [None, "a"]})), [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    "other", [[0.5, 3.0, 0.0], ["0.5", "3", "0"], [Decimal("0.500"), Decimal(3), Decimal("-0.00")]]
)
def test_values_of_decimals_are_those_of_numbers(other):
    values = [Decimal("0.50"), Decimal("3.00"), Decimal("0.00")]
    encoder = TableEncoder(categorical=["price"]).fit(pd.DataFrame({"price": values * 9}))
    assert encoder.get_feature_names_out().tolist() == ["price=0", "price=0.5", "price=3"]
    frame = pd.DataFrame({"price": pd.Series(other, dtype=object if isinstance(other[0], Decimal) else None)})
    np.testing.assert_array_equal(_quiet(lambda: encoder.transform(frame)), np.eye(3)[[1, 2, 0]])


def test_na_is_a_value_and_not_missing():
    encoder = TableEncoder().fit(pa.table({"country": ["NA", "DE"] * 10}))
    assert encoder.get_feature_names_out().tolist() == ["country=DE", "country=NA"]


def test_names_are_distinct():
    table = pa.table({"v=a": RNG.normal(size=20), "v": ["a", "b"] * 10})
    assert TableEncoder().fit(table).get_feature_names_out().tolist() == ["v=a", "v=a (2)", "v=b"]


def test_times_have_their_place_in_the_day():
    hours = RNG.integers(0, 24, N)
    stamps = [dt.datetime(2021, 5, 4, int(hour), tzinfo=dt.timezone.utc) for hour in hours]
    for values in (stamps, [stamp.time() for stamp in stamps]):
        encoder = TableEncoder().fit(pa.table({"t": values}))
        names = encoder.get_feature_names_out().tolist()
        numbers = encoder.transform(pa.table({"t": values}))
        np.testing.assert_allclose(numbers[:, names.index("t: sine of day")], np.sin(2 * np.pi * hours / 24), atol=1e-9)
        # A single day has neither season nor weekday.
        assert not any("week" in name for name in names)


def test_numbers_of_a_matrix_stay_as_they_are():
    X = RNG.normal(size=(N, 3))
    encoder = TableEncoder()
    np.testing.assert_array_equal(_quiet(lambda: encoder.fit_transform(X)), X)
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame(X, columns=["x0", "x1", "x2"])), X)
    with pytest.raises(ValueError, match="X has 2 features, but TableEncoder is expecting 3 features"):
        encoder.transform(X[:, :2])


def test_columns_left_out_are_said(frame):
    encoder = TableEncoder().fit(frame.assign(row=np.arange(N), id=[f"m{i}" for i in range(N)], same=1.0))
    assert encoder.left_out_ == {
        "row": "numbers the rows",
        "id": "a text of its own in each row",
        "same": "constant",
    }
    assert encoder.remarks_[0].startswith("Left out of the inputs: 'row' (numbers the rows), 'id' (a text of its own")
    assert encoder.remarks_[1].startswith(
        "Gaps in 1 input, by share of the 90 rows of training: 'x' 11 %; filled with the mean, and 1"
    )
    kept = TableEncoder(keep=["row"], categorical=["id"]).fit(frame.assign(row=np.arange(N), id=frame.colour))
    assert kept.left_out_ == {}


def test_texts_are_kept_as_numbers_are(frame):
    texts = {"row": [str(i) for i in range(N)], "same": "a", "day": "2020-01-01"}
    assert list(TableEncoder().fit(frame.assign(**texts)).left_out_) == list(texts)
    kept = TableEncoder(keep=list(texts)).fit(frame.assign(**texts))
    assert kept.left_out_ == {}
    assert {"row", "same=a", "day: days since 1970"} <= set(kept.get_feature_names_out())


def test_set_output(frame):
    encoder = TableEncoder().set_output(transform="pandas")
    framed = encoder.fit_transform(frame.set_index(np.arange(N) + 7))
    assert framed.columns.tolist() == encoder.get_feature_names_out().tolist()
    assert framed.index[0] == 7


@pytest.mark.parametrize(
    ("settings", "X", "error", "message"),
    [
        ({"impute": "zero"}, None, ValueError, "impute is not valid: got 'zero'"),
        ({"categorical": 3}, None, TypeError, "categorical has the wrong type: got 3"),
        ({"categorical": ["z"]}, None, ValueError, "categorical matches no column: got 'z'"),
        ({"keep": ["z"]}, None, ValueError, "keep matches no column: got 'z'"),
        ({"max_categories": 1}, None, ValueError, "max_categories is not valid: got 1"),
        (
            {},
            pd.DataFrame({"a": [1, "b", dt.date(2020, 1, 1)]}),
            ValueError,
            "column 'a' holds values of several kinds",
        ),
        ({}, pd.DataFrame([[1.0, 2.0]] * 3, columns=["a", "a"]), ValueError, "X has repeated column names: got 'a'"),
        ({}, pd.DataFrame({"a": ["x", "y", "z"]}), ValueError, r"features is empty: got 'a' \(a text of its own"),
        ({}, pd.DataFrame({"a": ["1.5", "2.5", "?", "4"]}), ValueError, "column 'a' is not numeric: got '\\?' among"),
        ({}, pd.DataFrame({"a": []}), ValueError, "X is empty: got 0 rows"),
        ({}, np.zeros(3), ValueError, r"X has the wrong shape: got \(3,\)"),
        ({}, np.ones((3, 1)) * 1j, ValueError, "is complex"),
    ],
)
def test_bad_calls(frame, settings, X, error, message):
    with pytest.raises(error, match=message):
        TableEncoder(**settings).fit(frame if X is None else X)


def test_lists_and_parts_are_no_categories(frame):
    with pytest.raises(ValueError, match=r"categorical has a column that is no category: got 'embedding' with .*list"):
        TableEncoder(categorical=["embedding"]).fit(frame)
    parts = frame.assign(place=[{"lat": 1.0, "lon": float(i)} for i in range(len(frame))])
    with pytest.raises(ValueError, match="no category: got 'place' with struct"):
        TableEncoder(categorical=["place"]).fit(parts)


@pytest.mark.parametrize("as_text", [False, True])
def test_dates_with_and_without_a_time_zone_are_not_mixed(as_text):
    moments = pd.Series(pd.date_range("2020-01-01", periods=60, freq="7h"))
    zoned = moments.dt.tz_localize("UTC")
    if as_text:
        moments, zoned = (part.map(lambda moment: moment.isoformat()) for part in (moments, zoned))
    x = np.arange(60.0) ** 2
    for here, there, got in ((moments, zoned, "dates with a time zone"), (zoned, moments, "dates without a time zone")):
        encoder = TableEncoder().fit(pd.DataFrame({"x": x, "when": here}))
        with pytest.raises(ValueError, match=f"column 'when' is of another type than in the fit: got {got}"):
            encoder.transform(pd.DataFrame({"x": x, "when": there}))
        encoder.transform(pd.DataFrame({"x": x, "when": here}))
    if as_text:
        mixed = TableEncoder().fit(pd.DataFrame({"x": x, "when": np.where(np.arange(60) % 2, moments, zoned)}))
        assert mixed.left_out_ == {"when": "dates with and without a time zone"}
