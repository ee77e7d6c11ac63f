"""The sentences say what was found: reproducible and causal are two statements, no signal is said plainly."""

from dataclasses import replace

import numpy as np
import pytest

from identirep.datasets import make_linear_tasks
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.mtlcm import MTLCM, GoodnessOfFit
from identirep.report.content import Findings
from identirep.report.words import causal_statement, headline, reproducibility_statement, what_was_fitted


@pytest.fixture(scope="module")
def findings():
    data = make_linear_tasks(n_tasks=30, n_samples=100, n_latents=3, random_state=0)
    return Findings.of(MTLCM(random_state=0).fit(data.H, data.y, data.tasks))


def _certified(findings, **changes):
    return replace(findings, certificate=replace(findings.certificate, **changes))


def _evaluation(per_latent):
    stability = StabilityResult(0.9, 0.7, np.eye(2), np.array([per_latent, per_latent]))
    return Evaluation("steels.csv", 80, 20, "batch", np.full(30, 0.5), stability, 0.95)


def test_headline_counts_verdicts(findings):
    found = _certified(findings, verdict=["identified", "unstable", "identified"])
    assert headline(found) == "3 latents from 30 targets: 2 identified and 1 unstable."


def test_no_signal_is_said_in_every_statement(findings):
    silent = _certified(findings, head_rank=0)
    assert headline(silent).startswith("No signal")
    assert reproducibility_statement(silent, None)[0] == "No"
    assert causal_statement(silent)[0] == "No"


def test_signal_is_judged_on_held_out_rows_where_there_are_any(findings):
    memorised = replace(findings, spectrum=np.array([0.2, 0.1, 0.05]), threshold=np.full(3, 0.3))
    assert headline(memorised).startswith("No signal")
    assert headline(replace(memorised, threshold=np.full(3, 0.01))).startswith("3 latents")


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (["identified"] * 3, "Yes"),
        (["identified", "unstable", "reproducible"], "For 2 of 3 latents"),
        (["unstable"] * 3, "Not shown for any latent"),
        (["not checked"] * 3, "Not shown for any latent"),
    ],
)
def test_reproducibility_follows_the_verdicts(findings, verdict, answer):
    found, reason = reproducibility_statement(_certified(findings, verdict=verdict), None)
    assert found == answer
    assert "identirep stability" in reason


def test_measured_agreement_outweighs_the_certificate(findings):
    certified = _certified(findings, verdict=["identified", "unstable", "unstable"])
    answer, reason = reproducibility_statement(certified, _evaluation([0.99, 0.5, 0.97]))
    assert answer == "For 2 of 3 latents"
    assert "0.900 (strong MCC)" in reason
    assert "the worst latent has 0.700" in reason
    assert "0.950 (weak MCC)" in reason
    assert "1 of 3 latents come back" in reason


def test_surplus_latents_are_pointed_out(findings):
    reason = reproducibility_statement(_certified(findings, head_rank=2), None)[1]
    assert "signal in 2 of the 3 directions only" in reason


@pytest.mark.parametrize(
    ("p_value", "answer", "reason"),
    [
        (0.4, "Not contradicted", "no proof"),
        (1e-9, "No", "rejects the causal model (p < 0.001)"),
        (np.nan, "Not tested", "too few rows"),
    ],
)
def test_causal_statement_of_separate_tasks(findings, p_value, answer, reason):
    found = causal_statement(_certified(findings, goodness_of_fit=GoodnessOfFit(1.0, p_value)))
    assert found[0] == answer
    assert reason in found[1]


@pytest.mark.parametrize("p_value", [0.4, 1e-9, np.nan])
def test_shared_rows_never_give_causes(findings, p_value):
    shared = replace(_certified(findings, goodness_of_fit=GoodnessOfFit(1.0, p_value)), shares_rows=True)
    answer, reason = causal_statement(shared)
    assert answer == "No: associations, not causes"
    assert "share their rows" in reason


def test_what_was_fitted_names_data_and_held_out_rows(findings):
    text = what_was_fitted(replace(findings, spectrum=np.ones(3), threshold=np.zeros(3)), _evaluation([1.0, 1.0, 1.0]))
    assert "80 rows of steels.csv" in text
    assert "20 rows were held out" in text
    assert "rows of one batch kept together" in text


def test_shared_rows_are_recognised():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(200, 2))
    Y = H @ rng.normal(size=(2, 5)) + rng.normal(size=(200, 5))
    Y[:20, 0] = np.nan
    assert Findings.of(MTLCM(random_state=0).fit(H, Y)).shares_rows
    tasks, y = np.repeat(np.arange(5), 40), Y[np.arange(200), np.repeat(np.arange(5), 40)]
    assert not Findings.of(MTLCM(random_state=0).fit(H, y, tasks)).shares_rows


def test_correlations_are_those_of_the_rows():
    rng = np.random.default_rng(1)
    H = rng.normal(size=(200, 2))
    Y = H @ rng.normal(size=(2, 5)) + rng.normal(size=(200, 5))
    model = MTLCM(random_state=0).fit(H, Y)
    expected = np.corrcoef(Y.T, model.transform(H).T)[:5, 5:]
    np.testing.assert_allclose(Findings.of(model).correlation, expected, atol=1e-12)


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="model has nothing to report: got dict"):
        Findings.of({})
