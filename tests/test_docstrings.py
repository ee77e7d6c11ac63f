"""Docstrings of all public objects follow numpydoc, and their examples run."""

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import types

import pytest
from numpydoc.validate import validate

import identirep

# Checks of numpydoc.validate, see its documentation for the codes. Left out are those of taste (where the summary
# starts, how often there are See Also and extended summaries).
_CHECKS = {
    "GL03",  # double blank lines
    "GL05",  # tabs
    "GL06",  # unknown section
    "GL07",  # sections in another order
    "GL08",  # no docstring
    "SS01",  # no summary
    "SS02",  # summary without capital
    "SS03",  # summary without period
    "SS04",  # summary with leading spaces
    "SS06",  # summary of several lines
    "PR01",  # parameters not documented
    "PR02",  # unknown parameters
    "PR03",  # parameters in another order
    "PR04",  # parameter without type
    "PR05",  # type with period
    "PR07",  # parameter without description
    "PR09",  # description without period
    "PR10",  # no space before the colon
    "RT01",  # no Returns section
    "RT03",  # return value without description
    "RT05",  # description of return value without period
    "YD01",  # no Yields section
}
# What users call shows how; methods are shown in the example of their class, results where they are returned.
_CHECKS_OF_CALLED = _CHECKS | {"EX01"}
# Fields of a frozen result are attributes.
_CHECKS_OF_RESULTS = _CHECKS - {"PR01"}
# Names that other modules of the package use, and users do not, may say less.
_CHECKS_OF_INTERNALS = {"GL08", "SS02", "SS03", "SS06", "PR02", "PR03"}
_METHOD_TYPES = (classmethod, staticmethod, property, types.FunctionType)
_PUBLIC_MODULES = {
    f"identirep.{name}"
    for name in ("baselines", "comparing", "datasets", "metrics", "moments", "mtlcm", "mtrn", "planning", "regressor")
} | {"identirep.engines", "identirep.report"}


def _modules():
    """Import every module of the package; the optional dependencies are not needed to import one."""
    found = pkgutil.walk_packages(identirep.__path__, prefix="identirep.")
    return [importlib.import_module(info.name) for info in found if not info.name.endswith("__main__")]


def _documented_objects():
    """Map the classes and functions in the `__all__` of all modules, and the methods of public classes, to checks.

    Public is the `__all__` of a public module.
    """
    checks = {}
    for module in _modules():
        for name in getattr(module, "__all__", []):
            is_public = module.__name__ in _PUBLIC_MODULES
            value = getattr(module, name)
            # Type aliases, constants and submodules have no signature to document.
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            path = f"{value.__module__}.{name}"
            if not is_public:
                checks.setdefault(path, _CHECKS_OF_INTERNALS)
                continue
            checks[path] = _CHECKS_OF_RESULTS if dataclasses.is_dataclass(value) else _CHECKS_OF_CALLED
            # Methods may stand in a base of ours.
            bases = (
                [base for base in inspect.getmro(value) if "identirep" in base.__module__]
                if inspect.isclass(value)
                else []
            )
            for method, member in (item for base in bases for item in vars(base).items()):
                if not method.startswith("_") and isinstance(member, _METHOD_TYPES):
                    checks[f"{path}.{method}"] = _CHECKS
    return checks


_CHECKS_OF = _documented_objects()


@pytest.mark.parametrize("name", _CHECKS_OF)
def test_numpydoc(name):
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in _CHECKS_OF[name]]
    assert not errors, f"{name}\n" + "\n".join(errors)


def test_public_objects_are_found():
    assert _CHECKS_OF["identirep.datasets.synthetic.make_linear_tasks"] == _CHECKS_OF_CALLED
    assert _CHECKS_OF["identirep.moments.TaskMoments.from_arrays"] == _CHECKS
    assert _CHECKS_OF["identirep.mtlcm.estimator.MTLCM.get_feature_names_out"] == _CHECKS


@pytest.mark.parametrize("module", _modules(), ids=lambda module: module.__name__)
def test_examples(module):
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples failed, see the output"
