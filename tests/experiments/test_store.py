"""Outcomes on disk: complete or absent, equal for equal cells."""

import numpy as np
from pyarrow import parquet

from identirep.experiments.experiment import Measured, cell_key
from identirep.experiments.store import Store

_CELL = {"D": 10, "method": "MTLCM", "standardised": True}


def test_a_cell_is_known_by_its_values_in_any_order():
    assert cell_key(_CELL) == cell_key(dict(reversed(_CELL.items())))
    assert cell_key(_CELL) != cell_key({**_CELL, "D": 11})


def test_round_trip_of_rows_and_arrays(tmp_path):
    store = Store(tmp_path)
    Z = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    store.save(_CELL, Measured([{"mcc": np.float64(0.5), "seconds": None}], {"5/MTLCM": Z}))
    assert store.has(_CELL)
    found = store.load(_CELL)
    assert found.rows == [{"mcc": 0.5, "seconds": None}]
    np.testing.assert_array_equal(found.arrays["5/MTLCM"], Z)
    store.discard(_CELL)
    assert not store.has(_CELL)


def test_a_write_that_was_cut_short_leaves_the_cell_unfinished(tmp_path, monkeypatch):
    store = Store(tmp_path)

    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("identirep.files.os.replace", killed)
        try:
            store.save(_CELL, Measured([{"mcc": 1.0}]))
        except KeyboardInterrupt:
            pass
    assert not store.has(_CELL)


def test_table_holds_all_names_and_gaps(tmp_path):
    store = Store(tmp_path)
    store.write_table([{"a": 1, "b": 0.5}, {"a": 2, "c": "x"}])
    table = parquet.read_table(tmp_path / "results.parquet")
    assert table.to_pydict() == {"a": [1, 2], "b": [0.5, None], "c": [None, "x"]}
