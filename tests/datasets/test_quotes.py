"""A stray quote that swallows rows is an error, wherever it is; quotes that cells may have are none."""

import gzip

import pytest

from identirep.datasets import load_table, read_whole


def _write(folder, lines, ending="csv", newline="\n"):
    path = folder / f"t.{ending}"
    content = (newline.join(["name,x,y", *lines]) + newline).encode()
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    return path


def _rows(stray, form='"{}'):
    """Make 50 rows, with a quote in some."""
    return [f"{form.format(f'n{i}') if i in stray else f'n{i}'},{i}.5,{i * 7 % 5}" for i in range(50)]


@pytest.mark.parametrize("read", [lambda path: load_table(path, "y", features="x"), read_whole])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (_rows([3, 23]), "one in line 5 that is closed in line 25 only"),
        (_rows([3, 4]), "one in line 5 that is closed in line 6 only"),
        (_rows([5, 9], '" {}'), "one in line 7 that is closed in line 11 only"),
        ([*_rows([3]), *(f'n{i}",{i},1' for i in range(50, 60))], "one in line 5 that is closed in line 52 only"),
        (_rows([3]), "one in line 5 that is never closed"),
        (_rows([49]), "one in line 51 that is never closed"),
    ],
)
def test_stray_quotes(tmp_path, lines, message, ending, newline, read):
    with pytest.raises(ValueError, match=message):
        read(_write(tmp_path, lines, ending, newline))


@pytest.mark.parametrize(
    "form",
    [
        '"{}"',
        '"line\nbreak {}"',
        '"a, b\nbreak, {}\n, c"',
        '"a {}\n1,2,3\n4,5,6\nb"',
        '"5"" pipe {}"',
        '{}" pipe',
    ],
)
@pytest.mark.parametrize("stray", [[5], [5, 9], range(50)], ids=["one", "two", "all"])
def test_quotes_of_cells(tmp_path, form, stray):
    path = _write(tmp_path, _rows(stray, form))
    assert load_table(path, "y", features="x").X[:, 0].tolist() == [i + 0.5 for i in range(50)]
