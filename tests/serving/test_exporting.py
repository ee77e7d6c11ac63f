"""Exported graphs give what the model gives, whatever the origin of the inputs, and say what is what."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.serving import Affine, Graph, ServedModel

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
JULIAN = 2.45e6


class Convolution(torch.nn.Module):
    """Samples with two axes, to features."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 2), torch.nn.BatchNorm1d(4), torch.nn.Tanh())
        self.last = torch.nn.Linear(16, 6)

    def forward(self, x):
        return self.last(self.layers(x).flatten(1))


class Branching(torch.nn.Module):
    """A module that is no graph: what it does depends on values."""

    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(5, 4)

    def forward(self, x):
        return self.last(x if float(x.sum()) > 0 else -x)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5)) * [1.0, 1e-3, 1e4, 1.0, 1.0] + [JULIAN, 0.0, 0.0, -7.0, 0.0]
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    Y = Z @ rng.normal(size=(5, 8)) + 0.1 * rng.normal(size=(300, 8))
    Y[:, 0] = 1e7 + 1e-3 * Y[:, 0]
    return X, Y


def _two_stages(rows, regressor, X=None):
    model = IdentifiableRegressor(2, regressor=regressor, n_checks=0, random_state=0)
    return model.fit(rows[0] if X is None else X, rows[1])


def _with_binary(rows):
    X, Y = rows[0], rows[1].copy()
    Y[:, 2:5] = 3.0 + 4.0 * (Y[:, 2:5] > 0)
    return X, Y


def _network(rows, **settings):
    return _two_stages(rows, MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=5, **settings))


MODELS = {
    "network": lambda rows: (_network(rows), rows[0]),
    "ridge": lambda rows: (_two_stages(rows, "ridge"), rows[0]),
    "linear": lambda rows: (_two_stages(rows, LinearRegression()), rows[0]),
    "scaled": lambda rows: (
        _two_stages(rows, PredictiveFeatures(make_pipeline(StandardScaler(with_std=False), LinearRegression()))),
        rows[0],
    ),
    "stage two": lambda rows: (MTLCM(random_state=0).fit(*rows), rows[0]),
    "own encoder": lambda rows: _own(rows),
    "binary targets": lambda rows: (_two_stages(_with_binary(rows), "ridge"), rows[0]),
    "binary targets of stage two": lambda rows: (MTLCM(random_state=0).fit(*_with_binary(rows)), rows[0]),
}


def _own(rows):
    X = ((rows[0] - rows[0].mean(axis=0)) / rows[0].std(axis=0))[:, None, :]
    return _two_stages(rows, MTRN(encoder=Convolution(), n_replicates=2, max_epochs=2), X), X


def _onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = ["latents", "predictions"]
    about = json.loads(session.get_modelmeta().custom_metadata_map["identirep"])
    return lambda X: session.run(names, {"inputs": X}), about


def _pt2(path):
    extra = {"identirep.json": ""}
    module = torch.export.load(path, extra_files=extra).module()
    return lambda X: [value.numpy() for value in module(torch.from_numpy(X)).values()], json.loads(
        extra["identirep.json"]
    )


def _check(model, X, run):
    Z, Y = model.transform(X), model.predict(X)
    for some in (slice(None), slice(0, 1), slice(3, 10), slice(0, 0)):
        latents, predictions = run(X[some])
        assert latents.dtype == predictions.dtype == np.float64
        np.testing.assert_allclose((latents - Z[some]) / Z.std(axis=0), 0.0, atol=1e-5)
        np.testing.assert_allclose((predictions - Y[some]) / Y.std(axis=0), 0.0, atol=1e-5)
    bad = X[:4].copy()
    bad.reshape(4, -1)[[0, 1], [0, 1]] = np.nan, -np.inf
    latents, predictions = run(bad)
    assert np.isnan(latents[:2]).all()
    assert np.isnan(predictions[:2]).all()
    np.testing.assert_allclose(latents[2:], Z[2:4], atol=1e-5)


