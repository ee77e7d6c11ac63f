"""TaskMoments of rows with weights: exact against NumPy, the monoid laws, what counts rows, files."""

import numpy as np
import pytest
from safetensors import safe_open

from identirep import TaskMoments

_PARTS = ("counts", "mean_h", "scatter_h", "mean_y", "scatter_hy", "scatter_y", "weight_sums", "row_counts", "group")


def _problem(seed=0, n=200, shift=0.0):
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) + shift
    Y = H @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)) + shift
    return H, Y, rng.exponential(size=n), rng


def _assert_equal(a, b, **tolerance):
    assert a.task_names == b.task_names
    assert a.n_rows == b.n_rows
    for name in _PARTS:
        if tolerance:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), **tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def _moments(layout, H, Y, w=None):
    if layout == "long":
        return TaskMoments.from_long(H, Y[:, 0], np.arange(len(H)) // 7 % 4, sample_weight=w)
    if layout == "gaps":
        Y = np.where(np.arange(Y.size).reshape(Y.shape) % 5 == 0, np.nan, Y)
    return TaskMoments.from_arrays(H, Y, sample_weight=w)


@pytest.mark.parametrize(("n", "shift"), [(30, 0.0), (9000, 0.0), (9000, 1e7)])
def test_covariances_are_those_of_numpy_with_weights(n, shift):
    H, Y, w, _ = _problem(n=n, shift=shift)
    m = TaskMoments.from_arrays(H, Y, sample_weight=w)
    joint = np.cov(np.c_[H, Y].T, aweights=w, ddof=0)
    np.testing.assert_allclose(m.cov_h[0], joint[:3, :3], rtol=1e-6 if shift else 1e-11)
    np.testing.assert_allclose(m.cov_hy, joint[3:, :3], rtol=1e-6 if shift else 1e-11)
    np.testing.assert_allclose(m.var_y, np.diag(joint)[3:], rtol=1e-6 if shift else 1e-11)
    np.testing.assert_allclose(m.mean_h[0], np.average(H, axis=0, weights=w), rtol=1e-12)
    np.testing.assert_allclose(m.n_samples, w.sum() ** 2 / (w @ w))
    assert m.is_weighted
    assert (m.n_rows, m.row_counts.tolist()) == (n, [n])


def test_each_task_has_its_own_effective_number():
    H, Y, w, _ = _problem()
    m = _moments("gaps", H, Y, w)
    t = np.arange(len(H)) // 7 % 4
    long = _moments("long", H, Y, w)
    for k in range(4):
        seen = np.arange(Y.size).reshape(Y.shape)[:, k] % 5 != 0
        for moments, rows, y in ((m, seen, Y[:, k]), (long, t == k, Y[:, 0])):
            v = w[rows]
            assert moments.n_samples[k] == pytest.approx(v.sum() ** 2 / (v @ v))
            joint = np.cov(np.c_[H, y][rows].T, aweights=v, ddof=0)
            np.testing.assert_allclose(moments.cov_h[moments.group][k], joint[:3, :3])
            np.testing.assert_allclose(moments.cov_hy[k], joint[3, :3])


@pytest.mark.parametrize("layout", ["wide", "gaps", "long"])
def test_weights_of_zero_and_one_leave_rows_out_bit_for_bit(layout):
    H, Y, _, rng = _problem()
    kept = rng.random(len(H)) < 0.6
    if layout == "wide":
        expected = TaskMoments.from_arrays(H[kept], Y[kept])
    elif layout == "gaps":
        Y = np.where(rng.random(Y.shape) < 0.2, np.nan, Y)
        expected = TaskMoments.from_arrays(H[kept], Y[kept])
    else:
        tasks = np.arange(len(H)) // 7 % 4
        expected = TaskMoments.from_long(H[kept], Y[kept, 0], tasks[kept])
    if layout == "long":
        found = TaskMoments.from_long(H, Y[:, 0], tasks, sample_weight=kept)
    else:
        found = TaskMoments.from_arrays(H, Y, sample_weight=kept.astype(float))
    _assert_equal(found, expected)
    assert not found.is_weighted


def test_a_task_without_weight_is_not_there():
    H, Y, _, _ = _problem(n=20)
    tasks = np.repeat(["a", "b"], 10)
    assert TaskMoments.from_long(H, Y[:, 0], tasks, sample_weight=tasks == "b").task_names == ("b",)


@pytest.mark.parametrize("layout", ["wide", "gaps", "long"])
def test_only_ratios_count(layout):
    H, Y, w, _ = _problem()
    one, other = _moments(layout, H, Y, w), _moments(layout, H, Y, 1e-60 * w)
    for name in _PARTS:
        scale = 1e-60 if name == "weight_sums" else 1.0
        np.testing.assert_allclose(getattr(other, name), scale * getattr(one, name), rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("layout", ["wide", "gaps", "long"])
def test_equal_weights_change_nothing_but_their_sum(layout):
    H, Y, _, _ = _problem()
    one, other = _moments(layout, H, Y), _moments(layout, H, Y, np.full(len(H), 0.3))
    for name in ("cov_h", "cov_hy", "var_y", "n_samples", "weights"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-10)
    np.testing.assert_allclose(other.weight_sums, 0.3 * one.row_counts)


def test_a_weight_of_three_is_not_three_rows():
    H, Y, _, _ = _problem(n=60)
    w = np.tile([1.0, 3.0], 30)
    weighted = TaskMoments.from_arrays(H, Y, sample_weight=w)
    repeated = TaskMoments.from_arrays(np.repeat(H, w.astype(int), axis=0), np.repeat(Y, w.astype(int), axis=0))
    np.testing.assert_allclose(weighted.cov_h, repeated.cov_h)
    assert weighted.n_samples[0] == pytest.approx(120**2 / 300)
    assert repeated.n_samples[0] == 120


@pytest.mark.parametrize("layout", ["wide", "gaps", "long"])
@pytest.mark.parametrize("weighted", ["both", "first", "scaled"])
def test_batches_add_up_and_come_apart_again(layout, weighted):
    H, Y, w, _ = _problem(n=210)
    if weighted == "first":
        w = np.where(np.arange(210) < 70, w, 1.0)
    if weighted == "scaled":
        w = np.where(np.arange(210) < 70, 1e-3, 5.0)
    tasks, Y = np.arange(210) // 7 % 4, np.where(np.arange(840).reshape(210, 4) % 5 == 0, np.nan, Y)

    def part(rows):
        v = None if weighted == "first" and rows.start else w[rows]
        if layout == "long":
            return TaskMoments.from_long(H[rows], np.nan_to_num(Y[rows, 0]), tasks[rows], sample_weight=v)
        labels = np.nan_to_num(Y[rows]) if layout == "wide" else Y[rows]
        return TaskMoments.from_arrays(H[rows], labels, sample_weight=v)

    whole, first, second = part(slice(0, 210)), part(slice(0, 70)), part(slice(70, 210))
    assert whole.is_weighted
    _assert_equal(first + second, whole, rtol=1e-8, atol=1e-10)
    _assert_equal(second + first, whole, rtol=1e-8, atol=1e-10)
    if layout != "gaps":
        _assert_equal(whole._without(first), second, rtol=1e-8, atol=1e-8)


def test_batches_may_have_weights():
    H, Y, w, _ = _problem(n=80)
    whole = TaskMoments.from_arrays(H, Y, sample_weight=w)
    halves = [(H[rows], Y[rows], None, w[rows]) for rows in (slice(0, 30), slice(30, 80))]
    _assert_equal(TaskMoments.from_batches(halves), whole, rtol=1e-9)
    updated = TaskMoments.from_arrays(H[:30], Y[:30], sample_weight=w[:30])
    _assert_equal(updated.update(H[30:], Y[30:], sample_weight=w[30:]), whole, rtol=1e-9)


def test_own_rows_are_told_from_shared_ones_whatever_the_weights():
    H, Y, w, _ = _problem()
    tasks = np.arange(len(H)) // 7 % 4
    # In the wide layout with one label a row, and weights that differ between the tasks.
    Y = np.where(tasks[:, None] == np.arange(4), Y, np.nan)
    apart = TaskMoments.from_arrays(H, Y, sample_weight=w * 10.0**tasks)
    assert apart._has_own_rows
    assert not TaskMoments.from_arrays(H, np.nan_to_num(Y), sample_weight=w * 10.0**tasks)._has_own_rows
    assert _moments("long", H, np.nan_to_num(Y), w)._has_own_rows
    assert apart._n_effective_rows == pytest.approx(apart.n_samples.sum())


def test_maps_and_selections_keep_the_weights():
    H, Y, w, rng = _problem()
    m, M = _moments("gaps", H, Y, w), rng.normal(size=(2, 3))
    mapped = m.map_features(M)
    np.testing.assert_array_equal(mapped.n_samples, m.n_samples)
    np.testing.assert_allclose(mapped.cov_h, M @ m.cov_h @ M.T, rtol=1e-10)
    picked = m.select_tasks([2, 0])
    np.testing.assert_array_equal(picked.n_samples, m.n_samples[[2, 0]])
    np.testing.assert_array_equal(picked.weight_sums[picked.group], m.weight_sums[m.group][[2, 0]])
    assert "n_labels=640" in repr(m)


@pytest.mark.parametrize("layout", ["wide", "gaps", "long"])
def test_files_keep_the_weights(layout, tmp_path):
    H, Y, w, _ = _problem()
    m = _moments(layout, H, Y, w)
    m.save(tmp_path / "m.safetensors")
    loaded = TaskMoments.load(tmp_path / "m.safetensors")
    _assert_equal(loaded, m)
    assert loaded.is_weighted
    _assert_equal(loaded + m, m + m)


def test_files_without_weights_are_those_of_before(tmp_path):
    H, Y, w, _ = _problem()
    for moments, form in ((_moments("wide", H, Y), 1), (_moments("wide", H, Y, w), 2)):
        moments.save(tmp_path / "m.safetensors")
        with safe_open(tmp_path / "m.safetensors", framework="np") as file:
            assert file.metadata()["format"] == f"identirep.TaskMoments/{form}"
            assert ("weight_sums" in file.keys()) == (form == 2)  # noqa: SIM118
