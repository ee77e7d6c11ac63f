"""Outcomes on disk: complete or absent, equal for equal cells."""

import numpy as np
import pytest
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


def test_a_directory_is_one_of_results_by_what_it_holds(tmp_path):
    Store(tmp_path / "new" / "run").claim("linear")
    Store(tmp_path / "new" / "run").claim("linear")
    with pytest.raises(ValueError, match="holds results of the experiment 'linear'"):
        Store(tmp_path / "new" / "run").claim("nonlinear")
    others = tmp_path / "others"
    (others / "cells").mkdir(parents=True)
    for name in ("results.md", "bench.json", "cells/a.json"):
        (others / name).write_text("{}")
    with pytest.raises(
        ValueError, match="holds other files: got a directory that is neither empty nor one of 'linear'"
    ):
        Store(others).claim("linear")
    assert (others / "bench.json").read_text() == "{}"


def test_results_from_before_directories_said_whose_they_are_go_on(tmp_path):
    Store(tmp_path).save(_CELL, Measured([{"mcc": 0.5}]))
    Store(tmp_path).claim("linear")
    assert Store(tmp_path).has(_CELL)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"rows": []}'])
def test_a_damaged_cell_is_named(tmp_path, content):
    store = Store(tmp_path)
    store.save(_CELL, Measured([{"mcc": 0.5}], {"a": np.ones(3)}))
    path = tmp_path / "cells" / f"{cell_key(_CELL)}.json"
    path.write_bytes(content)
    if b"rows" in content:
        path.with_suffix(".npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"json' is damaged: .* run again with --fresh"):
        store.load(_CELL)


def test_table_holds_all_names_and_gaps(tmp_path):
    store = Store(tmp_path)
    store.write_table([{"a": 1, "b": 0.5}, {"a": 2, "c": "x"}])
    table = parquet.read_table(tmp_path / "results.parquet")
    assert table.to_pydict() == {"a": [1, 2], "b": [0.5, None], "c": [None, "x"]}
