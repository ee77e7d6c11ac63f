"""Identifiable representation learning from many tasks.

Public names are loaded on first use, so that ``import identirep`` stays fast and a user of one stage does not pay for
the dependencies of the other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from identirep import baselines, datasets, engines, metrics
    from identirep.comparing import Comparison, align, compare
    from identirep.encoding import TableEncoder
    from identirep.moments import TaskMoments
    from identirep.mtlcm import MTLCM, Certificate
    from identirep.mtrn import MTRN, PredictiveFeatures
    from identirep.planning import Plan, plan
    from identirep.regressor import IdentifiableRegressor

__version__ = "0.1.0"

__all__ = [
    "MTLCM",
    "MTRN",
    "Certificate",
    "Comparison",
    "IdentifiableRegressor",
    "Plan",
    "PredictiveFeatures",
    "TableEncoder",
    "TaskMoments",
    "__version__",
    "align",
    "baselines",
    "compare",
    "datasets",
    "engines",
    "metrics",
    "plan",
]

_SUBMODULES = frozenset({"baselines", "datasets", "engines", "metrics"})
_MODULE_OF = {
    "MTLCM": "identirep.mtlcm",
    "Certificate": "identirep.mtlcm",
    "MTRN": "identirep.mtrn",
    "PredictiveFeatures": "identirep.mtrn",
    "Comparison": "identirep.comparing",
    "compare": "identirep.comparing",
    "align": "identirep.comparing",
    "IdentifiableRegressor": "identirep.regressor",
    "Plan": "identirep.planning",
    "plan": "identirep.planning",
    "TableEncoder": "identirep.encoding",
    "TaskMoments": "identirep.moments",
}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"identirep.{name}")
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'identirep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
