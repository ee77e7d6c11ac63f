"""What a report shows that only a table can tell: inputs, rows and clouds of each axis, and how the run was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from identirep._typing import IntArray
from identirep.describing import Axis, Cloud, describe_axes
from identirep.input_shares import InputShare

__all__ = ["Description", "Made", "describe", "read_kept", "versions", "write_kept"]

# Targets, inputs, and rows at each end, of an axis.
_SHOWN = 5
_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch")
# A label is a name, not a text.
_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Description:
    """Axes of a model on the rows of a table. Made by `describe`.

    Parameters
    ----------
    axes : sequence of Axis
        Targets, inputs, rows at both ends and rows by the best target of each axis.
    n_rows : int
        Number of rows.
    data : str or None
        Their name.
    labels : mapping of int to str
        Labels of the rows at the ends, by number, where some were given.
    """

    axes: Sequence[Axis]
    n_rows: int
    data: str | None = None
    labels: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """How a run was made, as far as its model does not know.

    Parameters
    ----------
    command : str or None
        The command.
    run : str or None
        The run directory, as it was given.
    date : str or None
        When, in the form of ISO 8601.
    data_sha256 : str or None
        SHA-256 of the file of the data.
    inputs : sequence of str
        Columns that are inputs.
    left_out : mapping of str to str
        Columns that are none, and why.
    target, tasks : str or None
        In the long layout, the columns of labels and tasks.
    remarks : sequence of str
        What was said of the data.
    versions : mapping of str to str
        Versions of Python and of libraries.
    """

    command: str | None = None
    run: str | None = None
    date: str | None = None
    data_sha256: str | None = None
    inputs: Sequence[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    tasks: str | None = None
    remarks: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def now(cls, **known: Any) -> Made:
        """Say what is known of a run that is made now, by this installation.

        Parameters
        ----------
        **known : Any
            Parameters other than date and versions.

        Returns
        -------
        Made
            With date and versions.
        """
        return cls(date=datetime.now(timezone.utc).isoformat(timespec="seconds"), versions=versions(), **known)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers depend on."""
    return {"Python": python_version(), **{name: version(name) for name in _LIBRARIES}}


def describe(
    model: Any,
    X: Any,
    y: Any = None,
    tasks: Any = None,
    *,
    numbers: IntArray | None = None,
    labels: Sequence[Any] | None = None,
    data: str | None = None,
) -> Description:
    """Describe the axes of a fitted model by inputs that move them, rows at their ends, and their best targets.

    Parameters
    ----------
    model : IdentifiableRegressor
        Fitted model.
    X : array-like or table, shape (n_samples, n_features)
        Inputs of at least ten rows, as in its `fit`.
    y : array-like, shape (n_samples, n_tasks) or (n_samples,), optional
        Targets, in either layout. Default: no axis is shown against a target.
    tasks : array-like, optional
        As for `fit`.
    numbers : array of int, shape (n_samples,), optional
        By what rows are called. Default: their places in `X`.
    labels : sequence, length n_samples, optional
        Names of the rows, shown beside their numbers.
    data : str, optional
        Name of the rows as a whole.

    Returns
    -------
    Description
        What `write_report` shows on the cards of the axes: of inputs, shuffled one by one, the share of each axis that
        changes.

    Raises
    ------
    ValueError
        If there are too few rows, or they do not go with the model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.report import describe
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 4))
    >>> Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    >>> model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, Y)
    >>> len(describe(model, X, Y).axes)
    2
    """
    axes = describe_axes(model, X, y, tasks, n_shown=_SHOWN)
    ends = {row for axis in axes for row, _ in (*axis.lowest, *axis.highest)}
    number = {row: row if numbers is None else int(numbers[row]) for row in ends}
    names = {}
    if labels is not None:
        names = {number[row]: str(labels[row])[:_LONGEST_LABEL] for row in ends if labels[row] is not None}
    axes = [
        replace(
            axis,
            lowest=[(number[row], value) for row, value in axis.lowest],
            highest=[(number[row], value) for row, value in axis.highest],
        )
        for axis in axes
    ]
    return Description(axes, len(X), data, names)


def write_kept(path: Path, made: Made, description: Description | None) -> None:
    """Write what a report needs besides model and scores."""
    document = {"made": asdict(made), "description": None if description is None else asdict(description)}
    # Names of columns may have come from files that are not in UTF-8, which escapes hold.
    path.write_text(json.dumps(_plain(document), indent=1, allow_nan=False) + "\n", encoding="ascii")


def read_kept(path: Path, n_latents: int) -> tuple[Made, Description | None]:
    """Read what `write_kept` has written of a model with so many latents."""
    try:
        document = json.loads(path.read_bytes())
        made, kept = Made(**document["made"]), document["description"]
        if not all(isinstance(text, str) for text in (*made.inputs, *made.remarks, *made.left_out.values())):
            raise TypeError("other entries")
        return made, None if kept is None else _description(kept, n_latents)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"'{path}' is damaged: got no description of the axes ({error}), expected the file as it was written. "
            "Delete it, and write the report with a table: identirep report RUN DATA."
        ) from None


def _description(kept: Mapping[str, Any], n_latents: int) -> Description:
    axes = [_axis(entry) for entry in kept["axes"]]
    if [axis.number for axis in axes] != list(range(n_latents)):
        raise ValueError(f"{len(axes)} axes of {n_latents}")
    labels = {int(row): str(label) for row, label in kept["labels"].items()}
    return Description(axes, int(kept["n_rows"]), kept["data"], labels)


def _axis(entry: Mapping[str, Any]) -> Axis:
    cloud = entry["cloud"]
    if cloud is not None:
        points = {name: np.array(cloud[name], dtype=np.float64) for name in ("latent", "values")}
        if points["latent"].ndim != 1 or points["latent"].shape != points["values"].shape:
            raise ValueError("a cloud without points")
        cloud = Cloud(**{**cloud, **points, "correlation": _known(cloud["correlation"])})
    return Axis(
        int(entry["number"]),
        str(entry["name"]),
        _pairs(entry["targets"], str),
        [_share(*values) for values in entry["inputs"]],
        _pairs(entry["lowest"], int),
        _pairs(entry["highest"], int),
        cloud,
    )


def _share(name: Any, share: Any, interval: Any, correlation: Any) -> InputShare:
    low, high = (float(end) for end in interval)
    return InputShare(str(name), float(share), (low, high), _known(correlation))


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _pairs(entries: Any, of: Any) -> list[Any]:
    return [(of(first), float(value)) for first, value in entries]


def _plain(value: Any) -> Any:
    """Return what JSON can hold: lists, null for what is not finite, arrays in as many digits as a picture shows."""
    if isinstance(value, np.ndarray):
        return [float(f"{number:.5g}") for number in value.tolist()]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
