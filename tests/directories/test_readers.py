"""Readers write nothing, and read a run that is replaced, moved away or put back meanwhile."""

import copy

import numpy as np

from identirep import IdentifiableRegressor, persistence
from identirep.scratch import scratch


def test_reading_writes_nothing(run, model):
    run.parent.chmod(0o500)
    run.chmod(0o500)
    before = {path: path.stat().st_mtime_ns for path in (run.parent, run, *run.iterdir())}
    IdentifiableRegressor.load(run)
    assert {path: path.stat().st_mtime_ns for path in (run.parent, run, *run.iterdir())} == before
    run.parent.chmod(0o700)


def test_a_run_that_is_replaced_while_it_is_read_is_read_again(model, run, monkeypatch):
    read, other = persistence.read_history, copy.deepcopy(model)
    other.regressor_.spectrum_ = np.full(3, 7.0)
    replacing = iter([True])

    def replaced_meanwhile(path, digest):
        found = read(path, digest)
        if next(replacing, False):
            other.save(run)
        return found

    monkeypatch.setattr(persistence, "read_history", replaced_meanwhile)
    np.testing.assert_array_equal(IdentifiableRegressor.load(run).spectrum_, np.full(3, 7.0))


def test_a_run_that_is_moved_away_while_it_is_read_is_read_where_it_is(model, run, monkeypatch):
    read = persistence.read_arrays
    with scratch(run) as place:

        def moved_meanwhile(path, digest):
            if run.exists():
                run.rename(place / "old")
            return read(path, digest)

        monkeypatch.setattr(persistence, "read_arrays", moved_meanwhile)
        loaded = IdentifiableRegressor.load(run)
    np.testing.assert_array_equal(loaded.spectrum_, model.spectrum_)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_run_that_is_put_back_while_it_is_read_is_read_again(model, run, monkeypatch):
    read, failing = persistence.read_arrays, iter([True])

    def away_for_a_moment(path, digest):
        return read(path.with_name("away") if next(failing, False) else path, digest)

    monkeypatch.setattr(persistence, "read_arrays", away_for_a_moment)
    np.testing.assert_array_equal(IdentifiableRegressor.load(run).spectrum_, model.spectrum_)
