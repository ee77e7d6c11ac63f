"""The state of a training as bytes, to go on from after any epoch with the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from identirep.checkpoint_files import Entry
from identirep.checkpoints import Step
from identirep.training import Training

__all__ = ["Best", "KeptTraining"]


@dataclass
class Best:
    """The weights with the best validation loss so far."""

    weights: dict[str, Tensor]
    loss: float = float("inf")
    epoch: int = -1


class KeptTraining:
    """A training whose state is kept by a step of a fit; without a step nothing is."""

    def __init__(
        self,
        step: Step | None,
        module: nn.Module,
        training: Training,
        optimizer: torch.optim.Optimizer,
        fabric: Fabric,
        generator: torch.Generator,
    ) -> None:
        self.step, self.module, self.training = step, module, training
        self.optimizer, self.fabric, self.generator = optimizer, fabric, generator

    def restore(self, best: Best) -> bool:
        """Go on where a training was cut off; returns whether it was finished."""
        if self.step is None:
            return False
        # Weights that cannot be kept show before the training.
        before = self._entry(best)
        saved = self.step.saved
        if saved is None:
            return False
        try:
            self._restore(saved, best)
        except Exception:
            # Not what was written: it is trained anew.
            self._restore(before, best)
            return False
        return bool(saved.content["finished"])

    def keep(self, best: Best, *, finished: bool = False) -> None:
        """Keep the state after an epoch, if it is time for it, or after the last one."""
        if self.step is not None:
            self.step.keep(lambda: self._entry(best, finished), finished=finished)

    def _entry(self, best: Best, finished: bool = False) -> Entry:
        from safetensors.torch import save

        history = self.training.history
        names = list(history[0]) if history else []
        tensors = {f"best.{name}": value for name, value in best.weights.items()}
        tensors |= {f"history.{name}": torch.tensor([e[name] for e in history], dtype=torch.float64) for name in names}
        content: dict[str, Any] = {"history": names, "best_loss": best.loss, "best_epoch": best.epoch}
        if not finished:
            state = self.optimizer.state_dict()
            tensors |= {f"module.{name}": value for name, value in self.module.state_dict().items()}
            tensors |= {
                f"optimizer.{i}.{name}": value for i, own in state["state"].items() for name, value in own.items()
            }
            tensors |= {"generator": self.generator.get_state(), "global": torch.get_rng_state()}
            if self.fabric.device.type == "cuda":
                tensors["device"] = torch.cuda.get_rng_state(self.fabric.device)
            content["groups"] = state["param_groups"]
            content["schedule"] = self._schedule()
            content["precision"] = self.fabric.strategy.precision.state_dict()
        return Entry(content, save({name: value.detach().cpu().clone() for name, value in tensors.items()}))

    def _schedule(self) -> dict[str, Any]:
        """Return what changes in a schedule; the rest follows from its settings."""
        if self.training.schedule is None:
            return {}
        state = self.training.schedule.state_dict()
        return {name: state[name] for name in ("last_epoch", "_step_count", "_last_lr")}

    def _restore(self, saved: Entry, best: Best) -> None:
        from safetensors.torch import load

        tensors, content = load(saved.payload), saved.content
        columns = {name: tensors[f"history.{name}"].tolist() for name in content["history"]}
        integers = {"epoch", "replicate"}
        history = [
            {name: int(value) if name in integers else value for name, value in zip(columns, row, strict=True)}
            for row in zip(*columns.values(), strict=True)
        ]
        weights, loss, epoch = _taken("best", tensors), float(content["best_loss"]), int(content["best_epoch"])
        if {name: value.shape for name, value in weights.items()} != {
            name: value.shape for name, value in best.weights.items()
        }:
            raise ValueError("weights of another network")
        if not content.get("finished"):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _taken("optimizer", tensors).items():
                number, _, key = name.partition(".")
                state.setdefault(int(number), {})[key] = value
            self.module.load_state_dict(_taken("module", tensors))
            self.optimizer.load_state_dict({"state": state, "param_groups": content["groups"]})
            if self.training.schedule is not None:
                self.training.schedule.load_state_dict(dict(content["schedule"]))
            self.fabric.strategy.precision.load_state_dict(content["precision"])
            self.generator.set_state(tensors["generator"])
            torch.set_rng_state(tensors["global"])
            if "device" in tensors:
                torch.cuda.set_rng_state(tensors["device"], self.fabric.device)
        self.training.resume(history)
        best.weights = {name: value.to(best.weights[name].device) for name, value in weights.items()}
        best.loss, best.epoch = loss, epoch


def _taken(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
