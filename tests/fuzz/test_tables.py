"""Any table: cells, headers, encodings, separators, quotes, types, gaps, infinities, sizes from nothing."""

import gzip
import io

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import given
from outcomes import NUMBERS, damaged, judge, judge_command
from pyarrow import feather, parquet

from identirep.cli.faults import Status
from identirep.datasets import load_table

_ODD_CELLS = st.sampled_from(
    [
        *("NA", "nan", "null", "None", "#N/A", "inf", "-inf", "1e400", "1e-46", "1,5", "1.234,5", "abc", "-", "?"),
        *("-9999", "True", "false", "2020-01-01", "2020-01-01T00:00:00Z", "0x10", "1_000", "½", "١٢", "12e", "1.2.3"),
        *("+5", ".5", "5.", "1d3", "🙂", ",,", ";", "\\", "'", "==1", "00012", "99999999999999999999", "a" * 300),
        *("1,234.5", "1.5 eV", "3 %", "01-Dec-2023", "Dec 1, 2023", "1 déc 2023", "K", "n.d."),
        *("", " ", '"', '""', '"a', "a\nb", "\x00", "\x1b[31m", "\ufeff", "\t", " 1 ", "1 000"),
    ]
)
_NAMES = st.one_of(
    st.sampled_from(["", " ", "x", "y_0", "y_1", "id", "index", "Unnamed: 0", "*", "[a]", "a,b", "-x", "--out", "é"]),
    st.text(max_size=8),
)


