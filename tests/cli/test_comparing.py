"""The command that compares runs axis by axis."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from sklearn.linear_model import LinearRegression

from identirep import MTRN, IdentifiableRegressor
from identirep.cli.drifting import read_targets

_NAMES = [f"x{i}" for i in range(5)]


def _table(X):
    return pa.table(list(X.T), names=_NAMES[: X.shape[1]])


def _fit(X, inputs, D=3):
    y = np.repeat(X[:, inputs], 4, axis=1) + 0.3 * np.random.default_rng(1).normal(size=(len(X), 4 * len(inputs)))
    model = IdentifiableRegressor(D, regressor=LinearRegression(), n_checks=0, random_state=0)
    return model.fit(_table(X), y, [f"{i}_{t}" for i in inputs for t in range(4)])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs on disjoint rows: the same, one with another axis in the place of one, one with other inputs."""
    folder = tmp_path_factory.mktemp("compare")
    X = np.random.default_rng(0).normal(size=(700, 5))
    csv.write_csv(_table(X), folder / "data.csv")
    csv.write_csv(_table(X).drop(["x4"]), folder / "lacks.csv")
    csv.write_csv(_table(X[:20]), folder / "short.csv")
    _fit(X[:200], [0, 1, 2]).name_latents({0: "density", 1: "price", 2: "heat"}).save(folder / "old")
    _fit(X[200:400], [2, 0, 1]).save(folder / "same")
    _fit(X[200:400], [0, 1, 3]).save(folder / "other")
    _fit(X[:200], [0, 1, 2]).save(folder / "unnamed")
    model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0)
    Y = np.repeat(X[:200, :2], 3, axis=1) + 0.3 * np.random.default_rng(1).normal(size=(200, 6))
    model.fit(pa.table(list(X[:200].T), names=list("abcde")), Y).save(folder / "strange")
    model.fit(X[:200], Y).save(folder / "matrix")
    return folder


def test_axes_that_are_kept(invoke, place, tmp_path):
    result = invoke("compare", place / "old", place / "same", place / "data.csv", "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "3 of 3 axes are kept." in result.stdout
    assert "Measured on 300 rows that neither was trained on." in result.stdout
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "3 of 3 axes are kept." in page
    assert all(f'<th scope="row">{name}</th>' in page for name in ("density", "price", "heat"))
    assert "http" not in page
    assert len(page) < 25_000


def test_a_named_axis_that_is_lost_ends_in_status_3(invoke, place, tmp_path):
    old = IdentifiableRegressor.load(place / "old")
    runs = (place / "old", place / "same", place / "other", place / "data.csv")
    result = invoke("compare", *runs, "--out", tmp_path / "page.html")
    assert result.exit_code == 3, result.output
    # The one that the third input moves.
    moved = np.abs(old.transform(_probe(2)) - old.transform(_probe()))[0]
    lost = old.latent_names_[int(moved.argmax())]
    assert f"Named axes that are not kept: {lost}." in result.stdout
    assert "2 of 3 axes are kept, 1 lost, 1 new." in result.stdout
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<section") == 4, "data, two runs, words"
    # Without names there is nothing to be lost.
    assert invoke("compare", place / "unnamed", place / "other", place / "data.csv").exit_code == 0


def _probe(k=None):
    row = np.zeros((1, 5))
    if k is not None:
        row[0, k] = 1.0
    return _table(row)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old"], "OLD NEW DATA is not complete: got 1 of them"),
        (["old", "same", "lacks.csv"], "lacks.csv lacks 1 of the 5 inputs of the model: got no column 'x4'"),
        (["old", "same", "short.csv"], "too few rows to compare 3 axes with 3: got 20, expected at least 30"),
        (["old", "strange", "data.csv"], "old and new have no input in common: got 'x0'"),
        (["old", "matrix", "data.csv"], "has no names of its inputs"),
        (["old", "nothing", "data.csv"], "nothing' is not a run directory"),
        (["old", "same", "nothing.csv"], "nothing.csv"),
        (["old", "same", "data.csv", "--out", "page.txt"], "--out has an unknown format: got 'page.txt'"),
        (["old", "same", "data.csv", "--out", "no/page.html"], "--out has no directory"),
    ],
)
def test_bad_input_ends_in_one_line(invoke, place, arguments, message):
    before = sorted(path.name for path in place.iterdir())
    result = invoke("compare", *(place / text if text != "--out" else text for text in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_run_of_another_version(invoke, place, tmp_path):
    shutil.copytree(place / "same", tmp_path / "newer")
    path = tmp_path / "newer" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"format_version": 99}))
    result = invoke("compare", place / "old", tmp_path / "newer", place / "data.csv")
    assert result.exit_code == 2
    assert "has a newer format: got version 99" in result.stderr


