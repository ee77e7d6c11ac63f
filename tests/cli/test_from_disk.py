"""fit --engine stream: networks trained on rows from disk find what a fit in memory finds."""

import json
import sys

import numpy as np
import pytest
from pyarrow import csv, parquet

from identirep import IdentifiableRegressor, checkpoints
from identirep.mtrn import training

_FEW = ("-d", 2, "--replicates", 2, "--epochs", 3)
_WIDE = ("--targets", "y_*", "--features", "x*", *_FEW)
_LONG = ("--targets", "y", "--tasks", "assay", *_FEW)


def _document(invoke, *arguments):
    result = invoke("fit", *arguments, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    return {name: document[name] for name in ("latents", "scores", "verdicts", "signal", "n_targets")}


def _close(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            _close(found[name], value)
    elif isinstance(expected, list):
        for each, value in zip(found, expected, strict=True):
            _close(each, value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("wide", _WIDE), ("long", _LONG)])
def test_run_is_that_of_a_fit_in_memory(name, options, invoke, folder, tmp_path):
    table = csv.read_csv(folder / f"{name}.csv")
    for i, start in enumerate((0, 110, 110)):
        parquet.write_table(table.slice(start, (110, 0, None)[i]), tmp_path / f"part-{i}.parquet")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    in_memory = _document(invoke, folder / f"{name}.csv", *options, "--out", tmp_path / "memory")
    on_disk = ("--engine", "stream", "--scratch", scratch)
    found = _document(invoke, f"{tmp_path}/part-*.parquet", *options, *on_disk, "--out", tmp_path / "disk")
    _close(found, in_memory)
    assert not list(scratch.iterdir())
    X = table.select([f"x{j}" for j in range(5 if name == "wide" else 3)])
    models = [IdentifiableRegressor.load(tmp_path / run) for run in ("memory", "disk")]
    first, second = (model.transform(X) for model in models)
    np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-10)
    descriptions = [
        json.loads((tmp_path / run / "report.json").read_text())["description"] for run in ("memory", "disk")
    ]
    assert descriptions[0]["axes"]
    _close(*({**description, "data": ""} for description in descriptions))
    latents = tmp_path / "latents.csv"
    assert invoke("transform", tmp_path / "disk", folder / f"{name}.csv", "--out", latents).exit_code == 0
    assert csv.read_csv(latents).num_rows == table.num_rows


@pytest.mark.slow
def test_resume_goes_on_and_gives_the_same(invoke, folder, tmp_path, monkeypatch):
    for name, value in (("_PAUSE", 0.0), ("_WRITE_PAUSE", 0.0), ("_SHARE", 1e9)):
        monkeypatch.setattr(checkpoints, name, value)
    options = (folder / "wide.csv", *_WIDE, "--engine", "stream")
    whole = _document(invoke, *options, "--out", tmp_path / "whole")
    original, epochs = training._run_epoch, []

    def counted(*args):
        epochs.append(1)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(training, "_run_epoch", counted)
    monkeypatch.setattr(sys, "argv", ["identirep", "fit", *map(str, options), "--out", str(tmp_path / "run")])
    result = invoke("fit", *options, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "the work is kept. Go on with" in result.output.replace("\n", " ")
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".identirep-")]) == 1
    _close(_document(invoke, *options, "--out", tmp_path / "run", "--resume"), whole)
    # Of nine epochs, those of both checks included, two were kept and one was cut off.
    assert len(epochs) == 3 + 7
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".identirep-")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--groups", "x0", "--impute", "mean"), "numbers without gaps: got --groups, --impute as well"),
        (("--regressor", "ridge"), "--engine does not go with the regressor: got --regressor ridge"),
        (("--scratch", "{}/none"), "scratch is no directory: got "),
        (("--target-type", "y_1=binary"), "target_type does not go with task 'y_1'"),
        (("--target-type", "ordinal"), "and 7 more, expected continuous ones. Pass --target-type 'continuous'"),
    ],
)
def test_what_does_not_go_with_rows_on_disk(options, message, invoke, folder, tmp_path):
    options = [str(option).format(tmp_path) for option in options]
    out = ("--engine", "stream", "--out", tmp_path / "run")
    result = invoke("fit", folder / "wide.csv", *_WIDE, *out, *options)
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_scratch_without_an_engine(invoke, folder, tmp_path):
    result = invoke("fit", folder / "wide.csv", *_WIDE, "--out", tmp_path / "run", "--scratch", tmp_path)
    assert result.exit_code == 2
    assert "--scratch is where networks find their rows: got" in result.output.replace("\n", " ")


def test_gaps_are_named(invoke, folder, tmp_path):
    result = invoke("fit", folder / "gap.csv", *_WIDE, "--engine", "stream", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "gap.csv: column 'x2' has no value: got it first at row 12" in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())
