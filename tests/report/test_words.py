"""The sentences say what was found: what was measured, what is an estimate, no signal plainly, nothing of a truth."""

import re
from dataclasses import replace

import numpy as np
import pytest

from identirep.datasets import make_linear_tasks
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.mtlcm import MTLCM, VERDICTS, ComesBack, GoodnessOfFit
from identirep.report.content import Findings
from identirep.report.words import (
    VERDICT_MEANINGS,
    causal_statement,
    comes_back_sentence,
    headline,
    matching_sentence,
    reproducibility_statement,
    verdict_meanings,
    what_was_fitted,
)

REPRODUCIBLE, UNSTABLE, IDENTIFIED, UNCHECKED = "reproducible", "unstable", "identified", "not checked"


@pytest.fixture(scope="module")
def findings():
    data = make_linear_tasks(n_tasks=30, n_samples=100, n_latents=3, random_state=0)
    return Findings.of(MTLCM(random_state=0).fit(data.H, data.y, data.tasks))


def _certified(findings, **changes):
    return replace(findings, certificate=replace(findings.certificate, **changes))


def _found(
    findings, verdict, other_rows, *, same_rows=(0.999, 0.995, 0.99), targets=(0.99, 0.9, 0.97), wide=True, **other
):
    """Findings of a network with a certificate made by hand."""
    other_rows = np.array(other_rows)
    back = ComesBack(
        np.array([0.999, 0.995, 0.99]),
        other_rows,
        np.column_stack([other_rows - 0.02, other_rows + 0.01]),
        np.full(3, 0.02),
        "measured on 2 fits to halves of the rows",
    )
    found = _certified(findings, verdict=verdict, comes_back=back, bootstrap_mcc=np.array(targets), own_rows=not wide)
    return replace(found, shares_rows=wide, trained="A network was", spectrum=np.ones(3), threshold=np.zeros(3))


def _evaluation(per_latent, weak=0.95):
    stability = StabilityResult(0.9, 0.7, np.eye(2), np.array([per_latent, per_latent]))
    return Evaluation("steels.csv", 80, 20, "batch", np.full(30, 0.5), stability, weak)


def _all_words(found, evaluation=None):
    statements = (reproducibility_statement(found, evaluation), causal_statement(found))
    sentences = [headline(found), comes_back_sentence(found, evaluation), what_was_fitted(found, evaluation)]
    return " ".join(sentences + [part for statement in statements for part in statement])


def test_headline_counts_verdicts(findings):
    found = _certified(findings, verdict=[IDENTIFIED, UNSTABLE, IDENTIFIED])
    assert headline(found) == "3 latents from 30 tasks: 2 identified and 1 unstable."


def test_every_verdict_has_a_meaning_and_an_action():
    assert set(VERDICT_MEANINGS) == set(VERDICTS)


def test_no_signal_is_said_in_every_statement(findings):
    silent = _certified(findings, head_rank=0)
    assert headline(silent).startswith("No signal")
    assert "held out" not in headline(silent), "features were given, and no rows held out"
    assert reproducibility_statement(silent, None)[0] == "No"
    assert causal_statement(silent)[0] == "No"


def test_signal_is_judged_on_held_out_rows_where_there_are_any(findings):
    memorised = replace(findings, spectrum=np.array([0.2, 0.1, 0.05]), threshold=np.full(3, 0.3))
    assert headline(memorised).startswith("No signal: on rows held out")
    assert headline(replace(memorised, threshold=np.full(3, 0.01))).startswith("3 latents")


def test_three_numbers_of_coming_back(findings):
    found = _found(findings, [REPRODUCIBLE, REPRODUCIBLE, UNSTABLE], [0.989, 0.975, 0.918])
    assert comes_back_sentence(found, None) == (
        "Trained again: 3 of 3 axes come back (0.99 or more). On other rows: 2 of 3 (0.97 or more), 1 weaker (0.91). "
        "With other targets: 1 of 3, an estimate."
    )
    assert "With other tasks: 1 of 3" in comes_back_sentence(replace(found, shares_rows=False), None)


