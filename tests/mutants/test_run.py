"""The mutants are up to date, and the script that runs them tells what is caught from what is not."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("run_mutants", Path(__file__).with_name("run.py"))
run = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = run
_SPEC.loader.exec_module(run)


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))
def test_mutant_is_up_to_date(name):
    mutant = run.read_mutant(Path(__file__).with_name(f"{name}.toml"))
    compile(run.apply(mutant, run.ROOT), mutant.file, "exec")
    arguments = shlex.split(mutant.tests)
    named = [argument for argument in arguments if argument.startswith("tests/")]
    assert named, "tests name no file"
    chosen = re.findall(r"\w+", arguments[arguments.index("-k") + 1]) if "-k" in arguments else []
    tests = [
        name
        for file in named
        for name in re.findall(r"def (test_\w+)", (run.ROOT / file.partition("::")[0]).read_text())
    ]
    for word in set(chosen) - {"and", "or", "not"}:
        assert any(word in test for test in tests), f"no test has {word} in its name"
    for argument in named:
        file, *names = argument.partition("[")[0].split("::")
        assert (run.ROOT / file).exists(), file
        text = (run.ROOT / file).read_text(encoding="utf-8") if names else ""
        for part in names:
            assert re.search(rf"^\s*(def|class) {part}\b", text, re.M), part


@pytest.fixture
def project(tmp_path):
    """A project of one function with a test of one of its two features."""
    texts = {
        "src/little.py": "def clip(x):\n    x = max(x, 0)\n    x = min(x, 1)\n    return x\n",
        "tests/test_little.py": "from little import clip\n\n\ndef test_least():\n    assert clip(-1) == 0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tests" / "mutants").mkdir()
    return tmp_path


def _add(project, name, old, new="", tests="tests/test_little.py"):
    fields = {"feature": name, "file": "src/little.py", "old": old, "new": new, "tests": tests}
    text = "\n".join(f'{key} = """{value}"""' for key, value in fields.items())
    (project / "tests" / "mutants" / f"{name}.toml").write_text(text)


@pytest.mark.slow
def test_each_verdict(project, capsys):
    before = (project / "src" / "little.py").read_text()
    _add(project, "caught", "    x = max(x, 0)\n")
    _add(project, "survived", "    x = min(x, 1)\n")
    _add(project, "absent", "    x = round(x)\n")
    _add(project, "twice", "    x = m")
    _add(project, "same", "return x", "return x")
    _add(project, "untested", "return x", "return 2", tests="tests/test_nothing.py")
    _add(project, "no_python", "return x", "return (")
    assert run.main([], root=project) == 1
    said = dict(re.findall(r"^(\w+): \w+ \.\.\. (\w+)", capsys.readouterr().out, re.M))
    assert said == {
        "caught": "caught",
        "survived": "SURVIVED",
        "absent": "STALE",
        "twice": "STALE",
        "same": "STALE",
        "untested": "BROKEN",
        "no_python": "BROKEN",
    }
    assert (project / "src" / "little.py").read_text() == before
    assert run.main(["caught"], root=project) == 0
    assert run.main(["caught", "survived"], root=project) == 1


def test_failing_tests_catch_nothing(project, capsys):
    (project / "tests" / "test_little.py").write_text("def test_always_fails():\n    assert False\n")
    _add(project, "caught", "    x = max(x, 0)\n")
    assert run.main([], root=project) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_unknown_name_and_fields(project, capsys):
    with pytest.raises(SystemExit):
        run.main(["nothing"], root=project)
    assert "unknown: nothing" in capsys.readouterr().err
    (project / "tests" / "mutants" / "short.toml").write_text('feature = "short"')
    with pytest.raises(ValueError, match=r"short.toml has other fields: got \['feature'\]"):
        run.main([], root=project)
