"""A fitted model, its scores, its rows described, and findings of any size, for the tests of the report."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from identirep.datasets import make_linear_tasks
from identirep.describing import Axis, Cloud
from identirep.evaluation import Evaluation, score_tasks
from identirep.input_shares import InputShare
from identirep.metrics import stability
from identirep.mtlcm import MTLCM, ComesBack, GoodnessOfFit
from identirep.report import Description, describe
from identirep.report.content import Findings

NASTY = (
    "<script>alert(1)</script>",
    "<b>bold</b> & \"quoted\" 'single'",
    "{{ 7 * 7 }}",
    "</script><img src=x onerror=1>",
)


@pytest.fixture(scope="session")
def rows():
    """Inputs, targets and names of targets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = X[:, :3] @ rng.laplace(size=(3, 10)) + 0.1 * rng.normal(size=(300, 10))
    return pd.DataFrame(X, columns=list("abcde")), Y, [*NASTY, *(f"target_{t}" for t in range(4, 10))]


@pytest.fixture(scope="session")
def model(rows):
    from identirep import MTRN, IdentifiableRegressor

    X, Y, names = rows
    stage = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=40)
    return IdentifiableRegressor(3, regressor=stage, random_state=0).fit(X[:200], Y[:200], names)


@pytest.fixture(scope="session")
def evaluation(model, rows):
    X, Y, names = rows
    Z = model.transform(X)
    agreement = stability([Z[:200], Z[:200, ::-1]], held_out=[Z[200:], Z[200:, ::-1]])
    return Evaluation("steels.csv", 200, 100, None, score_tasks(model, X[200:], Y[200:], names), agreement, 1.0)


@pytest.fixture(scope="session")
def description(model, rows):
    X, Y, names = rows
    return describe(model, X, Y, names, labels=[f"steel {i}" for i in range(300)], data="steels.csv")


@pytest.fixture(scope="session")
def stage_two():
    data = make_linear_tasks(n_tasks=12, n_samples=60, n_latents=3, random_state=0)
    return MTLCM(random_state=0).fit(data.H, data.y, data.tasks)


@pytest.fixture(scope="session")
def of_size(stage_two):
    """Make findings, scores and a description with any number of targets and axes; half of the axes come back."""

    def make(n_targets, n_latents, *, wide=True, name="a target with quite a long name"):
        rng = np.random.default_rng(0)
        correlation = rng.uniform(-1, 1, size=(n_targets, n_latents)) ** 3
        good = np.arange(n_latents) % 2 == 0
        other_rows = np.where(good, 0.985, 0.8) - 0.001 * np.arange(n_latents)
        back = ComesBack(
            other_rows + 0.01,
            other_rows,
            np.column_stack([other_rows - 0.05, other_rows + 0.01]),
            np.where(good, 0.0, 0.4),
            "measured on 2 fits to halves of the rows",
        )
        certificate = replace(
            stage_two.certificate_,
            verdict=["reproducible" if comes else "unstable" for comes in good],
            reasons=["comes back on other rows" if comes else "does not come back on other rows" for comes in good],
            comes_back=back,
            bootstrap_mcc=other_rows,
            expected_mcc=np.full(n_latents, np.nan),
            leakage=np.zeros((n_latents, n_latents)),
            robust_leakage=np.zeros((n_latents, n_latents)),
            separation=np.eye(n_latents),
            goodness_of_fit=GoodnessOfFit(1.0, 0.4),
        )
        found = replace(
            Findings.of(stage_two),
            task_names=[f"{name} {t}" for t in range(n_targets)],
            correlation=correlation,
            causal_probability=rng.uniform(size=(n_targets, n_latents)).round(),
            certificate=certificate,
            shares_rows=wide,
            given_names={0: "density of the melt"},
            trained="4 networks were",
            history=[
                {"replicate": r, "epoch": e, "validation_loss": float(np.exp(-e / 5) - 0.01 * r)}
                for r in range(4)
                for e in range(30)
            ],
            spectrum=np.linspace(5, 0, 30),
            threshold=np.ones(30),
        )
        axes = [
            Axis(
                i,
                f"latent_{i}",
                [("target", 0.9)],
                [InputShare(f"input number {k}", 0.5 / (k + 1), (0.4 / (k + 1), 0.6 / (k + 1)), 0.3) for k in range(5)],
                [(k, -2.5) for k in range(5)],
                [(10 + k, 3.25) for k in range(5)],
                Cloud("target", rng.normal(size=300), rng.normal(size=300), 0.9, 1000, True),
            )
            for i in range(n_latents)
        ]
        labels = {row: f"a sample with a name {row}" for row in (*range(5), *range(10, 15))}
        evaluation = Evaluation("alloys.csv", 800, 200, None, np.linspace(0.9, -0.1, n_targets))
        return found, evaluation, Description(axes, 1000, "alloys.csv", labels)

    return make
