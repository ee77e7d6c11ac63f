"""Dates as people write them are read where the file tells days from months, and never guessed."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from identirep.cli.ordering import sortable
from identirep.datasets import Markers, open_table, read_whole

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
