"""Fits to halves of the rows: what they say of an axis is what fits to other rows show."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures, checking
from identirep.checking import Fitted, check_fit
from identirep.datasets import make_nonlinear_tasks
from identirep.metrics import mcc
from identirep.mtrn import base, predictive
from identirep.validation import TaskData

QUICK = {"hidden_sizes": (32,), "n_replicates": 2, "max_epochs": 40, "device": "cpu"}


def _rows(seed, n, D=3, T=20, noise=1.0, inputs=12):
    """Targets that are linear in few latents of many inputs, and a function that draws rows of them."""
    rng = np.random.default_rng(seed)
    heads = rng.normal(size=(D, T)) * (rng.random((D, T)) < 0.4) + 0.01
    into = np.linalg.qr(rng.normal(size=(inputs, inputs)))[0][:, :D]

    def draw(rows_seed, rows=n):
        rng = np.random.default_rng([seed, rows_seed])
        X = rng.normal(size=(rows, inputs))
        return X, X @ into @ heads + noise * rng.normal(size=(rows, T))

    return draw


def _linear(D, seed=0, **options):
    return IdentifiableRegressor(D, regressor=LinearRegression(), random_state=seed, **options)


def test_predicted_loss_is_that_of_fits_to_other_rows():
    """Rows of which halves are parts of the fit: taken as independent, they would show 0.6 of the loss."""
    ratios = []
    for seed in range(6):
        draw = _rows(seed, 1000)
        model = _linear(3).fit(*draw(0))
        X = draw(1, 2000)[0]
        others = [_linear(3, n_checks=0).fit(*draw(2 + k)) for k in range(3)]
        actual = np.mean([mcc(model.transform(X), other.transform(X)).score for other in others])
        ratios.append((1 - model.certificate_.comes_back.other_rows.mean()) / (1 - actual))
    assert 0.9 < np.exp(np.mean(np.log(ratios))) < 1.6


def test_clean_data_are_reproducible_and_never_identified():
    model = _linear(3).fit(*_rows(0, 1000, noise=0.2)(0))
    certificate = model.certificate_
    assert certificate.verdict == ["reproducible"] * 3
    assert np.isnan(certificate.expected_mcc).all()
    back = certificate.comes_back
    assert back.other_rows.min() > 0.99
    assert back.same_rows.min() > 0.99
    assert back.turn_probability.max() < 0.1
    assert np.all(back.other_rows_interval[:, 0] <= back.other_rows)
    assert np.all(back.other_rows <= back.other_rows_interval[:, 1])


@pytest.mark.parametrize("seed", range(4))
def test_one_latent_of_hardly_any_signal_is_not_certified(seed):
    model = _linear(1, seed).fit(*_rows(seed, 100, D=1, T=4, noise=6.0, inputs=20)(0))
    assert "reproducible" not in model.certificate_.verdict


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_what_trees_learn_by_heart_does_not_come_back():
    """On rows that both were fitted to, trees agree on any targets."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(200, 5)), rng.normal(size=(200, 3))
    trees = PredictiveFeatures(ExtraTreesRegressor(20, random_state=0))
    model = IdentifiableRegressor(1, regressor=trees, random_state=0).fit(X, Y)
    assert model.comes_back_.other_rows[0] < 0.8


def test_halves_are_disjoint_and_compared_on_other_rows():
    draw = _rows(0, 240)
    X, Y = draw(0)
    groups = np.repeat(np.arange(60), 4)
    main = _linear(2, n_checks=0).fit(X, Y, groups=groups)
    seen = []

    def refit(rows, seed, quick):
        other = _linear(2, seed, n_checks=0).fit(X[rows], Y[rows])
        seen.append((rows, quick))
        return Fitted(other.regressor_, other.causal_model_, _data(X[rows], Y[rows]), None)

    fit = Fitted(main.regressor_, main.causal_model_, _data(X, Y), groups)
    said = []
    found = check_fit(fit, refit, 4, np.random.default_rng(0), said.append)
    assert "4 fits to halves" in found.how
    assert len(said) == 4
    pairs = [rows for rows, quick in seen if not quick]
    assert len(pairs) == 4
    reserve = ~(pairs[0] | pairs[1])
    assert 0.1 * len(X) < reserve.sum() < 0.35 * len(X)
    for first, second in (pairs[:2], pairs[2:]):
        assert not np.any(first & second)
        np.testing.assert_array_equal(~(first | second), reserve)
        assert abs(first.sum() - second.sum()) <= 4
        for rows in (first, second, reserve):
            assert set(np.bincount(groups[rows], minlength=60)) <= {0, 4}
    assert not np.array_equal(pairs[0], pairs[2])


