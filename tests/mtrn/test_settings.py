"""What "auto" means for given data, and that numbers of the user are taken as they are."""

import dataclasses

import numpy as np
import pytest

from identirep import MTRN
from identirep.mtrn.settings import NetworkSettings
from identirep.validation import TaskData


def _data(rows_per_task, n_tasks=30):
    n = rows_per_task * n_tasks
    index = np.repeat(np.arange(n_tasks), rows_per_task)
    return TaskData(np.zeros((n, 2)), np.zeros(n), index, tuple(range(n_tasks))), np.zeros(n, dtype=bool)


_WIDE = TaskData(np.zeros((1000, 2)), np.zeros((1000, 3)), None, (0, 1, 2)), np.arange(1000) < 200


def test_settings_are_the_parameters():
    model = MTRN(5, hidden_sizes=(7, 8), dropout=0.1, device="cpu")
    settings = dataclasses.asdict(NetworkSettings.of(model))
    others = ("random_state", "target_type")
    assert settings == {name: value for name, value in model.get_params().items() if name not in others}


@pytest.mark.parametrize(
    ("n_components", "data", "width"),
    [
        ("auto", _WIDE, 40),
        (30, _WIDE, 60),
        # In the long layout a quarter of the rows of a task, but what was asked for.
        ("auto", _data(60), 15),
        (20, _data(60), 20),
        ("auto", _data(3), 1),
    ],
)
def test_width(n_components, data, width):
    assert NetworkSettings.of(MTRN(n_components)).width(*data) == width
    assert NetworkSettings.of(MTRN(n_components, n_features=12)).width(*data) == 12


def test_batches_and_epochs():
    settings, own = NetworkSettings.of(MTRN()), NetworkSettings.of(MTRN(batch_size=9, max_epochs=2))
    assert settings.batch_rows(*_WIDE) == 40
    assert settings.batch_rows(*_data(60)) == 2048
    assert own.batch_rows(*_WIDE) == own.batch_rows(*_data(60)) == 9
    assert [settings.epochs(n_batches) for n_batches in (1, 15, 1000)] == [300, 100, 30]
    assert own.epochs(15) == 2
