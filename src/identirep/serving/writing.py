"""A graph as a file: ONNX, tried on ONNX Runtime before it is written, or what torch.export saves."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim, ExportedProgram

from identirep._typing import Array
from identirep.serving.graph import Graph
from identirep.training import ordinary_torch

__all__ = ["write_onnx", "write_pt2"]

# Under which the description of the model stands in a file.
METADATA_KEY = "identirep"
_OUTPUTS = ("latents", "predictions")
# In standard deviations of what comes out.
_TOLERANCE = 1e-5
# Protocol buffers end here.
_LARGEST = 2**31


def write_pt2(graph: Graph, about: str, path: Path) -> None:
    """Write a graph for ``torch.export.load``, with what is to be known of it as a file inside."""
    program = _exported(graph)
    with _quiet():
        torch.export.save(program, path, extra_files={f"{METADATA_KEY}.json": about})


def write_onnx(graph: Graph, about: str, path: Path) -> None:
    """Write a graph in ONNX, with what is to be known of it in its metadata."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"ONNX needs packages that are not installed: got no {error.name}, expected it. Run pip install "
            "'identirep[onnx]'."
        ) from None
    size = sum(value.nbytes for value in graph.module.state_dict().values())
    if size >= _LARGEST:
        raise ValueError(
            f"the model is too large for a file of ONNX: got {size:,} bytes of weights, expected fewer than "
            f"{_LARGEST:,}. Export it to a name that ends in .pt2."
        )
    exported = _exported(graph)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                exported, (), input_names=["inputs"], output_names=list(_OUTPUTS), dynamo=True, verbose=False
            )
            model = program.model_proto
    except Exception as error:
        raise _cannot(error, "ONNX has") from None
    _name_rows(model)
    model.producer_name, model.producer_version = METADATA_KEY, version("identirep")
    onnx.helper.set_model_props(model, {METADATA_KEY: about})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = dict(zip(_OUTPUTS, session.run(_OUTPUTS, {"inputs": graph.rows}), strict=True))
    except Exception as error:
        raise _cannot(error, "ONNX Runtime has") from None
    _compare(graph, found)
    onnx.save(model, path)


def _name_rows(model: Any) -> None:
    """Let the number of rows have that name; shapes between are left to runtimes."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    del model.graph.value_info[:]


def _compare(graph: Graph, found: dict[str, Array]) -> None:
    """Raise unless a runtime has found what the module finds."""
    for (name, expected), scale in zip(graph.module.of(graph.rows).items(), graph.scales, strict=True):
        error = np.max(np.abs(found[name] - expected) / np.where(scale > 0, scale, 1.0), initial=0.0)
        if not error <= _TOLERANCE:
            raise RuntimeError(
                f"ONNX Runtime does not give the {name} of the model: got {error:.1g} standard deviations of "
                f"difference, expected at most {_TOLERANCE:g}. Export to a name that ends in .pt2."
            )


@ordinary_torch()
def _exported(graph: Graph) -> ExportedProgram:
    """Return the graph of a module, for any number of rows."""
    try:
        with _quiet():
            rows = torch.from_numpy(graph.rows)
            return torch.export.export(graph.module, (rows,), dynamic_shapes=({0: Dim("rows")},))
    except Exception as error:
        raise _cannot(error, "torch.export follows") from None


def _cannot(error: Exception, whom: str) -> ValueError:
    """Return the error of an encoder that is no graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    what = lines[0][:200].rstrip(".") if lines else type(error).__name__
    return ValueError(
        f"encoder is not a graph: got {what}, expected a module for any number of rows, made of operations that "
        f"{whom}. Change the encoder, or serve the run with IdentifiableRegressor.load."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what exporters say of their own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
