"""Devices that are not here are refused by a fit and replaced in use; only torchrun makes several processes."""

import copy

import numpy as np
import pytest
import torch

from identirep import MTRN
from identirep.mtrn.devices import fabric_settings
from identirep.mtrn.training import make_fabric

_SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_NTASKS": "4",
    "SLURM_JOB_NAME": "train",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
}


def _stage(**settings):
    return MTRN(2, hidden_sizes=(4,), n_replicates=1, max_epochs=1, random_state=0, **settings)


def _problem():
    X = np.random.default_rng(0).normal(size=(80, 3))
    return X, X @ np.random.default_rng(1).normal(size=(3, 4))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu0", "device is not valid: got 'gpu0'"),
        ("cuda:", "device is not valid"),
        (0, "device is not valid: got 0"),
        (None, "device is not valid: got None"),
        ("cuda", r"device is not on this machine: got 'cuda', .* \(0 with CUDA\). Set device='auto'"),
        ("cuda:1", "device is not on this machine"),
    ],
)
def test_devices_that_are_not_here_are_refused_with_all_other_faults(monkeypatch, device, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=rf"(?s)2 faults.*{message}"):
        _stage(device=device, dropout=2.0).fit(*_problem())


def test_a_model_of_another_device_is_used_on_this_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, Y = _problem()
    model = _stage(device="cpu").fit(X, Y)
    other = copy.deepcopy(model).set_params(device="cuda:3")
    np.testing.assert_array_equal(other.transform(X), model.transform(X))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize(
    "variables",
    [
        _SLURM,
        {**_SLURM, "SLURM_NTASKS_PER_NODE": "4"},
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"},
        {"WORLD_SIZE": "", "LOCAL_RANK": "", "MASTER_PORT": "x", "NODE_RANK": "?"},
        {
            "OMPI_COMM_WORLD_SIZE": "4",
            "PMI_SIZE": "4",
            "LSB_JOBID": "1",
            "LSB_DJOB_RANKFILE": "/none",
            "JSM_NAMESPACE_RANK": "1",
        },
    ],
)
def test_variables_of_schedulers_start_no_processes(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    fabric = make_fabric("cpu", "32-true")
    assert (fabric.world_size, fabric.global_rank) == (1, 0)


def test_torchrun_has_as_many_as_it_says(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    settings = fabric_settings("cpu")
    assert (settings["devices"], settings["num_nodes"], settings["strategy"]) == (2, 2, "ddp")