# The network is on the page as well.
_FAST = ("own encoder", "ridge", "stage two", "binary targets")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in _FAST else pytest.mark.slow) for kind in MODELS]
)
def test_torch_gives_what_the_model_gives(kind, rows, tmp_path):
    model, X = MODELS[kind](rows)
    run, about = _pt2(model.export(tmp_path / "model.pt2"))
    _check(model, X, run)
    assert about["targets"] == [str(t) for t in range(8)]
    assert [axis["verdict"] for axis in about["latents"]] == list(model.certificate_.verdict)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(MODELS))
def test_onnx_gives_what_the_model_gives(kind, rows, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    model, X = MODELS[kind](rows)
    run, about = _onnx(model.export(tmp_path / "model.onnx"))
    _check(model, X, run)
    assert about["latents"][0]["name"] == "latent_0"


@pytest.mark.slow
def test_python_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line]) <= 15
    names: dict = {}
    exec(block, names)
    _check(names["model"], names["X"], lambda X: names["session"].run(None, {"inputs": X}))
    assert [axis["name"] for axis in names["about"]["latents"]] == ["drift", "latent_1"]
    (inputs,) = names["session"].get_inputs()
    assert (inputs.shape, inputs.type) == (["rows", 5], "tensor(double)")


def test_columns_of_a_table_are_named(tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"size": rng.normal(size=300), "day": JULIAN + rng.normal(size=300)})
    table["colour"] = np.array(["red", "blue", "green"])[rng.integers(3, size=300)]
    Y = np.c_[table["size"], table["day"] - JULIAN, table["colour"] == "red"] @ rng.normal(size=(3, 10))
    model = _network((table, Y + 0.1 * rng.normal(size=Y.shape)))
    run, about = _pt2(model.export(tmp_path / "model.pt2"))
    assert about["encoded_table"]
    assert about["inputs"] == list(model.table_encoder_.get_feature_names_out())
    assert "colour=red" in about["inputs"]
    np.testing.assert_allclose(run(model.table_encoder_.transform(table))[0], model.transform(table), atol=1e-5)


def test_to_torch_can_be_exported(rows):
    X, model = torch.from_numpy(rows[0]), _network(rows)
    program = torch.export.export(model.to_torch(), (X[:3],), dynamic_shapes=({0: torch.export.Dim("rows")},))
    np.testing.assert_allclose(program.module()(X).detach(), model.transform(rows[0]), atol=1e-5)


def test_what_is_no_graph_is_said(rows, tmp_path):
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import RANSACRegressor

    path = tmp_path / "model.pt2"
    for regressor in (RandomForestRegressor(5, random_state=0), make_pipeline(RANSACRegressor())):
        with pytest.raises(TypeError, match=r"regressor has no graph: got .*, expected an MTRN or linear regression"):
            _two_stages(rows, regressor).export(path)
    own = _two_stages(rows, MTRN(encoder=Branching(), n_replicates=1, max_epochs=1), rows[0] - rows[0].mean(axis=0))
    with pytest.raises(ValueError, match=r"encoder is not a graph: got .*, expected a module for any number of rows"):
        own.export(path)
    with pytest.raises(ValueError, match=r"path has an unknown format: got 'model.pb', expected a name that ends in "):
        own.export(tmp_path / "model.pb")
    rng = np.random.default_rng(2)
    noise = IdentifiableRegressor(regressor="ridge", n_checks=0, random_state=0)
    noise.fit(rng.normal(size=(300, 5)), rng.normal(size=(300, 8)))
    with pytest.raises(ValueError, match="the model has no latents: got targets without signal"):
        noise.export(path)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(rows, tmp_path, monkeypatch):
    model = MTLCM(random_state=0).fit(*rows)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"not installed: got no onnx, .* pip install 'identirep\[onnx\]'"):
        model.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_differs_is_refused():
    from identirep.serving.writing import _compare

    rng = np.random.default_rng(3)
    served = ServedModel(torch.nn.Identity(), Affine(np.zeros(2), np.eye(2)), Affine(np.ones(2), np.eye(2), 1e6))
    graph = Graph(served, rng.normal(size=(4, 2)), (np.ones(2), np.full(2, 1e-3)))
    found = served.of(graph.rows)
    _compare(graph, found)
    with pytest.raises(RuntimeError, match=r"does not give the predictions of the model: got .* standard deviations"):
        _compare(graph, {**found, "predictions": found["predictions"] + 1e-7})
