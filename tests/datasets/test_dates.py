"""Dates as people write them are read where the file tells days from months, and never guessed."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from identirep.cli.ordering import sortable
from identirep.datasets import Markers, open_table, order_of_dates, read_whole
from identirep.encoding import as_dates, judge_columns, plain

_DAYS = [dt.date(2020, 1, 31), dt.date(2020, 2, 1), dt.date(2019, 12, 5)]
FORMS = {
    "points": ("%d.%m.%Y", "date"),
    "day first": ("%d/%m/%Y", "date"),
    "month first": ("%m/%d/%Y", "date"),
    "dashes": ("%d-%m-%Y", "date"),
    "ISO": ("%Y-%m-%d", "date"),
    "with times": ("%m/%d/%Y %H:%M", "time"),
    "with seconds": ("%d.%m.%Y %H:%M:%S", "time"),
}


def _write(path, texts):
    path.write_text("when;x\n" + "".join(f"{text};{i}.5\n" for i, text in enumerate(texts)))
    return path


def _remarks(path):
    file = open_table(path)
    file.read_whole()
    return [remark for remark in file.remarks if "when" in remark]


@pytest.mark.parametrize(("form", "kind"), FORMS.values(), ids=FORMS)
def test_dates_that_tell_their_order_are_read(tmp_path, form, kind):
    path = _write(tmp_path / "t.csv", [*(day.strftime(form) for day in _DAYS), ""])
    column = read_whole(path).column("when")
    assert pa.types.is_date(column.type) if kind == "date" else pa.types.is_timestamp(column.type)
    assert [each if each is None else (each.year, each.month, each.day) for each in column.to_pylist()] == [
        *((day.year, day.month, day.day) for day in _DAYS),
        None,
    ]
    assert _remarks(path) == []


def test_times_without_a_leading_zero(tmp_path):
    path = _write(tmp_path / "t.csv", ["1.1.2020 9:05", "31.12.2020 23:59", "2.1.2020"])
    expected = [dt.datetime(2020, 1, 1, 9, 5), dt.datetime(2020, 12, 31, 23, 59), dt.datetime(2020, 1, 2)]
    assert read_whole(path).column("when").to_pylist() == expected


def test_dates_that_do_not_tell_are_not_guessed(tmp_path):
    path = _write(tmp_path / "t.csv", ["01/02/2020", "03/04/2020", "05/06/2020"])
    assert pa.types.is_string(read_whole(path).column("when").type)
    (remark,) = _remarks(path)
    assert "got '01/02/2020', a date whose day and month cannot be told apart" in remark
    # Between points nobody writes the month first; it is said all the same.
    path = _write(tmp_path / "p.csv", ["01.02.2020", "03.04.2020"])
    assert read_whole(path).column("when").to_pylist() == [dt.date(2020, 2, 1), dt.date(2020, 4, 3)]
    assert _remarks(path) == ["Column 'when' has dates such as '01.02.2020': the day is taken to come first."]


@pytest.mark.parametrize("texts", [["31.02.2020"], ["13/13/2020"], ["31/01/2020", "01/31/2020"], ["31.01.2020", "a"]])
def test_what_is_no_date_stays_text(tmp_path, texts):
    assert read_whole(_write(tmp_path / "t.csv", texts)).column("when").to_pylist() == texts


def test_rows_are_ordered_by_dates_not_by_texts():
    file = SimpleNamespace(markers=Markers(), decimal=".")
    order, _ = sortable("when", ["31.01.2020", "01.02.2020", "05.12.2019"], file)
    assert np.argsort(order).tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match=r"order cannot be sorted: got '01/02/2020' in column 'when'.* expected"):
        sortable("when", ["01/02/2020", "03/04/2020"], file)
    assert sortable("when", ["b", "a"], file)[0].tolist() == ["b", "a"]


_NAMED = ["%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d. %B %Y", "%Y-%b-%d", "%d/%b/%Y", "%a, %d %b %Y", "%B %dth, %Y"]


@pytest.mark.parametrize("form", [*_NAMED, "%d-%b-%Y %H:%M", "%b %d, %Y %H:%M:%S"])
@pytest.mark.parametrize("change", [str, str.upper, lambda text: text.lstrip("0")])
def test_months_by_name_are_read_in_every_format(tmp_path, form, change):
    days = [dt.datetime(2020 + i // 12, 1 + i % 12, 1 + i, 9, 30) for i in range(24)]
    texts = [change(day.strftime(form)) for day in days]
    frame = pd.DataFrame({"when": [*texts, None], "y": np.arange(25) + 0.5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    columns, parts = [], []
    for ending in ("csv", "parquet"):
        table = read_whole(tmp_path / f"t.{ending}")
        columns += [judge_columns(table)[0]]
        parts += [as_dates(plain(table["when"]))]
    assert [(column.kind, column.n_missing, column.why_not) for column in columns] == [("date or time", 1, "")] * 2
    since = [(day - dt.datetime(1970, 1, 1)) / dt.timedelta(1) for day in days]
    if "%H" not in form:
        since = np.floor(since)
    for part in parts:
        np.testing.assert_allclose(part, [*since, np.nan])
    moments = np.array([*(day if "%H" in form else day.date() for day in days), None], "datetime64[s]")
    np.testing.assert_array_equal(order_of_dates([*texts, None], "when"), moments)


@pytest.mark.parametrize("texts", [["31-Feb-2020"], ["01-Dec-23"], ["1 Foo 2020"], ["1-Dec-2020", "x"], ["Dec 2020"]])
def test_what_is_no_date_with_a_month_by_name_stays_text(tmp_path, texts):
    assert read_whole(_write(tmp_path / "t.csv", texts)).column("when").to_pylist() == texts
