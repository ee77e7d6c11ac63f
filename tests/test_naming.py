"""Names of latents: what can be one, where they show, and that they are kept with the model."""

import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, IdentifiableRegressor
from identirep.report import plot_certificate, plot_roles, write_report


def _problem(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 5))
    return X, X[:, :3] @ rng.laplace(size=(3, 8)) + 0.1 * rng.normal(size=(200, 8))


def _regressor():
    return IdentifiableRegressor(3, regressor=LinearRegression(), n_checks=0, random_state=0)


@pytest.fixture(params=[_regressor, MTLCM])
def model(request):
    X, Y = _problem()
    if request.param is MTLCM:
        return MTLCM(random_state=0).fit(X[:, :3], Y, [f"y{t}" for t in range(8)])
    return _regressor().fit(X, Y, [f"y{t}" for t in range(8)])


def _inputs(model):
    return _problem()[0][:, : model.n_features_in_]


def test_names_are_those_of_the_columns(model):
    assert model.latent_names_ == ("latent_0", "latent_1", "latent_2")
    assert model.name_latents({0: "density", np.int64(2): "größe"}) is model
    assert model.latent_names_ == ("density", "latent_1", "größe")
    assert list(model.get_feature_names_out()) == ["density", "latent_1", "größe"]
    assert list(model.set_output(transform="pandas").transform(_inputs(model))) == ["density", "latent_1", "größe"]


def test_names_are_kept_with_the_run(model, tmp_path):
    model.name_latents({0: "density", 2: "größe"}).save(tmp_path / "run")
    loaded = type(model).load(tmp_path / "run")
    assert loaded.latent_names_ == ("density", "latent_1", "größe")
    np.testing.assert_array_equal(loaded.transform(_inputs(model)), model.transform(_inputs(model)))


def test_names_change_one_by_one(model):
    model.name_latents({0: "a", 1: "b"}).name_latents({0: "b", 1: "a"})
    assert model.latent_names_ == ("b", "a", "latent_2")
    assert model.name_latents({0: None}).latent_names_ == ("latent_0", "a", "latent_2")
    assert model.name_latents({1: "latent_1"}).latent_names_ == ("latent_0", "latent_1", "latent_2")


def test_a_name_is_one_text_however_it_was_typed(model):
    model.name_latents({0: "gro\u0308ße"})
    with pytest.raises(ValueError, match="not unique: got 'größe' for latents 0 and 1"):
        model.name_latents({1: "gr\u00f6ße"})


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({3: "a"}, ValueError, "unknown latent: got 3, expected a number from 0 to 2"),
        ({-1: "a"}, ValueError, "unknown latent: got -1"),
        ({1: "density"}, ValueError, "not unique: got 'density' for latents 0 and 1"),
        ({1: "a", 2: "a"}, ValueError, "not unique: got 'a' for latents 1 and 2"),
        ({1: "latent_2"}, ValueError, "not unique: got 'latent_2' for latents 1 and 2"),
        ({1: "z2"}, ValueError, "not unique: got 'z2'"),
        ({1: ""}, ValueError, "not printable for latent 1: got ''"),
        ({1: " a"}, ValueError, "not printable"),
        ({1: "a\nb"}, ValueError, r"not printable for latent 1: got 'a\\nb'"),
        ({1: "a\x1b[2J"}, ValueError, "not printable"),
        ({1: "\u202edcba"}, ValueError, "not printable"),
        ({1: "a\ud800"}, ValueError, "not printable"),
        ({1: "a" * 101}, ValueError, "got 101 characters"),
        ({1: 5}, TypeError, "got int, expected a name"),
        ({"1": "a"}, TypeError, "a key that is no number: got '1'"),
        ({True: "a"}, TypeError, "a key that is no number: got True"),
        (["a"], TypeError, "not a mapping: got list"),
    ],
)
def test_bad_names_change_nothing(model, names, error, message):
    model.name_latents({0: "density"})
    with pytest.raises(error, match=message):
        model.name_latents(names if isinstance(names, list) else {2: "fine", **names})
    assert model.latent_names_ == ("density", "latent_1", "latent_2")


def test_a_new_fit_has_no_names(model):
    model.name_latents({0: "density"})
    model.fit(_inputs(model), _problem()[1])
    assert model.latent_names_ == ("latent_0", "latent_1", "latent_2")


def test_unfitted_models_have_no_names():
    for model in (_regressor(), MTLCM()):
        with pytest.raises(NotFittedError):
            model.name_latents({0: "density"})


def test_without_latents_there_is_nothing_to_name():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="signal"):
        model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(
            rng.normal(size=(200, 3)), rng.normal(size=(200, 8))
        )
    assert model.latent_names_ == ()
    with pytest.raises(ValueError, match="since there are no latents"):
        model.name_latents({0: "density"})


def test_tables_and_graphs_of_roles_have_them(model):
    before = model.structure_.to_table()
    model.name_latents({0: "density", 1: "y0"})
    table = model.structure_.to_table()
    assert set(before["latent"].to_pylist()) == {"z0", "z1", "z2"}
    assert set(table["latent"].to_pylist()) == {"density", "y0", "z2"}
    assert table.drop(["latent"]).equals(before.drop(["latent"]))
    assert set(model.structure_.graph("y1")) == {"density", "y0", "z2", "y1"}
    # A node of its own for a latent with the name of the target.
    assert set(model.structure_.graph("y0")) == {"density", "z1", "z2", "y0"}


def test_reports_and_figures_have_them(model, tmp_path):
    model.name_latents({0: "<b>density</b>", 2: "price $x$"})
    write_report(model, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ">0 &lt;b&gt;density&lt;/b&gt;</h3>" in page
    assert page.count("2 price $x$") >= 2
    labels = [r"0 <b>density</b>", "1", r"2 price \$x\$"]
    assert [label.get_text() for label in plot_roles(model).get_xticklabels()] == labels
    assert [label.get_text() for label in plot_certificate(model).get_xticklabels()] == labels


def test_runs_from_before_there_were_names(model, tmp_path):
    model.save(tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_bytes())
    part = document["parts"]["causal_model" if "causal_model" in document["parts"] else "model"]
    del part["meta"]["latent_names"]
    path.write_text(json.dumps(document))
    assert type(model).load(tmp_path / "run").latent_names_ == ("latent_0", "latent_1", "latent_2")


@pytest.mark.parametrize("names", [{"7": "a"}, {"0": "a", "1": "a"}, {"0": 5}, ["a"], {"0": None}, {"x": "a"}])
def test_damaged_names_are_told(model, tmp_path, names):
    model.save(tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_bytes())
    part = document["parts"]["causal_model" if "causal_model" in document["parts"] else "model"]
    part["meta"]["latent_names"] = names
    path.write_text(json.dumps(document))
    if names == {"0": None}:
        assert type(model).load(tmp_path / "run").latent_names_[0] == "latent_0"
    else:
        with pytest.raises(ValueError, match=r"is damaged: got .*names of latents that are none"):
            type(model).load(tmp_path / "run")