@pytest.fixture(scope="module")
def tables(place):
    """Two tables of targets on the same inputs, disjoint rows, and a run on the first with names."""
    X = np.random.default_rng(3).normal(size=(500, 5))
    y = np.repeat(X[:, :3], 4, axis=1) + 0.3 * np.random.default_rng(1).normal(size=(500, 12))
    whole = {name: X[:, i] for i, name in enumerate(_NAMES)} | {f"y_{t}": y[:, t] for t in range(12)}
    csv.write_csv(pa.table(whole).slice(0, 250), place / "march.csv")
    csv.write_csv(pa.table(whole).slice(250), place / "april.csv")
    csv.write_csv(pa.table(whole), place / "both.csv")
    csv.write_csv(pa.table(whole).slice(250).drop(["x4"]), place / "april_lacks.csv")
    return place


_FIT = ("--targets", "y_*", "--regressor", "ridge", "--checks", 0)


@pytest.fixture(scope="module")
def march(invoke, tables):
    result = invoke("fit", tables / "march.csv", *_FIT, "-d", 3, "--out", tables / "march", "--seed", 1)
    assert result.exit_code == 0, result.output
    assert invoke("name", tables / "march", "0=density", "1=price", "2=heat").exit_code == 0
    return tables / "march"


def test_a_fit_keeps_the_axes_of_an_earlier_run(invoke, tables, march):
    result = invoke("fit", tables / "april.csv", *_FIT, "--like", march, "--out", tables / "april", "--seed", 2)
    assert result.exit_code == 0, result.output
    assert f"3 of 3 axes of {march} come back: density " in result.stdout
    assert "Correlations on 200 rows that neither was trained on." in result.stdout
    assert IdentifiableRegressor.load(tables / "april").latent_names_ == ("density", "price", "heat")
    result = invoke("compare", march, tables / "april", tables / "both.csv")
    assert result.exit_code == 0, result.output
    # 50 rows of either table were held out from its run.
    assert "Measured on 100 rows that neither was trained on." in result.stdout


@pytest.mark.parametrize(
    ("table", "like", "message"),
    [
        ("april.csv", "nothing", "nothing' is not a run directory"),
        ("april.csv", "matrix", "has no names of its inputs"),
        ("april_lacks.csv", "march", "X lacks 1 of the 5 inputs of the earlier model: got no column 'x4'"),
        ("april.csv", "strange", "X lacks 5 of the 5 inputs of the earlier model"),
    ],
)
def test_runs_whose_axes_cannot_be_kept(invoke, tables, march, table, like, message):
    result = invoke("fit", tables / table, *_FIT, "--like", tables / like, "--out", tables / "none")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not (tables / "none").exists()