@pytest.mark.parametrize(
    ("verdict", "other_rows", "said"),
    [
        ([IDENTIFIED, REPRODUCIBLE, IDENTIFIED], [0.98, 0.97, 0.99], "On other rows: 3 of 3 (0.97 or more)."),
        ([UNSTABLE] * 3, [0.7, 0.8, 0.9], "On other rows: 0 of 3 (0.70 to 0.90)."),
        # An axis may be unstable for another reason than its correlation.
        (
            [REPRODUCIBLE, UNSTABLE, UNSTABLE],
            [0.97, 0.99, 0.8],
            "On other rows: 1 of 3 (0.97 or more), 1 weaker (0.80), 1 in doubt.",
        ),
        ([UNCHECKED] * 3, [np.nan] * 3, "On other rows: not checked. With other targets: not checked."),
    ],
)
def test_other_rows_follow_the_verdicts(findings, verdict, other_rows, said):
    assert said in comes_back_sentence(_found(findings, verdict, other_rows), None)


def test_what_was_not_checked_is_not_claimed(findings):
    nothing = _certified(
        findings, verdict=[UNCHECKED] * 3, comes_back=ComesBack.unknown(3, "no fits to other rows were made")
    )
    assert comes_back_sentence(nothing, None) == (
        "Features as given. On other rows: not checked. With other tasks: not checked."
    )
    answer, reason = reproducibility_statement(nothing, None)
    assert answer == "Not checked"
    assert reason.startswith("No fits to other rows were made.")


def test_a_measurement_outweighs_the_verdict(findings):
    found = _found(findings, [REPRODUCIBLE] * 3, [0.98, 0.98, 0.98])
    assert reproducibility_statement(found, None)[0] == "Yes"
    seen = _evaluation([0.99, 0.5, 0.97])
    assert reproducibility_statement(found, seen)[0] == "2 of 3 do"
    assert comes_back_sentence(found, seen).startswith(
        "Trained again: 2 of 3 axes come back (0.97 or more), 1 weaker (0.50). "
        "On other rows: 2 of 3 (0.98 or more), 1 in doubt."
    )


def test_other_targets_are_no_better_than_other_rows(findings):
    found = _found(findings, [REPRODUCIBLE, UNSTABLE, UNSTABLE], [0.97, 0.8, 0.7], targets=(1.0, 1.0, 1.0))
    np.testing.assert_allclose(found.other_targets, [0.97, 0.8, 0.7])
    assert "With other targets: 1 of 3, an estimate" in comes_back_sentence(found, None)


def test_agreement_of_fits_is_described(findings):
    found = _found(findings, [REPRODUCIBLE] * 3, [0.98, 0.98, 0.98])
    reason = reproducibility_statement(found, _evaluation([0.99, 0.98, 0.97]))[1]
    assert "2 fits to the same rows with other seeds agree on held-out rows" in reason
    assert "0.900 (strong MCC), the lowest of all axes and pairs 0.700" in reason
    assert "0.950 (weak MCC)" in reason


def test_weak_is_called_a_bound_only_where_it_is_one():
    strong, weak = np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([[1.0, 0.95], [0.95, 1.0]])
    assert "the most that strong can reach" in matching_sentence(strong, weak)
    assert "the most" not in matching_sentence(weak, strong)


def test_surplus_latents_are_pointed_out(findings):
    found = replace(_found(findings, [REPRODUCIBLE] * 3, [0.98] * 3), threshold=np.array([0.0, 0.0, 2.0]))
    reason = reproducibility_statement(found, None)[1]
    assert "signal in 2 of the 3 directions." in reason
    assert "Fewer latents" not in reason, "all of them come back"
    weak = replace(_found(findings, [REPRODUCIBLE, UNSTABLE, UNSTABLE], [0.98, 0.5, 0.5]), threshold=found.threshold)
    assert "Fewer latents may come back better." in reproducibility_statement(weak, None)[1]


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("wide", [True, False])
def test_no_sentence_speaks_of_a_truth(findings, verdict, wide):
    other_rows = [np.nan] * 3 if verdict == UNCHECKED else [0.98] * 3
    found = _found(findings, [verdict] * 3, other_rows, wide=wide)
    for evaluation in (None, _evaluation([0.99, 0.98, 0.97])):
        words = _all_words(found, evaluation)
        assert not re.search(r"true|truth", words, flags=re.IGNORECASE)
        assert not (wide and re.search("latents? of the causal model", words))


