"""Values of tables in blocks are judged as those of a whole table, whatever the blocks."""

import numpy as np
import pytest

from identirep.engines.looks import _NUMBERS, _ROWS, Looks
from identirep.sentinels import sentinel_remarks

NAMES = ["plain", "low", "high", "both", "far", "gaps", "codes inside", "only codes"]


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6000, len(NAMES)))
    table[[5, 4000, 5999], 1] = -9999
    table[70:90, 2] = 1e20
    table[3, 3], table[5000, 3], table[[7, 5001], 3] = -9999, -9999, 32767
    table[1234, 4] = 5000.5
    table[rng.random(6000) < 0.5, 5] = np.nan
    # Both ends are the usual ones here, and there is a code that is none.
    table[:, 6] = rng.integers(-200, 200, size=6000)
    table[:, 7] = -9999
    table[8, 7] = np.nan
    return table


@pytest.mark.parametrize("sizes", [(6000,), (1, 4, 2000, 3000, 995), (0, 6000), (3000, 0, 3000)])
@pytest.mark.parametrize("backwards", [False, True])
def test_blocks_say_what_the_whole_says(values, sizes, backwards):
    ranks = np.random.default_rng(1).permutation(6000).astype(np.uint64)
    parts, start = [], 0
    for size in sizes:
        at = slice(start, start + size)
        parts.append(Looks.of(values[at], ranks[at]) if size else None)
        start += size
    looks = Looks.of_all(parts[::-1] if backwards else parts)
    assert len(looks.rows) == _ROWS
    found, expected = looks.remarks(NAMES), sentinel_remarks(NAMES, values)
    # Distances of values far away are measured on some of the rows.
    short = [[remark for remark in remarks if "deviations" not in remark] for remarks in (found, expected)]
    assert short[0] == short[1]
    assert len(found) == len(expected) == 4
    assert "'low' has the value -9999 in 3 rows" in found[0]
    assert "'high' has the value 1e+20 in 20 rows" in found[1]
    assert "'both' has the value -9999 in 2 rows" in found[2]
    assert "'far' has the value 5000.5" in found[3]


def test_wide_tables_keep_fewer_rows():
    values = np.random.default_rng(0).normal(size=(300, 20_000))
    assert len(Looks.of(values, np.arange(300, dtype=np.uint64)).rows) == _NUMBERS // 20_000


def test_of_nothing_there_is_nothing_to_say():
    assert Looks.of_all([None, None]) is None
    gaps = Looks.of(np.full((20, 1), np.nan), np.arange(20, dtype=np.uint64))
    assert Looks.of_all([gaps, gaps]).remarks(["a"]) == []