def test_a_run_is_checked_for_moves(invoke, tables, march, tmp_path):
    result = invoke("compare", march, tables / "april.csv")
    assert result.exit_code == 0, result.output
    assert "No axes have moved: 250 rows; false alarms at a rate of 0.05." in result.stdout
    assert "No targets have moved" in result.stdout
    moved = csv.read_csv(tables / "april.csv").to_pandas()
    moved["x0"] += 1.5
    moved["y_0"] += 1.5
    moved.loc[3, "x4"] = 99.0
    csv.write_csv(pa.Table.from_pandas(moved, preserve_index=False), tmp_path / "moved.csv")
    result = invoke("compare", march, tmp_path / "moved.csv", "--level", 0.01)
    assert result.exit_code == 3, result.output
    assert "1 of 3 axes have moved: 250 rows; false alarms at a rate of 0.01." in result.stdout
    assert "1 of 12 targets have moved" in result.stdout
    assert "4 (x4)" in result.stdout
    result = invoke("transform", march, tmp_path / "moved.csv", "--out", tmp_path / "z.csv", "--check")
    assert result.exit_code == 3, result.output
    assert "1 of 3 axes have moved" in result.stdout
    assert "1 of 12 targets have moved" in result.stdout
    assert csv.read_csv(tmp_path / "z.csv").num_rows == 250
    result = invoke("transform", march, tables / "april.csv", "--out", tmp_path / "z.csv", "--check")
    assert result.exit_code == 0, result.output
    assert "have moved" not in invoke("transform", march, tmp_path / "moved.csv", "--out", tmp_path / "z.csv").stdout


def test_targets_are_read_for_a_check_as_the_fit_read_them(invoke, tables, tmp_path):
    fitted = invoke("fit", tables / "march.csv", *_FIT, "-d", 3, "--missing=-9999,?", "--out", tmp_path / "run")
    assert fitted.exit_code == 0, fitted.output
    new = csv.read_csv(tables / "april.csv").to_pandas().astype({"y_1": object})
    new.loc[::5, "y_0"], new.loc[::5, "y_1"] = -9999.0, "?"
    new.to_csv(tmp_path / "new.csv", index=False)
    result = invoke("compare", tmp_path / "run", tmp_path / "new.csv")
    assert result.exit_code == 0, result.output
    assert "No targets have moved" in result.stdout


def test_labels_of_tasks_are_no_columns_to_check(tmp_path):
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(300, 2)), np.repeat(np.arange(5), 60)
    model = IdentifiableRegressor(1, regressor=MTRN(1, n_replicates=1, max_epochs=2), n_checks=0, random_state=0)
    model.fit(pa.table({"x0": X[:, 0], "x1": X[:, 1]}), X[:, 0], [f"task {t}" for t in tasks])
    (tmp_path / "t.csv").write_text("x0,x1,task 0\n1,2,a text\n")
    reading = dict.fromkeys(("missing", "separator", "decimal", "sheet"))
    assert read_targets(model, tmp_path / "t.csv", reading, None, None) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "march", "april_lacks.csv"], "lacks 1 of the 5 inputs of the model: got no column 'x4'"),
        (["compare", "march", "short.csv"], "X has too few rows"),
        (["compare", "march", "both.csv", "--level", "2"], "level"),
        (["compare", "march", "both.csv", "--out", "page.html"], "--out is the page of a comparison: got one run"),
        (["compare", "old", "same", "data.csv", "--level", "0.1"], "--level is for a check of one run: got 2"),
        (["compare", "old", "same", "data.csv", "--groups", "-1"], "--groups is for a check of one run: got 2"),
        (["compare", "march", "both.csv", "--tasks", "-1"], "--targets and --tasks go together: got one of them"),
        (["compare", "march", "both.csv", "--groups", "-1"], "--groups matches no column: got '-1', expected a column"),
        (
            ["transform", "march", "both.csv", "--out", "z.csv", "--level", "0.1"],
            "--level is for a check: got no",
        ),
        (["transform", "march", "short.csv", "--out", "z.csv", "--check"], "X has too few rows"),
        (["transform", "march", "both.csv", "--out", "z.csv", "--groups", "x"], "--groups is for a check: got no"),
        (
            ["transform", "march", "both.csv", "--out", "z.csv", "--check", "--tasks", "x"],
            "--targets and --tasks go together: got one",
        ),
        (
            ["transform", "march", "april.csv", "--out", "z.csv", "--check", "--groups", "7"],
            "--groups matches no column: got '7'",
        ),
    ],
)
def test_bad_input_of_checks(invoke, tables, march, tmp_path, arguments, message):
    command, *rest = arguments
    if "short.csv" in rest:
        table = csv.read_csv(tables / "april.csv").slice(0, 10)
        csv.write_csv(table, tmp_path / "short.csv")
    paths = [tmp_path / text if text in ("short.csv", "z.csv") else tables / text for text in rest]
    given = [
        text if text.startswith("-") or text[0].isdigit() else path for text, path in zip(rest, paths, strict=True)
    ]
    result = invoke(command, *given)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not (tmp_path / "z.csv").exists()


