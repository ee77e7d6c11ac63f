"""The solver against qndiag and pyriemann on the same matrices, from the same start, to the same criterion.

    python benchmarks/joint_diagonalisation.py

Matrices: covariances given the target of the paper's linear data (T = 200, n = 10 D). Each peer runs at its own default
tolerance; ours stops at the first iteration whose criterion is not above the better of theirs.
"""

from __future__ import annotations

from _timing import median_seconds, set_threads

set_threads(1)

import numpy as np  # noqa: E402
from pyriemann.utils.ajd import ajd_pham  # noqa: E402
from qndiag import qndiag  # noqa: E402

from identirep import TaskMoments  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.mtlcm import DenseCovariances, joint_diagonalise, residual_covariances  # noqa: E402


def criterion(B: np.ndarray, R: np.ndarray) -> float:
    variances = np.einsum("ij,tjk,ik->ti", B, R, B, optimize=True)
    return float(-np.linalg.slogdet(B)[1] + 0.5 * np.log(variances).sum(axis=1).mean())


def main() -> None:
    print("| D | ours, s | qndiag, s | pyriemann, s | faster peer / ours | ours - qndiag | ours - pyriemann |")
    print("|---|---|---|---|---|---|---|")
    for D in (10, 20, 50, 100):
        data = make_linear_tasks(
            n_samples=10 * D, n_latents=D, n_causal=max(2, D // 5), mixing="orthogonal", random_state=0
        )
        R = residual_covariances(TaskMoments.from_long(data.H, data.y, data.tasks))
        pooled = R.mean(axis=0)
        values, vectors = np.linalg.eigh(pooled)
        W = vectors.T / np.sqrt(values)[:, None]
        R = W @ R @ W.T
        covariances = DenseCovariances.from_matrices(R, np.full(len(R), 1 / len(R)))
        start = np.eye(D)[None]
        repeats = 5 if D < 100 else 3
        ours = median_seconds(lambda: joint_diagonalise(covariances, start, tol=1e-6), repeats)  # noqa: B023
        theirs_q = median_seconds(lambda: qndiag(R, B0=np.eye(D)), repeats)  # noqa: B023
        theirs_p = median_seconds(lambda: ajd_pham(R), repeats)  # noqa: B023
        value = criterion(joint_diagonalise(covariances, start, tol=1e-6).unmixing[0], R)
        value_q, value_p = criterion(qndiag(R, B0=np.eye(D))[0], R), criterion(ajd_pham(R)[0], R)
        print(
            f"| {D} | {ours:.4f} | {theirs_q:.4f} | {theirs_p:.4f} | {min(theirs_q, theirs_p) / ours:.2f} "
            f"| {value - value_q:+.1e} | {value - value_p:+.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