def test_halves_are_not_asked_for_what_only_the_fit_needs(monkeypatch):
    asked, tried = [], []
    spectrum, permuted = base.predictive_spectrum, predictive.above_chance

    def counted(*args):
        asked.append(args[-1])
        return spectrum(*args)

    def told(*args):
        tried.append(True)
        return permuted(*args)

    monkeypatch.setattr(base, "predictive_spectrum", counted)
    monkeypatch.setattr(predictive, "above_chance", told)
    _linear(2).fit(*_rows(0, 240)(0))
    assert len(asked) == 4
    assert 5 * sum(asked[1:]) < 2 * asked[0]
    assert len(tried) == 1


class _Lazy(LinearRegression):
    """Linear regression that with many rows looks at the first input alone."""

    def fit(self, X, y):
        self.n_seen_ = 1 if len(X) > 400 else X.shape[1]
        return super().fit(X[:, : self.n_seen_], y)

    def predict(self, X):
        return super().predict(X[:, : self.n_seen_])


@pytest.mark.parametrize("asked", ["auto", 1])
def test_a_number_of_latents_that_halves_do_not_take_is_said(asked):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    Y = X @ rng.normal(size=(4, 20)) + rng.normal(size=(600, 20))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        lazy = IdentifiableRegressor(asked, regressor=_Lazy(), random_state=0).fit(X, Y)
        honest = IdentifiableRegressor(asked, regressor=LinearRegression(), random_state=0).fit(X, Y)
    assert lazy.n_components_ == 1
    assert lazy.n_components_range_ == (1, 4)
    assert honest.n_components_range_ == (4, 4)
    found = [str(warning.message) for warning in said]
    if asked == "auto":
        assert honest.n_components_ == 4
        assert len(found) == 1
        assert "takes 1, and 4 and 4 in fits to halves of the rows. Pass n_components=4." in found[0]
    else:
        assert not found


def test_halves_that_see_too_few_rows_do_not_lower_the_range():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 8))
    heads = rng.normal(size=(8, 20)) * np.geomspace(1.0, 0.12, 8)[:, None]
    Y = X @ heads + rng.normal(size=(160, 20))
    ranges = [
        IdentifiableRegressor(regressor=LinearRegression(), n_checks=n, random_state=0).fit(X, Y).n_components_range_
        for n in (0, 2)
    ]
    assert ranges[0][0] == ranges[1][0] > 1


def _data(X, targets):
    return TaskData(X, targets, None, tuple(range(targets.shape[1])))


def test_long_layout_is_identified_only_with_an_encoder_that_carries_it():
    data = make_nonlinear_tasks(
        n_tasks=80, n_samples=60, n_latents=2, n_observed=10, n_causal=1, activation="leaky_relu", random_state=0
    )
    model = IdentifiableRegressor(2, regressor=MTRN(**QUICK), random_state=0).fit(data.X, data.y, data.tasks)
    certificate = model.certificate_
    assert np.isfinite(certificate.comes_back.other_rows).all()
    assert np.isfinite(certificate.comes_back.turn_probability).all()
    assert np.isfinite(certificate.comes_back.same_rows).all()
    found = mcc(model.transform(data.X), data.Z).per_latent
    for i, verdict in enumerate(certificate.verdict):
        assert (verdict == "identified") == (model.encoder_mcc_[i] >= 0.98)
        assert found[i] > 0.95 or verdict != "identified"
    assert "identified" in certificate.verdict
    for encoder, words in ((np.nan, "not measured"), (0.9, "correlation of 0.90")):
        other = certificate.checked(certificate.comes_back, encoder_mcc=np.full(2, encoder))
        assert set(other.verdict) == {"reproducible"}
        assert all(words in reason for reason in other.reasons)
        np.testing.assert_allclose(other.expected_mcc, encoder * certificate.features_mcc)


