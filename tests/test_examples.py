"""The examples and the Python blocks of the README run."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from identirep.metrics import MCCResult

ROOT = Path(__file__).parent.parent
ARGUMENTS = {"tags_with_gaps.py": ["--quick"], "two_trainings.py": ["--quick", "--out", "figure.png"]}


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *ARGUMENTS.get(path.name, [])])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()
    if "--out" in ARGUMENTS.get(path.name, []):
        assert (tmp_path / "figure.png").stat().st_size > 10_000


def _match(*correlations):
    return MCCResult(float(np.mean(correlations)), np.array(correlations), np.arange(len(correlations)), np.ones(1))


def test_headline_of_two_trainings_is_that_of_the_run():
    headline = runpy.run_path(str(ROOT / "examples" / "two_trainings.py"), run_name="example")["headline"]
    bad, good = _match(0.97, 0.5, 0.5), _match(0.99, 0.98)
    assert (
        headline(bad, good) == "Trained twice, 1 of 3 features and 2 of 2 latents come back (correlation 0.95 or more)"
    )
    assert headline(good, bad).endswith("in this run latents do no better")


@pytest.mark.slow
def test_readme_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["model"].certificate_.verdict


def test_python_of_the_page_on_engines_runs(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    names: dict = {}
    moments = []
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, names)
        if "moments" in names:
            moments.append(names.pop("moments"))
    files, dask, encoded = moments
    np.testing.assert_allclose(dask.scatter_h, files.scatter_h, rtol=1e-10)
    assert encoded.n_rows == files.n_rows
    assert list(names["model"].certificate_.verdict) == ["identified"] * 4
    assert names["both"].regressor_.moments_.n_rows == files.n_rows
    assert len(list(tmp_path.iterdir())) == 5


def test_readme_commands_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text) + re.findall(r'src="(?!http)([^"]+)"', text)
    assert linked
    for path in linked:
        assert (ROOT / path).exists(), path
