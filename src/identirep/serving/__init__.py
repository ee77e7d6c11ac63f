"""Fitted models as one graph from inputs to latents and predictions, for servers that know nothing of identirep.

What needs torch is loaded on first use.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from identirep.files import replaced_file

if TYPE_CHECKING:
    from identirep.serving.graph import Affine, Graph, MeanOfLevels, ServedModel, Standardised

__all__ = ["SUFFIXES", "Affine", "Exportable", "Graph", "MeanOfLevels", "ServedModel", "Standardised", "check_suffix"]

SUFFIXES = (".onnx", ".pt2")
# Raised when a key of that changes its meaning or goes.
_FORMAT_VERSION = 1


class Exportable:
    """Base of models that can be exported: what is written, and where."""

    def export(self, path: str | Path) -> Path:
        """Write the model as one graph from inputs to latents and predictions, which runs without this library.

        Parameters
        ----------
        path : str or Path
            File to write, an existing one is replaced as a whole: ``.onnx``, for ONNX Runtime and others (extra
            ``onnx``), or ``.pt2``, for ``torch.export.load``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the name has another ending, the model has no latents, or its encoder is a module that cannot be written
            as such a graph.
        TypeError
            If stage one is neither a network nor linear: trees, for example.
        ImportError
            If the extra is not installed.
        RuntimeError
            If ONNX Runtime does not give what the model gives, to 1e-5 of a standard deviation.

        Notes
        -----
        The graph takes `inputs`, float64 (n_samples, n_features) in the units, and with the origins, of the fit, for
        any number of rows, and returns `latents` (n_samples, n_components_), those of `transform`, and `predictions`
        (n_samples, n_tasks), those of `predict`, in the units of the targets. Encoders of your own that take samples
        with several axes get these. Rows that `transform` would refuse (NaN, infinite) come out as NaN. Of a table that
        was encoded, inputs are the columns that ``table_encoder_.transform`` returns: the encoder is not part of the
        graph.

        What is what stands in the file, as JSON under the key "identirep" (metadata of ONNX; the extra file
        "identirep.json" of ``.pt2``): names of `inputs`, `latents` with their verdicts, and `targets`.
        """
        from identirep.serving.writing import write_onnx, write_pt2

        path = Path(path)
        check_suffix(path)
        check_is_fitted(self)
        model: Any = self
        if not model.n_components_:
            raise ValueError(
                "the model has no latents: got targets without signal in fit, expected at least one latent. Fit to "
                "targets that the inputs say something about."
            )
        graph, about = self._graph(), json.dumps(self._about_graph())
        with replaced_file(path) as staging:
            (write_onnx if path.suffix.lower() == ".onnx" else write_pt2)(graph, about, staging)
        return path

    @abstractmethod
    def _graph(self) -> Graph:
        """Return inputs to latents and predictions as a module, and rows to try it on."""

    @abstractmethod
    def _names_of_graph_inputs(self) -> NDArray[Any] | None:
        """Return the names of the inputs of the graph, if they have any."""

    def _about_graph(self) -> dict[str, Any]:
        """Return what is to be known of the graph, as JSON holds it."""
        model: Any = self
        names, certificate = self._names_of_graph_inputs(), model.certificate_
        rows = zip(model.latent_names_, certificate.verdict, certificate.reasons, strict=True)
        return {
            "format_version": _FORMAT_VERSION,
            "identirep": version("identirep"),
            "kind": type(self).__name__,
            "inputs": None if names is None else [str(name) for name in names],
            "encoded_table": getattr(self, "table_encoder_", None) is not None,
            "latents": [{"name": name, "verdict": verdict, "reason": reason} for name, verdict, reason in rows],
            "targets": [str(name) for name in model.task_names_],
        }


def check_suffix(path: Path, name: str = "path") -> None:
    """Raise unless a file can be told to be one of those that are written."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{name} has an unknown format: got '{path.name}', expected a name that ends in {' or '.join(SUFFIXES)}. "
            "Choose one of these."
        )


def __getattr__(name: str) -> Any:
    if name not in ("Affine", "Graph", "MeanOfLevels", "ServedModel", "Standardised"):
        raise AttributeError(f"module 'identirep.serving' has no attribute {name!r}")
    from identirep.serving import graph

    return getattr(graph, name)
