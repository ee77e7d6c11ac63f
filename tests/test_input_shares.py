"""How much of an axis each input moves: shares of known maps, intervals, inputs in any form."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from identirep import IdentifiableRegressor
from identirep.input_shares import input_shares


class _Known:
    """Two axes of which the shares of all inputs are known: linear, and a product."""

    _encoder = None

    def _latents_of(self, X):
        X = np.asarray(X)
        return np.column_stack([X @ [1.0, 0.5, 0.2, 0.0], X[:, 1] * X[:, 2]])


def _numbers(shares):
    return [[(share.share, *share.interval) for share in of_input] for of_input in shares]


_LINEAR = np.array([1.0, 0.25, 0.04, 0.0]) / 1.29


def test_shares_are_those_of_a_known_map():
    X = np.random.default_rng(0).normal(size=(1000, 4))
    shares = input_shares(_Known(), X, _Known()._latents_of(X), 0)
    found = np.array([[share.share for share in of_input] for of_input in shares])
    np.testing.assert_allclose(found[:, 0], _LINEAR, atol=0.05)
    # Both factors of a product move all of it.
    np.testing.assert_allclose(found[:, 1], [0.0, 1.0, 1.0, 0.0], atol=0.1)
    assert shares[0][0].correlation == pytest.approx(1.0 / np.sqrt(1.29), abs=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = np.zeros(3)
    for seed in range(100):
        X = np.random.default_rng(seed).normal(size=(150, 4))
        shares = input_shares(_Known(), X, _Known()._latents_of(X), seed)
        held += [shares[k][0].interval[0] <= _LINEAR[k] <= shares[k][0].interval[1] for k in range(3)]
    assert ((held >= 82) & (held <= 98)).all(), held


@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        lambda X: X.tolist(),
        lambda X: pd.DataFrame(X, columns=list("abcd")),
        lambda X: pa.table(list(X.T), names=list("abcd")),
    ],
)
def test_inputs_of_any_form_give_the_same(form):
    X = np.random.default_rng(0).normal(size=(60, 4))
    expected = input_shares(_Known(), X, _Known()._latents_of(X), 0)
    found = input_shares(_Known(), form(X), _Known()._latents_of(X), 0)
    # Sums over other strides round differently.
    np.testing.assert_allclose(_numbers(found), _numbers(expected), atol=1e-12)


def test_tables_are_encoded_once():
    rng = np.random.default_rng(0)
    colour, other = rng.choice(["red", "blue", "green"], 300), rng.normal(size=(300, 2))
    Y = np.column_stack([(colour == "red") * 2.0, other[:, 0]]) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(
        size=(300, 6)
    )
    X = pd.DataFrame(
        {"id": [f"molecule {i}" for i in range(300)], "a": other[:, 0], "colour": colour, "b": other[:, 1]}
    )
    model = IdentifiableRegressor(2, regressor="ridge", n_checks=0, random_state=0).fit(X, Y)
    Z = model.transform(X)
    calls = []
    encoder, transform = model.table_encoder_, model.table_encoder_.transform
    encoder.transform = lambda table: calls.append(len(table)) or transform(table)
    shares = input_shares(model, X, Z, 0)
    assert calls == [300]
    # What is no input has no share, and each of the others has that of the numbers it is made of.
    assert [of_input[0].name for of_input in shares] == ["a", "colour", "b"]
    order = np.random.default_rng(0)
    order.permutation(300)
    whole = []
    for name in ("a", "colour", "b"):
        moved = []
        for _ in range(10):
            shuffled = X.assign(**{name: X[name].to_numpy()[order.permutation(300)]})
            moved.append(0.5 * ((Z - model.transform(shuffled)) ** 2).mean(axis=0))
        whole.append(np.mean(moved, axis=0) / Z.var(axis=0))
    np.testing.assert_allclose([[share.share for share in of_input] for of_input in shares], whole, atol=1e-10)