@pytest.mark.parametrize(("wide", "verdict"), [(True, IDENTIFIED), (False, REPRODUCIBLE), (False, UNSTABLE)])
def test_correlation_with_a_latent_is_that_of_identified_axes_in_tasks_of_their_own(findings, wide, verdict):
    assert findings.correlation_with_latent(0) == findings.certificate.expected_mcc[0] > 0.9
    found = replace(_certified(findings, verdict=[verdict] * 3), shares_rows=wide)
    assert np.isnan(found.correlation_with_latent(0))


def test_separation_is_given_where_a_pair_is_not_told_apart(findings):
    assert findings.not_told_apart(0) == []
    leakage = findings.certificate.leakage.copy()
    leakage[0, 1] = 0.5
    mixed = _certified(findings, leakage=leakage)
    assert mixed.not_told_apart(0) == [(1, findings.certificate.separation[0, 1])]
    assert replace(mixed, shares_rows=True).not_told_apart(0) == []


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
    text = what_was_fitted(_found(findings, [REPRODUCIBLE] * 3, [0.98] * 3), _evaluation([1.0, 1.0, 1.0]))
    assert "A network was trained on 80 rows of steels.csv to predict 30 targets" in text
    assert "20 rows were held out" in text
    assert "rows of one batch kept together" in text


def test_weights_of_rows_are_named(findings):
    evaluation = _evaluation([1.0, 1.0, 1.0])
    assert "weights" not in what_was_fitted(findings, evaluation)
    weighted = replace(evaluation, weighted_by="precision")
    assert what_was_fitted(findings, weighted).endswith(" Rows count by their weights, precision.")


def test_tasks_with_rows_of_their_own_are_not_called_targets(findings):
    found = _found(findings, [UNSTABLE] * 3, [0.8] * 3, wide=False)
    assert headline(found).startswith("3 latents from 30 tasks: ")
    assert "trained on 80 rows of steels.csv to predict targets of 30 tasks" in what_was_fitted(
        found, _evaluation([1.0] * 3)
    )
    assert "With other tasks: " in comes_back_sentence(found, None)
    nothing = replace(found, spectrum=np.zeros(3), threshold=np.ones(3))
    assert "the inputs predict the targets of 30 tasks no better than shuffled targets" in headline(nothing)
    assert "the inputs predict the 30 targets no better" in headline(replace(nothing, shares_rows=True))


def test_shared_rows_are_those_of_targets(findings):
    assert "The targets share their rows" in causal_statement(replace(findings, shares_rows=True))[1]


def test_why_nothing_was_measured_is_a_sentence(findings):
    unknown = ComesBack.unknown(3, "rows depend on each other in their order; give fit their order")
    answer, reason = reproducibility_statement(_certified(findings, comes_back=unknown), None)
    assert (answer, reason.split(". ")[0]) == (
        "Not checked",
        "Rows depend on each other in their order; give fit their order.",
    )


def test_what_was_trained_has_its_own_name():
    from sklearn.linear_model import LinearRegression

    from identirep import IdentifiableRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = X @ rng.laplace(size=(3, 8)) + 0.1 * rng.normal(size=(200, 8))
    model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(X, Y)
    assert what_was_fitted(Findings.of(model), None).startswith("LinearRegression was trained on 200 rows")
    model = IdentifiableRegressor(2, regressor="ridge", n_checks=0, random_state=0).fit(X, Y)
    assert what_was_fitted(Findings.of(model), None).startswith("RidgeCV was trained on 200 rows")


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


def test_axes_that_have_a_name_are_not_said_to_need_one_yet(of_size):
    found, _, _ = of_size(10, 3)
    found = replace(found, certificate=replace(found.certificate, verdict=["not checked"] * 3))

    def action(names):
        return verdict_meanings(replace(found, given_names=names))["not checked"][1]

    assert action({}) == "do not name it yet; the reason says what to do"
    assert action({0: "a", 1: "b", 2: "c"}) == "check it before its name is relied on; the reason says how"
    both = action({1: "b"})
    assert both.startswith("do not name it yet")
    assert both.endswith("Of those with a name: check it before its name is relied on; the reason says how")