def test_without_checks_nothing_is_claimed():
    certificate = _linear(3, n_checks=0).fit(*_rows(0, 400, noise=0.2)(0)).certificate_
    assert certificate.verdict == ["not checked"] * 3
    assert all("fit again with 2 checks" in reason for reason in certificate.reasons)
    assert np.isnan(certificate.expected_mcc).all()


def test_too_few_rows_are_not_checked():
    certificate = _linear(1).fit(*_rows(0, 24, D=1, noise=0.1, inputs=2)(0)).certificate_
    assert certificate.verdict == ["not checked"]
    assert "too few rows" in certificate.reasons[0]
    halves = _linear(1).fit(*_rows(0, 30, D=1, noise=0.1, inputs=2)(0)).certificate_
    assert halves.verdict == ["not checked"]
    assert "too few rows to fit again to halves of them" in halves.reasons[0]


def test_rows_that_do_not_part_into_halves_are_not_checked():
    X, Y = _rows(0, 200)(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = IdentifiableRegressor(1, regressor=MTRN(**QUICK), random_state=0).fit(X, Y, order=np.arange(200) // 100)
    assert "the rows do not part into halves" in model.comes_back_.how
    assert np.isnan(model.comes_back_.other_rows).all()


def test_rows_with_equal_inputs_count_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))[np.arange(400) % 20]
    Y = X[:, :1] @ np.ones((1, 6)) + 0.1 * rng.normal(size=(400, 6))
    model = _linear(1).fit(X, Y)
    assert "in a half, at least 12 are needed" in model.comes_back_.how
    assert checking._effective(_data(X, Y), np.arange(400) < 30) == 20
    weights = np.where(np.arange(400) % 20 == 0, 1.0, 1e-9)
    assert checking._effective(replace(_data(X, Y), weights=weights), np.ones(400, dtype=bool)) == pytest.approx(1.0)


def _checked_with(monkeypatch, **known):
    """Check a fit whose agreement with its halves, and turns, are known."""
    X, Y = _rows(0, 400, D=2, T=3)(0)
    main = _linear(2, n_checks=0).fit(X, Y)

    def refit(rows, seed, quick):
        other = _linear(2, seed, n_checks=0).fit(X[rows], Y[rows])
        return Fitted(other.regressor_, other.causal_model_, _data(X[rows], Y[rows]), None)

    for name, value in known.items():
        monkeypatch.setattr(checking, name, lambda *args, value=value: value)
    fit = Fitted(main.regressor_, main.causal_model_, _data(X, Y), None)
    return check_fit(fit, refit, 2, np.random.default_rng(0), [].append)


def test_halves_that_turn_count_where_there_are_no_heads_to_disturb(monkeypatch):
    agreement = np.array([[0.3, 0.99]]), np.array([[0.2, 0.99], [0.99, 0.99]])
    found = _checked_with(monkeypatch, _agreement=agreement)
    assert found.turn_probability.tolist() == [0.5, 0.0]
    with_heads = _checked_with(monkeypatch, _agreement=agreement, _turns=np.array([0.1, 0.8]))
    assert with_heads.turn_probability == pytest.approx([0.3, 0.4])


def test_of_a_single_network_nothing_is_taken_off(monkeypatch):
    agreement = np.array([[0.9, 0.95]]), np.array([[0.9, 0.95], [0.9, 0.95]])
    of_network = {"_agreement": agreement, "kinship": (1.0, 0.0)}
    halved = _checked_with(monkeypatch, **of_network)
    whole = _checked_with(monkeypatch, **of_network, _share=1.0)
    assert whole.other_rows[0] == pytest.approx(0.9)
    assert halved.other_rows[0] > 0.93
    pair = (np.arange(10) < 4, np.arange(10) >= 6)
    monkeypatch.undo()
    assert checking._share(MTRN(n_replicates=1), [pair]) == 1.0
    assert checking._share(MTRN(n_replicates=2), [pair]) == pytest.approx(0.4)


def test_odd_numbers_of_checks_are_refused():
    with pytest.raises(ValueError, match="n_checks is odd: got 3"):
        _linear(1, n_checks=3).fit(*_rows(0, 50)(0))


