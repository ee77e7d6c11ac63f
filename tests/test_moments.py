"""TaskMoments: exactness against NumPy, the monoid laws, missing labels, files."""

import numpy as np
import pytest

from identirep import TaskMoments

ARRAYS = ("counts", "mean_h", "scatter_h", "mean_y", "scatter_hy", "scatter_y")


def _problem(rng, n=300, K=4, T=5, missing=0.0, shift=0.0):
    H = rng.normal(size=(n, K)) @ rng.normal(size=(K, K)) + shift
    Y = H @ rng.normal(size=(K, T)) + rng.normal(size=(n, T)) + shift
    Y[rng.random(Y.shape) < missing] = np.nan
    return H, Y


def _assert_same(a, b, rtol=1e-10):
    """Equal as sets of tasks, whatever the grouping."""
    assert set(a.task_names) == set(b.task_names)
    order = [b.task_names.index(name) for name in a.task_names]
    b = b.select_tasks(order)
    np.testing.assert_array_equal(a.n_samples, b.n_samples)
    for name in ("cov_hy", "var_y", "mean_y"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.cov_h[a.group], b.cov_h[b.group], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.mean_h[a.group], b.mean_h[b.group], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n", [3, 300, 9000])
def test_wide_moments_are_numpy_covariances(n):
    H, Y = _problem(np.random.default_rng(0), n=n)
    m = TaskMoments.from_arrays(H, Y)
    joint = np.cov(np.c_[H, Y].T, bias=True)
    assert m.is_shared
    np.testing.assert_allclose(m.cov_h[0], joint[:4, :4], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(m.cov_hy, joint[4:, :4], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(m.var_y, np.diag(joint)[4:], rtol=1e-11)
    np.testing.assert_allclose(m.mean_h[0], H.mean(axis=0), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(m.n_samples, np.full(5, n))


def test_missing_label_is_a_row_dropped_for_that_task_alone():
    H, Y = _problem(np.random.default_rng(1), missing=0.3)
    m = TaskMoments.from_arrays(H, Y)
    for t in range(5):
        seen = ~np.isnan(Y[:, t])
        alone = TaskMoments.from_arrays(H[seen], Y[seen, t : t + 1])
        np.testing.assert_allclose(m.cov_h[m.group][t], alone.cov_h[0], rtol=1e-12)
        np.testing.assert_allclose(m.cov_hy[t], alone.cov_hy[0], rtol=1e-12)
        assert m.n_samples[t] == seen.sum()
    assert m.n_rows == np.sum(~np.isnan(Y).all(axis=1))


def test_tasks_missing_on_the_same_rows_share_a_group():
    H, Y = _problem(np.random.default_rng(2))
    Y[:100, 1:3] = np.nan
    m = TaskMoments.from_arrays(H, Y)
    assert len(m.counts) == 2
    assert m.group[1] == m.group[2] != m.group[0]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("balanced", [False, True])
def test_long_moments_are_those_of_each_task(shuffled, balanced):
    rng = np.random.default_rng(3)
    H, Y = _problem(rng, n=400)
    tasks = np.repeat(list("abcd"), 100) if balanced else rng.choice(list("abcd"), size=400)
    if shuffled:
        rng.shuffle(tasks)
    y = Y[:, 0].copy()
    y[5] = np.nan
    m = TaskMoments.from_long(H, y, tasks)
    assert m.task_names == ("a", "b", "c", "d")
    for t, name in enumerate(m.task_names):
        rows = (tasks == name) & ~np.isnan(y)
        joint = np.cov(np.c_[H[rows], y[rows]].T, bias=True)
        np.testing.assert_allclose(m.cov_h[t], joint[:4, :4], rtol=1e-11)
        np.testing.assert_allclose(m.cov_hy[t], joint[4, :4], rtol=1e-10)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_merging_parts_in_any_order_is_one_pass(missing):
    H, Y = _problem(np.random.default_rng(4), n=500, missing=missing)
    whole = TaskMoments.from_arrays(H, Y)
    parts = [TaskMoments.from_arrays(H[i : i + 120], Y[i : i + 120]) for i in range(0, 500, 120)]
    _assert_same(whole, parts[0] + parts[1] + parts[2] + parts[3] + parts[4])
    _assert_same(whole, (parts[4] + parts[2]) + (parts[0] + (parts[3] + parts[1])))
    _assert_same(whole, TaskMoments.from_batches((H[i : i + 7], Y[i : i + 7]) for i in range(0, 500, 7)))


def test_update_adds_rows_in_place_and_new_tasks_of_the_long_layout():
    H, Y = _problem(np.random.default_rng(5), n=400)
    tasks = np.repeat([3, 1, 2, 0], 100)
    m = TaskMoments.from_long(H[:150], Y[:150, 0], tasks[:150])
    assert m.update(H[150:], Y[150:, 0], tasks[150:]) is m
    assert m.task_names == (0, 1, 2, 3)
    _assert_same(m, TaskMoments.from_long(H, Y[:, 0], tasks))
    assert m.n_rows == 400


def test_large_mean_keeps_six_digits():
    H, Y = _problem(np.random.default_rng(6), n=5000)
    reference = TaskMoments.from_arrays(H, Y)
    shifted = TaskMoments.from_batches((H[i : i + 500] + 1e8, Y[i : i + 500] + 1e8) for i in range(0, 5000, 500))
    np.testing.assert_allclose(shifted.cov_h, reference.cov_h, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(shifted.cov_hy, reference.cov_hy, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(shifted.var_y, reference.var_y, rtol=1e-6)


def test_sorted_rows_with_a_drifting_mean_keep_their_digits():
    rng = np.random.default_rng(7)
    H = rng.normal(size=(20_000, 2)) + np.linspace(0, 1e6, 20_000)[:, None]
    m = TaskMoments.from_arrays(H, rng.normal(size=(20_000, 1)))
    np.testing.assert_allclose(m.cov_h[0], np.cov(H.T, bias=True), rtol=1e-12)


def test_float32_is_accumulated_in_float64():
    H, Y = _problem(np.random.default_rng(8), n=3000, shift=100.0)
    H, Y = H.astype(np.float32), Y.astype(np.float32)
    m = TaskMoments.from_arrays(H, Y)
    np.testing.assert_allclose(m.cov_h[0], np.cov(H.astype(np.float64).T, bias=True), rtol=1e-10)
    assert m.cov_h.dtype == np.float64


def test_map_features_is_exact():
    rng = np.random.default_rng(9)
    H, Y = _problem(rng, missing=0.1)
    M, offset = rng.normal(size=(3, 4)), rng.normal(size=3)
    mapped = TaskMoments.from_arrays(H, Y).map_features(M, offset)
    _assert_same(mapped, TaskMoments.from_arrays(H @ M.T + offset, Y))


@pytest.mark.parametrize("names", [("a", "b", "c", "d", "e"), (5, 4, 3, 2, 1)])
def test_file_round_trip_is_exact(tmp_path, names):
    H, Y = _problem(np.random.default_rng(10), missing=0.1)
    m = TaskMoments.from_arrays(H, Y, task_names=names)
    m.save(tmp_path / "m.safetensors")
    loaded = TaskMoments.load(tmp_path / "m.safetensors")
    assert loaded.task_names == names
    assert loaded.n_rows == m.n_rows
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(m, name))


H2, Y2 = np.zeros((2, 3)), np.zeros((2, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TaskMoments.from_arrays(H2[0], Y2), r"H is not a matrix: got shape \(3,\)"),
        (lambda: TaskMoments.from_arrays(H2, Y2[:1]), "Y has 1 rows: got H with 2"),
        (lambda: TaskMoments.from_arrays(H2 + np.nan, Y2), "H contains 6 non-finite values: got nan first at index 0"),
        (lambda: TaskMoments.from_arrays(H2, Y2 + np.inf), "Y contains 2 non-finite values: got inf"),
        (lambda: TaskMoments.from_arrays(H2, Y2, task_names=["a", "b"]), "task_names does not label the columns"),
        (lambda: TaskMoments.from_long(H2, Y2[:, 0], [1]), "y and tasks do not match H"),
        (lambda: TaskMoments.from_batches([]), "batches is empty"),
        (lambda: TaskMoments.from_arrays(H2, Y2) + TaskMoments.from_arrays(H2[:, :2], Y2), "other has other features"),
        (lambda: TaskMoments.from_arrays(H2, Y2).map_features(np.eye(2)), "M has the wrong number of columns"),
        (lambda: TaskMoments.from_arrays(H2, Y2, task_names=[frozenset()]).to_arrays(), "task_names cannot be stored"),
    ],
)
def test_bad_calls_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_loading_another_file_says_so(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1)}, str(tmp_path / "x"))
    with pytest.raises(ValueError, match="does not hold task moments"):
        TaskMoments.load(tmp_path / "x")


@pytest.mark.parametrize(("scale", "offset"), [(1e60, 0.0), (1e-60, 0.0), (1e60, -1e68), (1.0, 1e8), (1e-60, 1e-52)])
@pytest.mark.parametrize("layout", ["wide", "missing", "long", "batches", "long batches"])
def test_units_and_origins_change_no_moment(layout, scale, offset):
    rng = np.random.default_rng(0)
    H, Y, tasks = rng.normal(size=(400, 3)), rng.normal(size=(400, 4)), np.arange(400) % 4
    Y += H[:, :1]
    if layout == "missing":
        Y[rng.random(Y.shape) < 0.1] = np.nan

    def moments(H, Y):
        if "long" in layout:
            parts = [(H, Y[np.arange(400), tasks], tasks)]
        else:
            parts = [(H, Y)]
        if "batches" in layout:
            parts = [tuple(part[i : i + 40] for part in parts[0]) for i in range(0, 400, 40)]
        return TaskMoments.from_batches(parts)

    factor, level = np.array([1.0, scale, 1.0]), np.array([0.0, offset, 0.0])
    factor_y, level_y = np.array([scale, 1.0, 1.0, 1.0]), np.array([offset, 0.0, 0.0, 0.0])
    expected, found = moments(H, Y), moments(H * factor + level, Y * factor_y + level_y)
    close = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose((found.mean_h - level) / factor, expected.mean_h, **close)
    np.testing.assert_allclose((found.mean_y - level_y) / factor_y, expected.mean_y, **close)
    np.testing.assert_allclose(found.cov_h / np.outer(factor, factor), expected.cov_h, **close)
    np.testing.assert_allclose(found.cov_hy / np.outer(factor_y, factor), expected.cov_hy, **close)
    np.testing.assert_allclose(found.var_y / factor_y**2, expected.var_y, **close)


@pytest.mark.parametrize("scale", [1e80, 1e200, 1e300, 1e-80, 1e-200])
@pytest.mark.parametrize("is_long", [False, True])
def test_squares_beyond_doubles_are_named(scale, is_long):
    rng = np.random.default_rng(0)
    H, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    # A feature that is constant, as dead units are, says nothing.
    H[:, 2] = 0.0

    def moments(H, Y):
        return TaskMoments.from_long(H, Y[:, 0], np.arange(60) % 2) if is_long else TaskMoments.from_arrays(H, Y)

    moments(H, Y)
    with pytest.raises(ValueError, match=r"H is out of range in column 1: got .* scale of [0-9]e[+-]"):
        moments(H * [1.0, scale, 1.0], Y)
    with pytest.raises(ValueError, match="Y is out of range in task 0"):
        moments(H, Y * scale)
