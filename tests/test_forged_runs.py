"""Numbers of a run that somebody has changed together with their digests: what no fit can have is refused by `load`."""

import hashlib
import json
import shutil
import warnings

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.linear_model import Ridge

from identirep import MTLCM, MTRN, IdentifiableRegressor, TaskMoments


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = X[:, :2] @ rng.laplace(size=(2, 5)) + 0.1 * rng.normal(size=(80, 5))
    small = MTRN(hidden_sizes=(4,), n_features=3, n_replicates=2, max_epochs=2)
    for name, regressor in (("ridge", Ridge()), ("network", small)):
        IdentifiableRegressor(2, regressor=regressor, n_checks=0, random_state=0).fit(X, Y).save(folder / name)
    MTLCM(2, random_state=0).fit(X[:, :2], Y).save(folder / "latents")
    return folder


def _forged(runs, name, tmp_path, array, change):
    """Copy a run, change one of its arrays, and sign it anew."""
    place = tmp_path / "run"
    shutil.copytree(runs / name, place)
    arrays = load((place / "model.safetensors").read_bytes())
    arrays[array] = np.ascontiguousarray(change(arrays[array].copy()))
    (place / "model.safetensors").write_bytes(save(arrays))
    document = json.loads((place / "model.json").read_text())
    document["sha256"] = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
    (place / "model.json").write_text(json.dumps(document))
    return place


def _with(value):
    def change(array):
        array.reshape(-1)[0] = value
        return array

    return change


FORGED = [
    ("ridge", "causal_model.fit.mixing", _with(np.nan)),
    ("ridge", "causal_model.fit.mixing", _with(np.inf)),
    ("ridge", "causal_model.fit.mixing", lambda a: a[:, :1]),
    ("ridge", "causal_model.fit.unmixing", _with(-np.inf)),
    ("ridge", "causal_model.fit.components", _with(np.nan)),
    ("ridge", "causal_model.fit.variances", lambda a: -a),
    # Finite, and no inverse of the axes, or of a size that no rows have.
    ("ridge", "causal_model.fit.mixing", _with(1e300)),
    ("ridge", "causal_model.fit.mixing", lambda a: 0 * a),
    ("ridge", "causal_model.fit.variances", _with(1e300)),
    ("ridge", "causal_model.fit.components", _with(1e300)),
    ("ridge", "causal_model.fit.components", lambda a: 0 * a),
    ("ridge", "causal_model.moments.mean_h", _with(1e300)),
    ("ridge", "causal_model.moments.scatter_h", lambda a: -a),
    ("ridge", "causal_model.moments.scatter_h", _with(np.nan)),
    # Not symmetric, and symmetric with a correlation of 3.
    (
        "ridge",
        "causal_model.moments.scatter_h",
        lambda a: a + np.sqrt(a[0, 0, 0] * a[0, 1, 1]) * np.triu(np.ones((2, 2)), 1),
    ),
    ("ridge", "causal_model.moments.scatter_h", lambda a: a + 3 * np.sqrt(a[0, 0, 0] * a[0, 1, 1]) * (1 - np.eye(2))),
    ("ridge", "causal_model.moments.scatter_hy", lambda a: 1e6 * a),
    ("ridge", "causal_model.moments.scatter_y", lambda a: -a),
    ("ridge", "causal_model.moments.counts", lambda a: -a),
    ("ridge", "causal_model.moments.group", lambda a: a.astype(np.float64)),
    ("ridge", "causal_model.moments.mean_y", _with(np.inf)),
    # Possible of moments, but nothing that a fit takes.
    ("ridge", "causal_model.moments.counts", lambda a: 0 * a),
    ("ridge", "causal_model.moments.scatter_y", lambda a: 0 * a),
    ("latents", "model.moments.scatter_y", _with(0.0)),
    ("network", "causal_model.starts.criterion", _with(np.nan)),
    ("ridge", "model.comes_back.same_rows", _with(5.0)),
    ("ridge", "model.encoder_mcc", _with(-3.0)),
    ("ridge", "model.reference.center", _with(np.nan)),
    ("ridge", "model.reference.latents.seen", _with(2.0)),
    ("ridge", "regressor.components_", _with(np.nan)),
    ("ridge", "regressor.noise_std_", lambda a: -a),
    ("ridge", "regressor.units.target_scale", _with(0.0)),
    ("ridge", "regressor.units.input_scale", lambda a: a[:-1]),
    ("network", "regressor.module.weights.0", _with(np.nan)),
    ("network", "regressor.coef_", _with(np.inf)),
    ("latents", "model.fit.mixing", _with(np.nan)),
    ("latents", "model.moments.scatter_h", lambda a: -a),
]


