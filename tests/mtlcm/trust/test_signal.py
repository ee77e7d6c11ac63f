"""Signal: targets that depend on nothing, and on some directions of the features alone."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks


@pytest.mark.filterwarnings("ignore:MTLCM stopped:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("layout", ["long", pytest.param("wide", marks=pytest.mark.slow)])
def test_shuffled_targets_carry_no_signal(layout):
    data = make_linear_tasks(60, 100, 6, 2, mixing="orthogonal", random_state=0)
    rng = np.random.default_rng(1)
    if layout == "long":
        model = MTLCM(random_state=0).fit(data.H, rng.permutation(data.y), tasks=data.tasks)
    else:
        Y = rng.normal(size=(len(data.H), 3)) @ rng.normal(size=(3, 40))
        model = MTLCM(random_state=0).fit(data.H, Y)
    certificate = model.certificate_
    assert certificate.verdict == ["unstable"] * 6
    assert all("no signal" in reason for reason in certificate.reasons)


@pytest.mark.slow
def test_heads_of_deficient_rank_are_reported():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(2000, 5))
    Y = H[:, :3] @ rng.laplace(size=(3, 30)) + rng.normal(size=(2000, 30))
    certificate = MTLCM(random_state=0).fit(H, Y).certificate_
    assert certificate.head_rank == 3
    assert certificate.verdict.count("unstable") >= 2
