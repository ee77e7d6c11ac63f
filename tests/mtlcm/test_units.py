"""Units and origins of given features and targets change no latent, and nothing that is said of them."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks

MIXED = np.array([1e-60, 1e60, 1.0, 1e3])
# Scale and offset of the features, and of the targets.
MOVES = {
    "large": (1e60, 0.0, 1.0, 0.0),
    "small": (1e-60, 0.0, 1.0, 0.0),
    "mixed": (MIXED, 0.0, 1.0, 0.0),
    "mixed, far away": (MIXED, 1e8 * MIXED, 1.0, 0.0),
    "far away": (1.0, 1e8, 1.0, -1e8),
    "targets": (1.0, 0.0, 1e60, 1e68),
    "all": (1e60, -1e68, 1e-60, 1e-52),
}


def _data(layout):
    if layout == "long":
        data = make_linear_tasks(n_tasks=40, n_latents=4, mixing="orthogonal", random_state=0)
        return data.H, data.y, data.tasks
    rng = np.random.default_rng(0)
    Z, W = rng.normal(size=(300, 4)), rng.laplace(size=(4, 16)) * (rng.random((4, 16)) < 0.6)
    return Z @ rng.normal(size=(4, 4)), Z @ W + 0.3 * rng.normal(size=(300, 16)), None


def _found(X, y, tasks, **settings):
    """What a fit says that has no units, and the model."""
    model = MTLCM(random_state=0, **settings).fit(X, y, tasks)
    certificate = model.certificate_
    parts = [model.transform(X), model.causal_probability_, certificate.expected_mcc, certificate.leakage]
    parts += [model.structure_.cause, model.bootstrap(n_refits=4, random_state=0).agreement]
    return model, [np.asarray(part, dtype=float) for part in parts]


@pytest.fixture(scope="module")
def plain():
    return {layout: _found(*_data(layout)) for layout in ("long", "wide")}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_units_of_features_and_targets_change_nothing(plain, layout, move):
    scale, offset, scale_y, offset_y = MOVES[move]
    X, y, tasks = _data(layout)
    expected_model, expected = plain[layout]
    model, found = _found(X * scale + offset, y * scale_y + offset_y, tasks)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
    A = X[:40] * scale + offset
    predicted = (model.predict(A) - offset_y) / scale_y
    np.testing.assert_allclose(predicted, expected_model.predict(X[:40]), atol=2e-4)
    level = np.log(np.broadcast_to(scale, 4)).sum()
    assert model.log_likelihood_ + level == pytest.approx(expected_model.log_likelihood_, rel=1e-4)


def test_units_change_nothing_in_a_subspace_nor_with_roles_inside():
    X, y, tasks = _data("long")
    for settings in ({"n_components": 3}, {"prior": "exact", "n_init": 1}):
        expected = MTLCM(random_state=0, **settings).fit(X, y, tasks)
        found = MTLCM(random_state=0, **settings).fit(X * 1e60 - 1e65, y * 1e-60, tasks)
        np.testing.assert_allclose(found.transform(X * 1e60 - 1e65), expected.transform(X), atol=1e-3)
        assert found.noise_std_ / 1e60 == pytest.approx(expected.noise_std_, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "what"), [({"n_components": 3}, "n_components"), ({"noise_std": 0.1}, "noise_std")]
)
def test_what_has_one_unit_is_refused_for_features_that_have_many(settings, what):
    X, y, tasks = _data("long")
    with pytest.raises(ValueError, match=f"{what} needs features in like units: got standard deviations from 9e-61"):
        MTLCM(random_state=0, **settings).fit(X * MIXED, y, tasks)


def test_features_beyond_doubles_are_named():
    X, y, tasks = _data("long")
    X = X * [1.0, 1e300, 1.0, 1.0]
    with pytest.raises(ValueError, match="X is out of range in column 1"):
        MTLCM().fit(X, y, tasks)
