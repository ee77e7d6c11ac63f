"""Any options of the command line, on a sound table and a sound run."""

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from outcomes import judge_command
from pyarrow import csv


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, and a run of it."""
    folder = tmp_path_factory.mktemp("options")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = X[:, :2] @ rng.laplace(size=(2, 5)) + 0.1 * rng.normal(size=(60, 5))
    columns = {f"x{i}": X[:, i] for i in range(3)} | {f"y_{t}": Y[:, t] for t in range(5)}
    labels = {"batch": [f"b{i // 6}" for i in range(60)], "task": [f"t{i % 3}" for i in range(60)]}
    csv.write_csv(pa.table(columns | labels | {"time": np.arange(60) * 0.5, "same": np.ones(60)}), folder / "data.csv")
    fixed = ("--regressor", "ridge", "--checks", 0, "--features", "x*", "--out", folder / "run")
    assert judge_command("fit", folder / "data.csv", "--targets", "y_*", *fixed).exit_code == 0
    return folder


_NAMES = st.one_of(
    st.sampled_from(
        ["y_*", "y_0", "y_0,y_1", "x*", "x0", "batch", "task", "time", "same", "*", "", ",", "none", "[", "-x"]
    ),
    st.text(max_size=6),
)
_NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "1", "2", "3", "-1", "1.5", "auto", "nan", "inf", "1e9", "", " 2", "²", "٣", "99999999999999999999"]
    ),
    st.integers(-3, 70).map(str),
    st.text(max_size=4),
)
_SHARES = st.one_of(st.sampled_from(["0", "0.2", "0.5", "0.9", "1", "-0.1", "nan", "1e-9"]), st.floats(0, 1).map(str))
_DATA = {
    "--tasks": _NAMES,
    "--groups": _NAMES,
    "--order": _NAMES,
    "--features": _NAMES,
    "--drop": _NAMES,
    "--missing": _NAMES,
}
# Networks and many fits would take long, and long numbers of checks or of fits do what two do.
_FIT = {
    **_DATA,
    "--n-components": _NUMBERS,
    "-d": _NUMBERS,
    "--held-out": _SHARES,
    "--seed": _NUMBERS,
    "--checks": st.sampled_from(["0", "2", "1", "-2", "x"]),
    "--regressor": st.sampled_from(["ridge", "ridge", "ridges", "mtrn ", ""]),
    "--resume": st.just(None),
}
_COMMANDS = {
    "inspect": {"--targets": _NAMES, **_DATA},
    "fit": {"--targets": _NAMES, **_FIT},
    "stability": {"--targets": _NAMES, "--fits": st.sampled_from(["2", "3", "1", "x"]), **_FIT},
    "transform": {"--missing": _NAMES},
    "predict": {"--missing": _NAMES},
    "report": {},
}


@st.composite
def _call(draw):
    """Return a command, where its table and its result are, and its options."""
    command = draw(st.sampled_from(["inspect", "fit", "fit", "fit", "stability", "transform", "predict", "report"]))
    options = []
    for _ in range(draw(st.integers(0, 5))):
        if known := _COMMANDS[command]:
            option = draw(st.sampled_from(sorted(known)))
            value = draw(known[option])
            options += [option] if value is None else [option, value]
    data = draw(st.sampled_from(["data.csv"] * 8 + ["missing.csv", "run", "", "run/model.json"]))
    out = draw(
        st.sampled_from(["new"] * 5 + ["data.csv", "a/b", "", ".", "run/../new", "new.csv", "new.parquet", "x" * 300])
    )
    return command, data, out, options


@given(_call())
def test_options_are_taken_or_refused(folder, call):
    command, data, out, options = call
    before = (folder / "data.csv").read_bytes()
    words = [folder / "run", folder / data] if command in ("transform", "predict") else [folder / data]
    if command == "report":
        words = [folder / data.replace("data.csv", "run")]
    if command in ("fit", "stability"):
        words += ["--targets", "y_*", "--features", "x*", "--regressor", "ridge", "--checks", "0"]
    if command not in ("inspect", "report"):
        words += ["--out", folder / out]
    judge_command(command, *words, *options)
    assert (folder / "data.csv").read_bytes() == before
    assert not list(folder.glob(".identirep-*"))
