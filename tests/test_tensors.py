"""Tensors of torch are arrays, wherever arrays are taken: with a graph behind them, of short floats, in lists."""

import numpy as np
import pytest
import torch

from identirep import MTLCM, TaskMoments
from identirep.metrics import mcc_score, weak_mcc_score
from identirep.missing import as_labels

RNG = np.random.default_rng(0)
H = RNG.normal(size=(60, 3)).astype(np.float32)
TASKS = np.repeat(np.arange(3), 20)
Y = H @ RNG.laplace(size=(3, 4))
FORMS = {
    "with a graph": lambda values: torch.tensor(values, requires_grad=True),
    "a result": lambda values: torch.tensor(values, requires_grad=True) * 1.0,
    "a list of rows": lambda values: list(torch.tensor(values, requires_grad=True)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_moments_and_metrics_take_features_as_an_encoder_gives_them(form):
    for found, expected in (
        (TaskMoments.from_arrays(form(H), form(Y)), TaskMoments.from_arrays(H, Y)),
        (TaskMoments.from_long(form(H), form(Y[:, 0]), torch.tensor(TASKS)), TaskMoments.from_long(H, Y[:, 0], TASKS)),
    ):
        np.testing.assert_array_equal(found.cov_hy, expected.cov_hy)
        assert found.task_names == expected.task_names
    weights = np.linspace(0.5, 1.5, 60)
    np.testing.assert_array_equal(
        TaskMoments.from_arrays(H, Y, sample_weight=form(weights)).cov_hy,
        TaskMoments.from_arrays(H, Y, sample_weight=weights).cov_hy,
    )
    mixed = H @ RNG.normal(size=(3, 3)).astype(np.float32)
    assert mcc_score(form(H), mixed) == mcc_score(H, mixed)
    assert weak_mcc_score(mixed, form(H)) == weak_mcc_score(mixed, H)


def test_short_floats_have_their_values():
    short = torch.tensor(H).bfloat16()
    np.testing.assert_array_equal(
        TaskMoments.from_arrays(short, Y).mean_h, TaskMoments.from_arrays(short.float(), Y).mean_h
    )
    labels = as_labels(torch.tensor(TASKS, dtype=torch.float16, requires_grad=True))
    np.testing.assert_array_equal(labels, TASKS)


def test_tensors_without_numbers_are_refused():
    for call in (
        lambda: TaskMoments.from_arrays(torch.empty(60, 3, device="meta"), Y),
        lambda: TaskMoments.from_arrays(torch.tensor(H).to_sparse(), Y),
        lambda: mcc_score(H, [torch.zeros(3), torch.zeros(2)]),
        lambda: MTLCM(2).fit([torch.zeros(3), torch.zeros(2)], Y[:2]),
    ):
        with pytest.raises((ValueError, TypeError), match=r"(?s)got .*expected"):
            call()