def test_progress_says_what_runs(capsys):
    _linear(2, verbose=True).fit(*_rows(0, 200)(0))
    assert "Check 1 of 2: a fit to" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_stored_model_keeps_its_checks(tmp_path):
    X, Y = _rows(0, 200, D=2)(0)
    model = IdentifiableRegressor(2, regressor=MTRN(**QUICK), random_state=0).fit(X, Y)
    model.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    for name in ("same_rows", "other_rows", "other_rows_interval", "turn_probability"):
        np.testing.assert_array_equal(getattr(loaded.comes_back_, name), getattr(model.comes_back_, name))
    assert loaded.certificate_.verdict == model.certificate_.verdict
    assert loaded.certificate_.reasons == model.certificate_.reasons


def test_equal_rows_are_in_one_half_and_say_nothing_twice():
    # 60 different rows, 8 times each, and targets of noise: a fit predicts them well from rows that it has seen.
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 5)), 8, axis=0)
    Y = np.repeat(rng.normal(size=(60, 10)), 8, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(3):
            model = _linear(2, seed).fit(X, Y)
            assert not {"identified", "reproducible"} & set(model.certificate_.verdict)


def test_walks_are_not_checked_unless_shuffled_rows_show_something():
    rng = np.random.default_rng(1)
    X, Y = np.cumsum(rng.normal(size=(400, 6)), axis=0), np.cumsum(rng.normal(size=(400, 12)), axis=0)
    with pytest.warns(UserWarning, match="Rows depend on each other in their order"):
        model = _linear(2).fit(X, Y)
    assert set(model.certificate_.verdict) <= {"not checked", "unstable"}
    assert "not checked" not in model.certificate_.verdict or "give fit their order" in " ".join(
        model.certificate_.reasons
    )


def test_halves_of_an_order_are_stretches():
    draw = _rows(0, 400)
    X, Y = draw(0)
    order = np.random.default_rng(2).permutation(len(X))
    seen = []
    main = _linear(2, n_checks=0).fit(X, Y, order=order)
    fit = Fitted(main.regressor_, main.causal_model_, replace(_data(X, Y), order=order), None)

    def refit(rows, seed, quick):
        seen.append(rows)
        other = _linear(2, seed, n_checks=0).fit(X[rows], Y[rows])
        return Fitted(other.regressor_, other.causal_model_, _data(X[rows], Y[rows]), None)

    check_fit(fit, refit, 2, np.random.default_rng(0), [].append)
    in_order = np.zeros(len(X), dtype=int)
    in_order[order[seen[0]]], in_order[order[seen[1]]] = 1, 2
    assert np.all(in_order[-40:] == 0)
    # Neighbours are in different halves nowhere: a few rows at each cut are in neither.
    assert not np.any((in_order[1:] != in_order[:-1]) & (in_order[1:] > 0) & (in_order[:-1] > 0))


def _four_directions(strengths):
    """Targets of four directions of these strengths."""
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(300, 4))
    heads = np.linalg.qr(rng.normal(size=(20, 4)))[0].T * np.array(strengths)[:, None] * 4
    return Z, Z @ heads + rng.normal(size=(300, 20))


@pytest.mark.parametrize(("strengths", "is_clear"), [((4, 4, 1, 1), True), ((3, 3, 3, 3), False)])
def test_a_cut_through_equal_signal_turns_axes_even_if_halves_agree(strengths, is_clear):
    X, Y = _four_directions(strengths)
    stage = MTRN(2, **QUICK, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(X, Y)
    fit = Fitted(model.regressor_, model.causal_model_, TaskData(X, Y, None, tuple(range(20))), None)
    turns = checking._cut_turns(fit, [(fit, fit)], 0.5, np.random.default_rng(0))
    assert turns.shape == (2,)
    assert (turns.max() == 0) if is_clear else (turns.max() > 0.3)


@pytest.mark.parametrize("n_replicates", [1, 2, 4])
def test_networks_of_ordered_rows_are_checked(n_replicates):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 4))
    Y = X[:, :2] @ rng.normal(size=(2, 8)) + 0.3 * rng.normal(size=(400, 8))
    stage = MTRN(2, **{**QUICK, "n_replicates": n_replicates}, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = IdentifiableRegressor(2, regressor=stage, random_state=0).fit(X, Y, order=np.arange(400))
    back = model.certificate_.comes_back
    assert back.other_rows.shape == (2,)
    assert np.isfinite(back.other_rows).all()
    # A single network has no other one to be compared with.
    assert np.isnan(back.same_rows).all() == (n_replicates == 1)
