"""Kinds of targets on the command line: texts of two values, options, and what is said."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from identirep import IdentifiableRegressor
from identirep.cli.drifting import read_targets
from identirep.cli.options import parse_target_type
from identirep.cli.remarks import kinds_of_table
from identirep.cli.tables import read_table
from identirep.evaluation import Evaluation, score_binary

_READING = {"missing": None, "separator": None, "decimal": None, "sheet": None}


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["a,b,tox,act,flag,score"]
    for i in range(60):
        tox = ["yes", "no", "Yes", ""][i % 4]
        lines.append(
            f"{rng.normal():.3f},{rng.normal():.3f},{tox},{['active', 'inactive'][i % 2]},{i % 3 == 0},{i / 7:.3f}"
        )
    table = tmp_path / "t.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_texts_of_two_values_are_targets(path):
    table = read_table(path, ["tox,act,flag,score"])
    np.testing.assert_array_equal(table.targets[:4, 0], [1.0, 0.0, 1.0, np.nan])
    np.testing.assert_array_equal(table.targets[:2, 1], [1.0, 0.0])
    np.testing.assert_array_equal(table.targets[:2, 2], [1.0, 0.0])
    assert "Target 'tox': 1 stands for 'yes', 0 for 'no'." in table.read_as
    assert "Target 'act': 1 stands for 'active', 0 for 'inactive'." in table.read_as
    assert kinds_of_table(table) == ("binary", "binary", "binary", "continuous")


def test_texts_of_two_values_are_targets_of_tasks(path):
    path.write_text("x,y,t\n" + "".join(f"{i * i % 7},{['good', 'bad'][i % 2]},{i % 3}\n" for i in range(30)))
    table = read_table(path, ["y"], tasks="t")
    # No word says so: the last one of the alphabet is 1.
    np.testing.assert_array_equal(table.targets[:2], [1.0, 0.0])
    assert sorted(set(table.tasks)) == [0, 1, 2]
    assert kinds_of_table(table) == ("binary",) * 3


def test_texts_of_three_values_are_refused(path):
    text = path.read_text().replace("inactive", "unclear", 1)
    path.write_text(text)
    with pytest.raises(ValueError, match="column 'act' is not numeric"):
        read_table(path, ["act"])
    with pytest.raises(ValueError, match="column 'act' is not numeric"):
        read_table(path, ["tox,act"])


def test_the_option_names_kinds():
    names = ["a", "b=c", 3]
    assert parse_target_type(None, names) == "auto"
    assert parse_target_type(["binary"], names) == "binary"
    assert parse_target_type(["b=c=count", "3=binary"], names) == {"b=c": "count", 3: "binary"}
    every = parse_target_type(["continuous", "a=binary"], names)
    assert every == {"a": "binary", "b=c": "continuous", 3: "continuous"}
    assert parse_target_type(["continuous", "a=auto"], names) == {"b=c": "continuous", 3: "continuous"}
    for wrong, match in ((["logistic"], "is not valid: got 'logistic'"), (["z=binary"], "names no target: got 'z'")):
        with pytest.raises(ValueError, match=match):
            parse_target_type(wrong, names)


class _Known:
    """Predicts what it is given."""

    target_kinds_ = ("binary", "continuous")
    task_names_ = ("a", "b")
    _levels = np.array([[0.0, 1.0], [np.nan, np.nan]])
    n_features_in_ = 2

    def predict(self, X):
        return np.asarray(X)


def test_scores_of_binary_targets(monkeypatch, tmp_path):
    p = np.array([0.1, 0.4, 0.35, 0.8])
    data = SimpleNamespace(targets=np.column_stack([[0.0, 0.0, 1.0, 1.0], p]), task_index=None, n_tasks=2)
    predicted = np.column_stack([p, p])
    monkeypatch.setattr("identirep.evaluation._predicted", lambda *_: (data, predicted, None))
    auc, deviance = score_binary(_Known(), None, None)
    assert auc[0] == 0.75
    assert np.isnan([auc[1], deviance[1]]).all()
    loss = -np.log([0.9, 0.6, 0.35, 0.8]).mean()
    np.testing.assert_allclose(deviance[0], 1 - loss / np.log(2))
    scores = {"kinds": ("binary", "continuous"), "auc": auc, "deviance_explained": deviance}
    Evaluation("t", 4, 4, None, np.zeros(2), **scores).save(tmp_path / "e.json")
    loaded = Evaluation.load(tmp_path / "e.json")
    np.testing.assert_array_equal(loaded.auc, auc)
    assert loaded.kinds == ("binary", "continuous")
    document = json.loads((tmp_path / "e.json").read_text())
    for name in ("kinds", "auc", "deviance_explained"):
        del document[name]
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert Evaluation.load(tmp_path / "old.json").auc is None


def _worded(path, words):
    rng = np.random.default_rng(0)
    lines = ["a,b,y_0,y_1,y_2"]
    for _ in range(80):
        a, b = rng.normal(size=2)
        lines.append(f"{a:.4f},{b:.4f},{a - b:.4f},{words[int(a + b > 0)]},{a + 2 * b:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def worded(invoke, tmp_path_factory):
    """A run whose target has two words of which none says what it means: 'pale' is 1, last in the alphabet."""
    folder = tmp_path_factory.mktemp("words")
    table = _worded(folder / "t.csv", ["pale", "dark"])
    result = invoke("fit", table, "--targets", "y_*", "--out", folder / "run", "--regressor", "ridge", "--checks", 0)
    assert result.exit_code in (0, 3), result.output
    return folder / "run", table


def test_a_run_keeps_the_words_of_its_targets(invoke, worded, tmp_path):
    run, table = worded
    model = IdentifiableRegressor.load(run)
    assert model.target_words_ == {"y_1": ("dark", "pale")}
    first = read_targets(model, table, _READING, None, None)
    assert set(first.y[:, 1]) == {0.0, 1.0}
    # In another spelling, and in rows that have one of the words alone.
    other = read_targets(model, _worded(tmp_path / "a.csv", ["Pale", "DARK"]), _READING, None, None)
    np.testing.assert_array_equal(other.y, first.y)
    alone = read_targets(model, _worded(tmp_path / "b.csv", ["dark", "dark"]), _READING, None, None)
    assert set(alone.y[:, 1]) == {0.0}
    for words in (["dark", "light"], ["yes", "no"]):
        with pytest.raises(ValueError, match="column 'y_1' is not numeric"):
            read_targets(model, _worded(tmp_path / "c.csv", words), _READING, None, None)
    result = invoke("predict", run, table, "--out", tmp_path / "p.csv")
    assert "Predictions of 'y_1': 1 stands for 'pale', 0 for 'dark'." in " ".join(result.output.split())


@pytest.mark.parametrize("stored", [{"y_1": ["a"]}, {"y_1": ["a", 1]}, {"y_1": ["a", "A"]}, {"y_1": 3}, [1]])
def test_words_that_are_no_pairs_are_damage(worded, tmp_path, stored):
    shutil.copytree(worded[0], tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_text())
    assert document["parts"]["model"]["meta"]["target_words"] == {"y_1": ["dark", "pale"]}
    document["parts"]["model"]["meta"]["target_words"] = stored
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="is damaged"):
        IdentifiableRegressor.load(tmp_path / "run")


def test_runs_of_features_have_no_words(path):
    own = SimpleNamespace(_has_own_rows=False)
    model = SimpleNamespace(task_names_=("act", "score"), feature_names_in_=("a", "b"), moments_=own)
    found = read_targets(model, path, _READING, None, None)
    np.testing.assert_array_equal(found.y[:2, 0], [1.0, 0.0])
