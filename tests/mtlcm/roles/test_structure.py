"""CausalStructure: effect sizes and standard errors, table, graphs."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm import CausalStructure
from identirep.mtlcm.model.likelihood import joint_covariances
from identirep.mtlcm.roles.posterior import causal_posterior
from identirep.mtlcm.roles.sets import correlations
from identirep.mtlcm.roles.structure import causal_structure


@pytest.fixture(scope="module")
def fitted():
    data = make_linear_tasks(n_causal=4, mixing="orthogonal", observation_noise=0.0, random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    return data, model, mcc(data.Z, model.transform(data.H))


def test_roles_and_effects_of_a_fit_are_the_true_ones(fitted):
    data, model, match = fitted
    structure = model.structure_
    assert np.mean((structure.cause[:, match.assignment] > 0.5) == data.causal) > 0.98
    scale = data.Z.std(axis=0) * match.signs
    w = (structure.causal_coef[:, match.assignment] / scale)[data.causal]
    error = (structure.causal_std_error[:, match.assignment])[data.causal]
    score = (w - data.causal_coef[data.causal]) / error
    assert 0.9 < score.std() < 1.1
    assert abs(score.mean()) < 0.15
    effect = ~data.causal
    gamma = (structure.spurious_coef[:, match.assignment] * scale)[effect]
    score = (gamma - data.spurious_coef[effect]) / structure.spurious_std_error[:, match.assignment][effect]
    assert 0.9 < score.std() < 1.1
    assert abs(score.mean()) < 0.15


def test_coefficients_of_the_most_probable_roles_are_those_of_the_model(fitted):
    _, model, _ = fitted
    causal = model.posterior_.best
    np.testing.assert_allclose(model.structure_.causal_coef[causal], model.causal_coef_[causal], rtol=1e-6)
    np.testing.assert_allclose(model.structure_.spurious_coef[~causal], model.spurious_coef_[~causal], rtol=1e-9)


def test_standard_errors_are_the_spread_over_repetitions():
    # The same task drawn again and again: one cause of which w is estimated, one effect, and one unrelated latent.
    rng = np.random.default_rng(0)
    n_tasks, n = 400, 60
    e = rng.normal(size=(n_tasks, n, 3))
    y = 1.5 * e[..., 0] + rng.normal(size=(n_tasks, n))
    Z = np.stack([e[..., 0], 0.7 * y + 0.5 * e[..., 1], e[..., 2]], axis=2).reshape(-1, 3)
    moments = TaskMoments.from_long(Z, y.ravel(), np.repeat(np.arange(n_tasks), n))
    joint = joint_covariances(moments)
    # One cause and one effect are equivalent to the reverse, so that the roles have to be given.
    best = np.tile([True, False, False], (n_tasks, 1))
    posterior = replace(causal_posterior(correlations(joint), moments.n_samples), best=best)
    scale = np.sqrt(np.einsum("tii->ti", joint))
    structure = causal_structure(posterior, correlations(joint), scale, moments.n_samples, moments.task_names)
    for name, latents in (("causal", [0, 2]), ("spurious", [1, 2])):
        coef, error = getattr(structure, f"{name}_coef"), getattr(structure, f"{name}_std_error")
        np.testing.assert_allclose(coef.std(axis=0)[latents], error.mean(axis=0)[latents], rtol=0.15)
    np.testing.assert_allclose(structure.causal_coef.mean(axis=0)[[0, 2]], [1.5, 0.0], atol=0.03)
    np.testing.assert_allclose(structure.spurious_coef.mean(axis=0)[1], 0.7, atol=0.02)


def test_a_latent_that_joins_the_causes_gets_the_coefficient_of_that_regression(fitted):
    data, model, _ = fitted
    structure, Z = model.structure_, model.transform(data.H)
    causal = model.posterior_.best
    for task, latent in ((0, int(np.argmin(causal[0]))), (1, int(np.argmax(causal[1])))):
        rows = data.tasks == task
        chosen = causal[task].copy()
        chosen[latent] = True
        X = np.column_stack([np.ones(rows.sum()), Z[rows][:, chosen]])
        beta, residual, *_ = np.linalg.lstsq(X, data.y[rows], rcond=None)
        position = 1 + int(chosen[:latent].sum())
        covariance = residual[0] / (len(X) - X.shape[1]) * np.linalg.inv(X.T @ X)
        np.testing.assert_allclose(structure.causal_coef[task, latent], beta[position], rtol=1e-6)
        np.testing.assert_allclose(
            structure.causal_std_error[task, latent], covariance[position, position] ** 0.5, rtol=1e-6
        )


def test_errors_of_tasks_too_small_for_the_regression_are_missing():
    rng = np.random.default_rng(0)
    tasks = np.concatenate([np.repeat(np.arange(100), 50), np.repeat([100], 4)])
    Z = rng.normal(size=(len(tasks), 5))
    y = Z @ rng.normal(size=5) + 0.1 * rng.normal(size=len(tasks))
    structure = MTLCM(random_state=0).fit(Z, y, tasks=tasks).structure_
    many = (structure.cause[-1] > 0.5).sum() >= 3
    assert np.isfinite(structure.causal_std_error[:100]).all()
    assert np.isnan(structure.causal_std_error[-1]).any() == many
    assert np.isfinite(structure.spurious_std_error).all()


def test_table_is_tidy(fitted):
    _, model, _ = fitted
    structure, table = model.structure_, model.structure_.to_table()
    assert table.column_names == ["task", "latent", "role", "probability", "coefficient", "std_error"]
    assert table.num_rows == 200 * 10 * 3
    rows = table.filter((np.array(table["task"]) == 3) & (np.array(table["latent"]) == "z4")).to_pylist()
    assert [row["role"] for row in rows] == ["cause", "effect", "unrelated"]
    assert rows[0]["probability"] == structure.cause[3, 4]
    assert rows[0]["coefficient"] == structure.causal_coef[3, 4]
    assert rows[0]["std_error"] == structure.causal_std_error[3, 4]
    assert rows[1]["coefficient"] == structure.spurious_coef[3, 4]
    assert rows[1]["std_error"] == structure.spurious_std_error[3, 4]
    assert rows[2]["coefficient"] is None
    assert sum(row["probability"] for row in rows) == pytest.approx(1.0)


def test_table_takes_labels_of_any_kind():
    empty = np.full((2, 1), 0.5)
    labels = (("a", 1), None)
    structure = CausalStructure(empty, empty, 0 * empty, empty, empty, empty, empty, labels, "free", True)
    assert structure.to_table()["task"].to_pylist() == ["('a', 1)"] * 3 + ["None"] * 3


def test_graph_has_an_edge_for_each_probable_role(fitted):
    _, model, _ = fitted
    structure = model.structure_
    graph = structure.graph(5)
    assert isinstance(graph, nx.DiGraph)
    assert set(graph) == {5, *(f"z{i}" for i in range(10))}
    assert graph.nodes[5]["kind"] == "task"
    assert set(graph.predecessors(5)) == {f"z{i}" for i in np.flatnonzero(structure.cause[5] >= 0.5)}
    assert set(graph.successors(5)) == {f"z{i}" for i in np.flatnonzero(structure.effect[5] >= 0.5)}
    cause = int(np.argmax(structure.cause[5]))
    assert graph.edges[f"z{cause}", 5] == {
        "role": "cause",
        "probability": structure.cause[5, cause],
        "coefficient": structure.causal_coef[5, cause],
        "std_error": structure.causal_std_error[5, cause],
    }
    effect = int(np.argmax(structure.effect[5]))
    assert graph.edges[5, f"z{effect}"]["coefficient"] == structure.spurious_coef[5, effect]
    assert graph.nodes[f"z{effect}"]["effect"] == structure.effect[5, effect]
    # Below one half both directions of one latent may be drawn; only what is all but certain at 0.999.
    assert structure.graph(5, threshold=0.999).number_of_edges() <= graph.number_of_edges()
    assert structure.graph(5, threshold=1e-9).number_of_edges() > graph.number_of_edges()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "no such task"}, "task is unknown: got 'no such task', expected one of the 200 labels"),
        ({"task": 5, "threshold": 0.0}, "threshold is out of range: got 0.0, expected a number above 0"),
    ],
)
def test_graph_says_what_is_wrong(fitted, arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted[1].structure_.graph(**arguments)


def test_task_with_the_name_of_a_latent_has_no_graph():
    half = np.full((1, 1), 0.5)
    structure = CausalStructure(half, half, 0 * half, half, half, half, half, ("z0",), "free", True)
    with pytest.raises(ValueError, match="task has the name of a latent: got 'z0'"):
        structure.graph("z0")


def test_scales_used_are_told():
    options = {"n_causal": 4, "mixing": "orthogonal", "observation_noise": 0.0, "random_state": 0}
    for standardize, scales in ((True, "free"), (False, "shared")):
        data = make_linear_tasks(standardize=standardize, **options)
        model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
        assert model.structure_.scales == scales
    rng = np.random.default_rng(0)
    H = rng.normal(size=(300, 4))
    wide = MTLCM(random_state=0).fit(H, H @ rng.normal(size=(4, 30)) + rng.normal(size=(300, 30)))
    assert wide.structure_.scales == "free"


def test_structure_is_computed_once_and_anew_after_another_fit(fitted):
    data, model, _ = fitted
    assert model.structure_ is model.structure_
    other = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    first = other.structure_
    other.fit(data.H[:10_000], data.y[:10_000], tasks=data.tasks[:10_000])
    assert other.structure_ is not first
    assert len(other.structure_.task_names) == 100


def test_empty_structure_has_no_latents():
    structure = CausalStructure.empty(("a", "b"))
    assert structure.to_table().num_rows == 0
    assert list(structure.graph("a")) == ["a"]
