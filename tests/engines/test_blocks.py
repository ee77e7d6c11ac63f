"""The two functions of all engines: what a block is, what is wrong with one, and what two blocks have in common."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from identirep import TaskMoments
from identirep.engines.blocks import BlockError, Part, block_part, merged, merged_parts, whole

H = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).normal(size=(12, 2))
LABELS = np.array(["a", "b"] * 6, dtype=object)


def test_blocks_add_up_to_all_rows(same, rows):
    bounds = [0, 130, 130, 700, 1000]
    blocks = [slice(a, b) for a, b in pairwise(bounds)]
    parts = [block_part(f"block {i}", rows.H[at], rows.Y[at], task_names=rows.targets) for i, at in enumerate(blocks)]
    same(whole(merged(parts)), rows.wide)
    parts = [block_part(f"block {i}", rows.H[at], rows.Y[at, 0], rows.tasks[at]) for i, at in enumerate(blocks)]
    same(whole(merged(parts)), rows.long)


def test_encoder_is_applied_to_each_block(same):
    matrix = np.random.default_rng(2).normal(size=(3, 2))
    found = whole(
        merged([block_part("b", H[at], Y[at], encoder=lambda h: h @ matrix) for at in (slice(5), slice(5, 12))])
    )
    same(found, TaskMoments.from_arrays(H @ matrix, Y))


def test_encoder_with_transform_and_with_tensors():
    import torch
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(H)
    expected = TaskMoments.from_arrays(scaler.transform(H), Y).cov_h
    np.testing.assert_allclose(whole(block_part("b", H, Y, encoder=scaler)).cov_h, expected, rtol=1e-12)
    layer = torch.nn.Linear(3, 2, dtype=torch.float64)
    found = whole(block_part("b", H, Y, encoder=lambda h: layer(torch.from_numpy(h))))
    assert found.n_features == 2


@pytest.mark.parametrize("weight", [None, np.zeros(12)])
def test_a_block_without_rows_that_count_is_no_error(weight):
    n = 0 if weight is None else 12
    empty = block_part("empty", H[:n], Y[:n], sample_weight=weight)
    full = block_part("full", H, Y)
    assert empty.moments is None
    assert merged_parts(empty, full) is full
    assert merged_parts(full, empty) is full
    with pytest.raises(ValueError, match="the blocks are empty: got no row that counts"):
        whole(merged([empty, empty]))


def test_a_block_of_rows_without_labels_counts_none(same):
    gaps = Y.copy()
    gaps[:5] = np.nan
    parts = [block_part("unlabelled", H[:5], gaps[:5]), block_part("rest", H[5:], gaps[5:])]
    same(whole(merged(parts)), TaskMoments.from_arrays(H, gaps))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"y": Y[:5]}, r"^block 3: rows of y are not those of H: got 5 and 12"),
        ({"H": H.astype(str)}, r"^block 3: H is not numeric: got '[-\d.]+', expected numbers"),
        ({"H": pd.DataFrame({"u": ["x"] * 12})}, r"^block 3: column 'u' is not numeric: got 'x'"),
        ({"H": np.where(H > 1, np.nan, H)}, r"^block 3: H contains \d non-finite values"),
        ({"tasks": LABELS}, r"^block 3: y and tasks do not match H"),
        ({"encoder": lambda h: h[:2]}, r"^block 3: the encoder does not give features: got shape \(2, 3\) of 12 rows"),
        ({"encoder": lambda h: 1 / 0}, r"^block 3: the encoder fails: got ZeroDivisionError"),
        (
            {"H": pd.DataFrame(H, index=range(12)), "y": pd.DataFrame(Y, index=range(12, 0, -1))},
            r"^block 3: rows of y are not those of H: got another index",
        ),
    ],
)
def test_a_bad_block_is_named(block, message):
    with pytest.raises(BlockError, match=message):
        block_part("block 3", **{"H": H, "y": Y, **block})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ((H[:, :2], Y[:, 0], LABELS), "^b has other features than a: got 2, expected 3"),
        ((H, Y), r"^b has other targets than a: got 0, 1, expected tasks in a column of labels"),
        (
            (H, Y[:, 0], np.arange(12)),
            r"^b has labels of tasks of another type than a: got 0, 1, 2, 3, 4, \.\.\. \(12\)",
        ),
    ],
)
def test_blocks_that_do_not_go_together_are_named(other, message):
    first = block_part("a", H, Y[:, 0], LABELS)
    with pytest.raises(BlockError, match=message):
        merged([first, Part(None, "empty"), block_part("b", *other)])


def test_a_task_in_one_block_only_is_a_task():
    first, second = block_part("a", H, Y[:, 0], LABELS), block_part("b", H[:3], Y[:3, 0], ["new"] * 3)
    assert whole(merged([first, second])).task_names == ("a", "b", "new")
