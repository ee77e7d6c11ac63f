"""Importing the package is fast, loads no heavy dependency, and leads to every public name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import identirep
import identirep.mtlcm

_HEAVY = ["torch", "lightning_fabric", "jinja2", "pyarrow", "matplotlib", "sklearn", "scipy", "typer"]


def test_import_is_light_and_fast():
    script = (
        "import json, sys, time; start = time.perf_counter(); import identirep; "
        f"print(json.dumps([time.perf_counter() - start, [m for m in {_HEAVY} if m in sys.modules]]))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    seconds, loaded = json.loads(output)
    assert loaded == []
    assert seconds < 1.0


def test_stage_two_needs_only_the_scientific_stack():
    script = (
        "import sys, sklearn.utils.validation; before = set(sys.modules); "  # some releases load pyarrow themselves
        "import identirep.datasets, identirep.metrics, identirep.moments, identirep.mtlcm; "
        "print(*{'torch', 'pyarrow', 'matplotlib'}.intersection(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.split() == []


@pytest.mark.parametrize("name", identirep.__all__)
def test_public_names_resolve(name):
    assert getattr(identirep, name) is not None
    assert name in dir(identirep)


def test_the_table_of_symbols_names_files_and_attributes_that_exist():
    room = Path(identirep.mtlcm.__file__).parent
    files = re.findall(r"``((?:\.\./|\w+/)*\w+\.py)``", identirep.mtlcm.__doc__)
    assert len(files) > 15
    assert [name for name in files if not (room / name).is_file()] == []
    modules = [(room / name).read_text(encoding="utf-8") for name in files]
    symbols = re.findall(r"^[\w^]+ +``(\w+)``", identirep.mtlcm.__doc__, flags=re.MULTILINE)
    assert len(symbols) > 7
    assert [symbol for symbol in symbols if not any(symbol in text for text in modules)] == []


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'identirep' has no attribute 'MTLMC'"):
        identirep.MTLMC  # noqa: B018
