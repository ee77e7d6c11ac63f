"""Where networks are computed: the device asked for, and processes that torchrun has started, or else this one."""

from __future__ import annotations

import os
import re
from typing import Any

import torch

__all__ = ["device_fault", "fabric_settings", "means_cpu", "usable_device"]

_DEVICES = re.compile(r"(auto|cpu|mps|(gpu|cuda)(:\d+)?)")


def device_fault(device: Any) -> str | None:
    """Say what is wrong with the name of a device, or that this machine has no such device."""
    if not isinstance(device, str) or not _DEVICES.fullmatch(device):
        return (
            f"device is not valid: got {device!r}, expected 'auto', 'cpu', 'cuda', 'cuda:1' (one of several) or 'mps'. "
            "Change device."
        )
    if not _is_here(device):
        return (
            f"device is not on this machine: got {device!r}, expected one that torch can use here "
            f"({torch.cuda.device_count()} with CUDA). Set device='auto'."
        )
    return None


def usable_device(device: Any) -> str:
    """Return a device, or "auto" in its place if a model has come from a machine that had others."""
    return "auto" if device_fault(device) else str(device)


def means_cpu(device: str) -> bool:
    """Tell whether a device is the CPU: by its name, or since there is no other to choose."""
    return device == "cpu" or (
        device == "auto" and not (torch.cuda.is_available() or torch.backends.mps.is_available())
    )


def fabric_settings(device: str) -> dict[str, Any]:
    """Return what Lightning Fabric is to use: what a scheduler says of its own processes is not meant for it."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    accelerator, _, number = device.partition(":")
    world_size = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if world_size > 1:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size)))
        return {"accelerator": accelerator, "devices": local, "num_nodes": world_size // local, "strategy": "ddp"}
    devices: Any = [int(number)] if number else 1
    return {"accelerator": accelerator, "devices": devices, "plugins": LightningEnvironment()}


def _is_here(device: str) -> bool:
    kind, _, number = device.partition(":")
    if kind in ("cuda", "gpu"):
        return torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    return kind != "mps" or torch.backends.mps.is_available()