@pytest.mark.parametrize(
    ("name", "array", "change"), FORGED, ids=[f"{n}-{a}-{i}" for i, (n, a, _) in enumerate(FORGED)]
)
def test_numbers_that_no_fit_has_are_refused(runs, tmp_path, name, array, change):
    place = _forged(runs, name, tmp_path, array, change)
    with pytest.raises(ValueError, match=r"'.*run' is damaged: got .*, expected the file as it was written"):
        (MTLCM if name == "latents" else IdentifiableRegressor).load(place)


@pytest.mark.parametrize("name", ["ridge", "network", "latents"])
def test_a_run_that_is_signed_anew_without_a_change_loads(runs, tmp_path, name):
    array = "model.fit.mixing" if name == "latents" else "causal_model.fit.mixing"
    place = _forged(runs, name, tmp_path, array, lambda a: a)
    assert (MTLCM if name == "latents" else IdentifiableRegressor).load(place).n_components_ == 2


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
@pytest.mark.parametrize("scale", [1.0, 1e60, 1e-60])
def test_moments_of_any_rows_load(tmp_path, offset, scale):
    rng = np.random.default_rng(0)
    H = rng.normal(size=(50, 4))
    # Constant, a copy of another column, and one that is nearly constant.
    H[:, 1], H[:, 2], H[:, 3] = 3.3, H[:, 0], 0.1 + 1e-17 * H[:, 3]
    Y = np.column_stack([H[:, 0], np.full(50, 0.7), rng.normal(size=50)])
    Y[::7, 2] = np.nan
    moments = TaskMoments.from_arrays((H + offset) * scale, (Y + offset) * scale)
    moments.save(tmp_path / "moments")
    assert np.array_equal(TaskMoments.load(tmp_path / "moments").scatter_h, moments.scatter_h)


@pytest.mark.parametrize("prior", ["factorized", "exact"])
@pytest.mark.parametrize("noise_std", ["estimate", 0.3])
@pytest.mark.parametrize("scale", [1.0, np.array([1e8, 1.0, 1e-8])])
def test_any_fit_loads(tmp_path, prior, noise_std, scale):
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(12), 40)
    Z = rng.normal(size=(480, 2)) * rng.uniform(0.3, 3.0, size=(12, 2))[tasks]
    y = np.einsum("ni,ni->n", Z, rng.normal(size=(12, 2))[tasks]) + 0.1 * rng.normal(size=480)
    H = (Z @ rng.normal(size=(2, 3)) + 0.2 * rng.normal(size=(480, 3)) + 3.0) * scale
    if not isinstance(noise_std, str) and np.ndim(scale):
        noise_std = 0.0
    # With fewer latents, or noise, features have to be in like units.
    D = 3 if np.ndim(scale) else 2
    model = MTLCM(D, prior=prior, noise_std=noise_std, n_init=1, max_iter=30, random_state=0)
    with warnings.catch_warnings():
        # Few iterations need not converge.
        warnings.simplefilter("ignore")
        model.fit(H, y, tasks)
    model.save(tmp_path / "run")
    assert np.array_equal(MTLCM.load(tmp_path / "run").transform(H), model.transform(H))