@st.composite
def _values(draw, n_rows, n_columns):
    """Return columns that make a sound table: some inputs, and targets that depend on them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X = rng.normal(size=(n_rows, n_columns))
    X[:, n_columns // 2 :] += X[:, : n_columns - n_columns // 2]
    return X * 10.0 ** draw(st.sampled_from([0, 0, 3, -50, 50, 200])) + draw(st.sampled_from([0.0, 0.0, 2461000.5]))


@st.composite
def _delimited(draw):
    """Return a file of text, and its name."""
    n_rows, n_columns = draw(st.sampled_from([0, 1, 2, 5, 12, 40, 80])), draw(st.sampled_from([0, 1, 2, 4, 6, 8]))
    values = draw(_values(n_rows, n_columns))
    rows = [[f"{value:.{draw(st.sampled_from([3, 17]))}g}" for value in row] for row in values]
    n_inputs = n_columns // 2
    header = [f"x{j}" for j in range(n_inputs)] + [f"y_{j}" for j in range(n_columns - n_inputs)]
    for _ in range(draw(st.integers(0, 3))):
        if header:
            header[draw(st.integers(0, len(header) - 1))] = draw(_NAMES)
    for _ in range(draw(st.sampled_from([0, 0, 1, 3, 10]))):
        if rows and n_columns:
            row, column = draw(st.integers(0, n_rows - 1)), draw(st.integers(0, n_columns - 1))
            rows[row][column % max(len(rows[row]), 1) : column + 1] = [draw(_ODD_CELLS)] * draw(
                st.sampled_from([1, 1, 1, 1, 0, 2])
            )
    separator, end = (
        draw(st.sampled_from([",", ",", ",", ";", "\t", "|"])),
        draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
    )
    quotes = draw(st.sampled_from(["none", "none", "all", "doubled"]))

    def cell(text):
        if quotes == "none":
            return text
        return '"' + (text.replace('"', '""') if quotes == "doubled" else text) + '"'

    lines = [separator.join(map(cell, row)) for row in ([header] if draw(st.booleans()) or n_rows else []) + rows]
    if lines and draw(st.sampled_from([False, False, False, True])):
        units = draw(st.lists(st.sampled_from(["K", "eV", "-", "", "m s^-1", "[MPa]", "%", "1", "NA"]), max_size=8))
        lines.insert(1, separator.join((units * n_columns)[:n_columns] if draw(st.booleans()) else units))
    head = draw(st.lists(st.sampled_from(["# a", "% b, c", "// d", "; e", ";;", "A title", "", "%x,%y"]), max_size=2))
    lines = (head if draw(st.sampled_from([False, False, False, True])) else []) + lines
    text = end.join(lines) + (end if draw(st.booleans()) else "")
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "cp1252"])
    )
    data = text.encode(encoding, "replace" if "utf" not in encoding else "surrogatepass")
    if draw(st.sampled_from([False, False, False, True])):
        data = damaged(draw, data)
    ending = (
        ".tsv" if separator == "\t" and draw(st.booleans()) else draw(st.sampled_from([".csv", ".csv", ".CSV", ".txt"]))
    )
    if draw(st.sampled_from([False, False, False, True])):
        data = gzip.compress(data)
        if draw(st.sampled_from([False, False, True])):
            data = damaged(draw, data)
        ending = f"{ending}.gz"
    return data, f"table{ending}"


_TYPES = st.sampled_from(
    [
        *[pa.float64()] * 8,
        *(pa.float32(), pa.float16(), pa.int8(), pa.int64(), pa.uint64(), pa.bool_(), pa.string(), pa.large_string()),
        *(pa.binary(), pa.null(), pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.time32("s")),
        *(pa.duration("ms"), pa.decimal128(38, 9), pa.list_(pa.float64()), pa.list_(pa.float32(), 3)),
        *(
            pa.struct({"a": pa.float64()}),
            pa.dictionary(pa.int8(), pa.string()),
            pa.dictionary(pa.int32(), pa.float64()),
        ),
        pa.map_(pa.string(), pa.int8()),
    ]
)


def _as_type(values, kind, draw):
    """Return numbers as a column of a type, with some gaps."""
    gap = draw(st.sampled_from([0, 0, 0, 2, 1]))
    python = [None if gap and i % (gap * 3) == 1 else value for i, value in enumerate(values.tolist())]
    whole = [None if v is None else int(abs(v)) % 100 if np.isfinite(v) else 7 for v in python]
    if pa.types.is_floating(kind):
        typed = [None if v is None else np.float16(v) if kind == pa.float16() else v for v in python]
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        typed = [None if v is None else [v] * 3 for v in python]
    elif pa.types.is_struct(kind):
        typed = [None if v is None else {"a": v} for v in python]
    elif pa.types.is_map(kind):
        typed = [None if v is None else [("a", v)] for v in whole]
    elif pa.types.is_dictionary(kind):
        inner = kind.value_type
        return pa.array(
            [None if v is None else str(v) if inner == pa.string() else v for v in whole], inner
        ).dictionary_encode()
    elif kind in (pa.string(), pa.large_string()):
        typed = [None if v is None else draw(st.sampled_from([str(v), "a", "b"])) for v in whole]
    elif kind == pa.binary():
        typed = [None if v is None else b"\xff\x00" for v in whole]
    elif kind == pa.null():
        typed = [None] * len(whole)
    elif kind == pa.bool_():
        typed = [None if v is None else v % 2 == 0 for v in whole]
    else:
        return pa.array(whole, pa.int64() if kind.bit_width > 32 else pa.int32()).cast(kind)
    return pa.array(typed, kind)


@st.composite
def _columnar(draw):
    """Return a Parquet, Feather or Arrow file, and its name."""
    n_rows, n_columns = draw(st.sampled_from([0, 1, 2, 5, 12, 40, 80])), draw(st.sampled_from([0, 1, 2, 4, 6, 8]))
    values = draw(_values(n_rows, n_columns))
    for _ in range(draw(st.sampled_from([0, 0, 0, 3]))):
        if values.size:
            values[draw(st.integers(0, n_rows - 1)), draw(st.integers(0, n_columns - 1))] = draw(NUMBERS)
    names = [f"x{j}" if j < n_columns // 2 else f"y_{j}" for j in range(n_columns)]
    for _ in range(draw(st.integers(0, 2))):
        if names:
            names[draw(st.integers(0, n_columns - 1))] = draw(_NAMES.filter(lambda name: name.isprintable()))
    table = pa.table([_as_type(column, draw(_TYPES), draw) for column in values.T], names=names)
    buffer, kind = io.BytesIO(), draw(st.sampled_from([".parquet", ".feather", ".arrow"]))
    if kind == ".parquet":
        parquet.write_table(table, buffer)
    elif kind == ".feather":
        feather.write_feather(table, buffer, compression=draw(st.sampled_from(["uncompressed", "lz4", "zstd"])))
    else:
        with pa.ipc.new_stream(buffer, table.schema) as stream:
            stream.write_table(table)
    data = buffer.getvalue()
    return damaged(draw, data) if draw(st.booleans()) else data, f"table{kind}"


_FILES = st.one_of(_delimited(), _columnar())
_TARGETS = st.sampled_from([["y_*"], ["y_*"], ["*"], ["y_0"], [""], ["nothing"], ["x0", "y_1"], ["[", "y_*"]])


def _saved(tmp_path_factory, file):
    data, name = file
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data)
    return path


@given(_FILES, _TARGETS, st.sampled_from([None, "x0", "y_0", ""]), st.sampled_from([None, "-9999", "?,-", ""]))
def test_tables_are_loaded_or_refused(tmp_path_factory, file, targets, tasks, missing):
    path = _saved(tmp_path_factory, file)
    data = judge(
        lambda: load_table(path, targets, tasks=tasks, missing=missing), f"{file!r} {targets} {tasks} {missing}"
    )
    if data is not None:
        assert np.isfinite(data.X).all()
        assert data.X.shape[1] == len(data.feature_names)


@given(_FILES)
def test_tables_are_inspected_or_refused(tmp_path_factory, file):
    judge_command("inspect", _saved(tmp_path_factory, file), case=f"{file!r}")


@given(_FILES, _TARGETS, st.sampled_from([(), (), (), ("--groups", "x0"), ("--order", "x0"), ("--tasks", "x0")]))
def test_tables_are_fitted_or_refused(tmp_path_factory, file, targets, options):
    path = _saved(tmp_path_factory, file)
    chosen = [word for target in targets for word in ("--targets", target)]
    out = path.parent / "run"
    fixed = ("--regressor", "ridge", "--checks", 0, "--out", out)
    result = judge_command("fit", path, *chosen, *options, *fixed, case=f"{file!r}")
    # A fit without signal is a failed check, and a run.
    ended = result.exit_code in (Status.DONE, Status.CHECK_FAILED)
    assert {entry.name for entry in path.parent.iterdir()} == {path.name} | ({"run"} if ended else set())
    if ended:
        judge_command("transform", out, path, "--out", path.parent / "z.csv", case=f"{file!r}")