def test_targets_of_the_long_layout_and_groups_are_checked(invoke, tmp_path):
    rng = np.random.default_rng(0)
    X, tasks = rng.normal(size=(800, 3)), np.arange(800) % 8
    y = X[np.arange(800), tasks % 2] + 0.3 * rng.normal(size=800)
    for name, rows in {"first": slice(400), "second": slice(400, 800)}.items():
        moved = np.where((tasks == 5) & (name == "second"), y + 2.0, y)
        columns = {f"x{i}": X[rows, i] for i in range(3)} | {"y": moved[rows], "assay": tasks[rows]}
        csv.write_csv(pa.table(columns | {"plate": np.arange(400) // 2}), tmp_path / f"{name}.csv")
    long = ("--targets", "y", "--tasks", "assay")
    settings = ("--epochs", 20, "--replicates", 1, "--checks", 0, "-d", 2, "--drop", "plate", "--held-out", 0)
    result = invoke("fit", tmp_path / "first.csv", *long, *settings, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    result = invoke("compare", tmp_path / "run", tmp_path / "second.csv", *long, "--json")
    assert result.exit_code == 0, result.output
    drift = json.loads(result.stdout)["drift"]
    assert [target["name"] for target in drift["targets"] if target["moved"]] == ["5"]
    assert (len(drift["targets"]), drift["n_tested"]) == (8, 400)
    result = invoke("compare", tmp_path / "run", tmp_path / "second.csv", "--groups", "plate", "--json")
    assert json.loads(result.stdout)["drift"]["n_tested"] == 200
    assert json.loads(result.stdout)["drift"]["targets"] == []
    arguments = (tmp_path / "run", tmp_path / "second.csv", "--out", tmp_path / "z.csv", "--check", "--json")
    result = invoke("transform", *arguments, *long, "--groups", "plate")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["drift"]
    assert [target["name"] for target in found["targets"] if target["moved"]] == ["5"]
    assert (len(found["targets"]), found["n_tested"]) == (8, 200)


def test_targets_that_are_not_known_yet_are_no_obstacle_to_a_check(invoke, tables, march, tmp_path):
    new = csv.read_csv(tables / "april.csv").to_pandas()
    new["y_0"], new["y_1"] = np.nan, new["y_1"].where(new.index % 2 == 0)
    new.to_csv(tmp_path / "new.csv", index=False)
    result = invoke("transform", march, tmp_path / "new.csv", "--out", tmp_path / "z.csv", "--check", "--json")
    assert result.exit_code == 0, result.output
    names = [target["name"] for target in json.loads(result.stdout)["drift"]["targets"]]
    assert names == [f"y_{t}" for t in range(1, 12)]


@pytest.fixture(scope="module")
def mixed(place):
    """Tables as people have them, in two formats: a text, gaps, decimal commas, and axes of two inputs."""
    rng = np.random.default_rng(8)
    n = 600
    grade, x = rng.choice(["fine", "raw", "01"], n), rng.normal(size=n)
    gappy = np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    axes = np.column_stack([x, 2.0 * (grade == "fine")])
    y = np.repeat(axes, 4, axis=1) + 0.3 * rng.normal(size=(n, 8))
    names = ["x", "gappy", *(f"y_{t}" for t in range(8))]
    lines = [";".join(["grade", *names])]
    for row, name in zip(np.column_stack([x, gappy, y]), grade, strict=True):
        lines.append(";".join([name, *("?" if value != value else f"{value:.6f}".replace(".", ",") for value in row)]))
    for part, rows in {"first": slice(1, 251), "second": slice(251, 501), "all": slice(1, None)}.items():
        (place / f"{part}.txt").write_text("\n".join([lines[0], *lines[rows]]))
    return place


def test_tables_as_people_have_them_go_through_all_commands(invoke, mixed, tmp_path):
    reading = ("--missing", "?", "--separator", "semicolon", "--decimal", ",")
    first, second = tmp_path / "first", tmp_path / "second"
    assert invoke("fit", mixed / "first.txt", *_FIT, *reading, "-d", 2, "--out", first).exit_code == 0
    named = invoke("name", first, "0=one", "1=two", "--json")
    assert json.loads(named.stdout)["written"] == [str(first)]
    result = invoke("fit", mixed / "second.txt", *_FIT, *reading, "--like", first, "--out", second, "--json")
    assert result.exit_code == 0, result.output
    like = json.loads(result.stdout)["like"]
    assert [axis["verdict"] for axis in like["axes"]] == ["kept", "kept"]
    assert IdentifiableRegressor.load(second).latent_names_ == ("one", "two")
    result = invoke("compare", first, second, mixed / "all.txt", *reading, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["runs"][0]["unseen"]
    result = invoke("compare", first, mixed / "second.txt", *reading, "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["drift"]["targets"]) == 8
    result = invoke("describe", first, mixed / "all.txt", *reading, "--labels", "grade", "--json")
    assert result.exit_code == 0, result.output
    best = [latent["inputs"][0]["input"] for latent in json.loads(result.stdout)["latents"]]
    assert sorted(best) == ["grade", "x"]
    # The labels are as they are written.
    labels = {row["label"] for latent in json.loads(result.stdout)["latents"] for row in latent["lowest"]}
    assert labels <= {"fine", "raw", "01"}
    out = tmp_path / "z.csv"
    result = invoke("transform", first, mixed / "second.txt", *reading, "--check", "--keep", "grade", "--out", out)
    assert result.exit_code == 0, result.output
    assert csv.read_csv(out).column_names == ["grade", "one", "two"]


def test_failed_checks_are_whole_documents(invoke, place, tables, march, tmp_path):
    result = invoke("compare", place / "old", place / "other", place / "data.csv", "--json", "--quiet")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["exit_status"], len(document["lost_names"]), result.stderr) == (3, 3, 1, "")
    moved = csv.read_csv(tables / "april.csv").to_pandas()
    moved["x0"] += 1.5
    csv.write_csv(pa.Table.from_pandas(moved, preserve_index=False), tmp_path / "moved.csv")
    out = tmp_path / "z.csv"
    result = invoke("transform", march, tmp_path / "moved.csv", "--out", out, "--check", "--json", "--quiet")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["drift"]["moved"], document["written"]) == (3, True, [str(out)])


def test_quiet_commands_say_nothing(invoke, place, march, tables):
    calls = [
        ("compare", place / "old", place / "same", place / "data.csv"),
        ("compare", march, tables / "april.csv"),
        ("name", march),
        ("describe", march, tables / "april.csv"),
        ("fit", tables / "april.csv", *_FIT, "--like", march, "--out", tables / "quiet"),
    ]
    for call in calls:
        result = invoke(*call, "--quiet")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", ""), call


def test_a_fit_that_was_cut_off_goes_on_with_the_axes_of_the_earlier_run(invoke, tables, march, tmp_path, monkeypatch):
    call = ("fit", tables / "april.csv", *_FIT, "--out", tmp_path / "run", "--seed", 2)

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(IdentifiableRegressor, "_align_like", cut)
        result = invoke(*call, "--like", march)
        assert result.exit_code == 130, result.output
        assert "the work is kept" in result.stderr
    result = invoke(*call, "--like", tables / "old", "--resume")
    assert result.exit_code == 2
    assert f"got --like {tables / 'old'} (in the checkpoint {march})" in result.stderr
    result = invoke(*call, "--like", march, "--resume")
    assert result.exit_code == 0, result.output
    assert IdentifiableRegressor.load(tmp_path / "run").latent_names_ == ("density", "price", "heat")
