"""Moments of targets of any kind: what model and truth say of them, and of axes."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.curved_effects import LINES, _Lines, shape_of_effects
from identirep.datasets import make_linear_tasks
from identirep.experiments.violated_settings import draw_violated
from identirep.latent_targets import latent_targets
from identirep.metrics import mcc_score
from identirep.task_blocks import Stacks

SIZE = {"T": 40, "n": 200, "D": 5, "causal": 2}


def drawn(violation, strength, q=0.3, seed=0, **size):
    cell = {**SIZE, **size, "violation": violation, "strength": strength, "q": q}
    return draw_violated(cell, np.random.default_rng(seed))


def fitted(data, **given):
    return MTLCM(noise_std=0.0, random_state=0, **given).fit(data.H, data.y, tasks=data.tasks)


def found(model, data):
    return mcc_score(model.transform(data.H), data.Z)


@pytest.mark.parametrize("levels", [2, 5])
def test_levels_do_not_turn_the_axes(levels):
    data = drawn("targets of so many levels", levels, q=0.1)
    model = fitted(data)
    assert found(fitted(data, target_type=None), data) < 0.9
    assert found(model, data) > 0.998
    assert set(model.target_kinds_) == {"binary" if levels == 2 else "ordinal"}
    assert not np.any((np.array(model.certificate_.verdict) == "identified") & (found(model, data) < 0.95))


@pytest.mark.parametrize("strength", [0.3, 2.0])
def test_curved_effects_do_not_turn_the_axes(strength):
    data = drawn("effects quadratic in the target", strength, q=0.1)
    model = fitted(data)
    assert found(fitted(data, target_type=None), data) < 0.9
    assert found(model, data) > 0.998
    assert model.effect_degree_ >= 2


def test_predictions_are_of_features_as_they_are():
    data = drawn("effects quadratic in the target", 2.0, q=0.3)
    predicted, plain = (
        fitted(data, target_type=kind, robust=None).predict(data.H)[np.arange(len(data.y)), data.tasks]
        for kind in ("auto", None)
    )
    # Least squares of each task on all features is the same in any axes.
    np.testing.assert_allclose(predicted, plain, atol=1e-6 * np.abs(plain).max())


def test_continuous_targets_on_lines_are_left_bit_for_bit():
    for seed in range(5):
        data = make_linear_tasks(40, 60, 5, 2, random_state=seed)
        told, plain = (TaskMoments.from_long(data.H, data.y, data.tasks, target_type=kind) for kind in ("auto", None))
        assert told.effect_degree_ == 1
        assert set(told.target_kinds_) == {"continuous"}
        for part, other in zip(told._sums, plain._sums, strict=True):
            np.testing.assert_array_equal(part, other)


def test_covariance_with_the_variable_behind_levels():
    rng = np.random.default_rng(0)
    n, r = 20_000, np.array([0.5, -0.3, 0.0])
    y = rng.normal(size=n)
    H = rng.normal(size=(n, 3)) * np.sqrt(1 - r**2) + np.outer(y, r)
    for thresholds in ([1.0], [-0.5, 0.2, 1.5], np.linspace(-2, 2, 40)):
        level = np.searchsorted(thresholds, y).astype(float)
        model = latent_targets(H, level, np.zeros(n, dtype=int), 1, None, np.array([0]))
        np.testing.assert_allclose(model.cov_hy[0], r, atol=0.03)
        # E[h | y] is a line in y*, so that its covariance with the levels is r times the scale.
        np.testing.assert_allclose(model.scale[0] * r, (H - H.mean(0)).T @ level / n, atol=0.03 * model.scale[0])
        assert abs(np.corrcoef(model.completed, y)[0, 1]) > 0.5


def test_levels_that_features_separate_leave_a_covariance():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(60, 4))
    y = (H[:, 0] > 0.2).astype(float)
    moments = TaskMoments.from_long(H, y, np.zeros(60), target_type="binary")
    R = moments.cov_h[0] - np.outer(moments.cov_hy[0], moments.cov_hy[0]) / moments.var_y[0]
    assert 0.0 < np.linalg.eigvalsh(R)[0] < 0.1


def test_layouts_and_weights_agree():
    data = drawn("targets of so many levels", 2, T=6, n=80)
    Y = np.full((len(data.y), 6), np.nan)
    Y[np.arange(len(data.y)), data.tasks] = data.y
    wide = TaskMoments.from_arrays(data.H, Y, target_type="auto")
    long = TaskMoments.from_long(data.H, data.y, data.tasks, target_type="auto")
    np.testing.assert_allclose(wide.scatter_hy, long.scatter_hy)
    np.testing.assert_allclose(wide.scatter_y, long.scatter_y)
    twos = TaskMoments.from_long(
        data.H, data.y, data.tasks, target_type="auto", sample_weight=np.full(len(data.y), 2.0)
    )
    np.testing.assert_allclose(twos.cov_hy, long.cov_hy, atol=1e-9)
    kept = np.arange(len(data.y)) % 3 > 0
    part = TaskMoments.from_long(data.H[kept], data.y[kept], data.tasks[kept], target_type="auto")
    zeros = TaskMoments.from_long(data.H, data.y, data.tasks, target_type="auto", sample_weight=kept.astype(float))
    np.testing.assert_allclose(zeros.cov_hy, part.cov_hy, atol=1e-9)


def test_shared_rows_have_levels_too():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(4000, 3))
    latent = H @ np.array([[1.0, 0.5, 0.0], [0.0, 0.7, -1.0]]).T + rng.normal(size=(4000, 2))
    Y = np.column_stack([latent[:, 0] > 1.5, latent[:, 1]]).astype(float)
    Y[:500, 0] = np.nan
    moments = TaskMoments.from_arrays(H, Y, target_type="auto")
    rho = moments.cov_hy[0] / np.sqrt(moments.var_y[0])
    np.testing.assert_allclose(rho, np.array([1.0, 0.5, 0.0]) / 1.5, atol=0.05)
    plain = TaskMoments.from_arrays(H, Y)
    np.testing.assert_array_equal(moments.scatter_hy[1], plain.scatter_hy[1])


def test_lines_stay_lines_where_rows_are_few_or_tails_heavy():
    rng = np.random.default_rng(0)
    for n in (6, 12, 40):
        y, index = rng.standard_t(4, size=30 * n), np.repeat(np.arange(30), n)
        H = np.outer(y, [1.0, 0.5, 0.0]) + rng.standard_t(5, size=(30 * n, 3))
        assert shape_of_effects(H, y, index, 30, None, np.arange(30)) == LINES


def test_kinds_are_stored_and_batches_refused(tmp_path):
    data = drawn("effects quadratic in the target", 2.0, T=12, n=100)
    model = fitted(data)
    model.save(tmp_path / "run")
    loaded = MTLCM.load(tmp_path / "run")
    assert (loaded.target_kinds_, loaded.effect_degree_) == (model.target_kinds_, model.effect_degree_)
    np.testing.assert_array_equal(loaded.predict(data.H), model.predict(data.H))
    with pytest.raises(ValueError, match="batches do not add to targets of levels or curved effects"):
        model.partial_fit(data.H, data.y, data.tasks)
    levels = fitted(drawn("targets of so many levels", 2, T=12, n=100))
    levels.save(tmp_path / "other")
    assert MTLCM.load(tmp_path / "other").target_kinds_ == ("binary",) * 12


@pytest.mark.parametrize("weighted", [False, True])
def test_all_powers_of_all_tasks_at_once_are_regressions_one_by_one(weighted):
    rng = np.random.default_rng(0)
    n, K, T = 40, 3, 4
    H, y, index = rng.normal(size=(n * T, K)), rng.normal(size=n * T), np.repeat(np.arange(T), n)
    H[:, 0] += y**2
    counted = rng.uniform(0.2, 1.0, n * T) if weighted else np.ones(n * T)
    (block,) = Stacks.of(index, T, K).blocks(np.arange(T))
    ratios = _Lines.of(block, H, y, counted).with_powers(of_scores=False).log_ratios()
    for place, t in enumerate(block.tasks):
        h, own, w = H[index == t], y[index == t], counted[index == t]
        line = own - w @ own / w.sum()
        z = np.clip(line / np.sqrt(w @ line**2 / w.sum()), -4.0, 4.0)
        heights = []
        for degree in range(1, 5):
            design = np.column_stack([np.ones(n), line, *(z**power for power in range(2, degree + 1))])
            root = np.sqrt(w)[:, None]
            left = root * h - root * design @ np.linalg.lstsq(root * design, root * h, rcond=None)[0]
            heights.append(np.linalg.slogdet(left.T @ left)[1])
        np.testing.assert_allclose(ratios[:, place], heights[0] - np.array(heights[1:]), atol=1e-6)
