"""What shards of tasks add up to is what all tasks together give, at every step of the solver."""

import numpy as np

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes.fit import whitened_covariances
from identirep.mtlcm.axes.sharded import ShardedTasks


class _Parts:
    """Shards in this process, which count what comes together."""

    def __init__(self, parts, numbers):
        self.parts, self.numbers = parts, numbers

    def made(self, function, *arguments):
        return _Parts([function(part, *arguments) for part in self.parts], self.numbers)

    def summed(self, function, *arguments):
        found = [function(part, *arguments) for part in self.parts]
        self.numbers.append(sum(np.size(value) for value in found[0]))
        return tuple(sum(values) for values in zip(*found, strict=True))


def test_sums_over_shards_are_those_over_tasks():
    data = make_linear_tasks(30, 12, 4, 2, random_state=0)
    moments, numbers = TaskMoments.from_long(data.H, data.y, data.tasks), []
    parts = [moments.select_tasks(tasks) for tasks in (np.arange(4), np.arange(4, 19), np.arange(19, 30))]
    for noise in (0.0, 0.02):
        expected, W = whitened_covariances(moments, noise)
        found, whitener = ShardedTasks(_Parts(parts, numbers)).whitened(noise)
        np.testing.assert_allclose(whitener, W, rtol=1e-10)
        B, start, scale = np.random.default_rng(0).normal(size=(2, 4, 4)), np.arange(2), np.array([[1, 2, 3, 4.0]] * 2)
        a, b = (covariances.measured(B, start).scaled(scale) for covariances in (expected, found))
        scaled = B * scale[:, :, None]
        np.testing.assert_allclose(b.mean_log(), a.mean_log(), rtol=1e-10)
        np.testing.assert_allclose(b.mean_variances(), a.mean_variances(), rtol=1e-10)
        np.testing.assert_allclose(b.rounding(scaled), a.rounding(scaled), rtol=1e-10)
        for mine, theirs in zip(b.gradient(scaled), a.gradient(scaled), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
        other = found.measured(2.0 * B[:1], start[:1])
        np.testing.assert_array_equal(b.replaced(start[1:], other).mean_log(), [b.mean_log()[0], other.mean_log()[0]])
    # No more than two matrices for each start, whatever the number of tasks.
    assert max(numbers) == 2 * 2 * 4 * 4
