"""What solvers return: which start counts, and what is told of all."""

import numpy as np

from identirep.mtlcm.axes.solutions import Solutions, Starts


def _starts(criterion, converged):
    n = len(criterion)
    return Starts(
        np.array(criterion), np.zeros(n), np.ones(n, dtype=np.int64), np.array(converged, dtype=bool), np.ones((n, 2))
    )


def test_the_best_start_is_the_first_among_equals_that_converged():
    assert _starts([0.0, -1.0, -1.0 + 1e-12, 2.0], [True] * 4).best == 1
    assert _starts([0.0, -1.0, -1.0 + 1e-12, 2.0], [True, False, True, True]).best == 2
    # A lower criterion counts more than convergence.
    assert _starts([0.0, -1.0], [True, False]).best == 1


def test_solutions_are_joined_and_reported_against_the_best():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3))
    first = Solutions.of_one(A, 1.0, 1e-9, 4, tol=1e-8)
    second = Solutions.of_one(2.0 * A[[2, 0, 1]], 0.5, 1e-3, 7, tol=1e-8)
    both = Solutions.joined([first, second])
    assert both.best == 1
    assert both.converged.tolist() == [True, False]
    np.testing.assert_array_equal(both.select(np.array([1, 0])).n_iter, [7, 4])
    report = both.report(np.eye(3) + 0.1)
    assert report.best == 1
    # Order and scale of latents are free.
    np.testing.assert_allclose(report.agreement, 1.0)
