"""Run directories of stage two alone."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks


class _Named(MTLCM):
    """A subclass with a parameter of its own."""

    def __init__(self, n_components=None, *, name="mine", random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.name = name


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(n_tasks=20, n_samples=40, n_latents=3, n_causal=1, random_state=0)


@pytest.fixture(scope="module")
def causal(data):
    return MTLCM(n_init=3, random_state=0).fit(pa.table(dict(zip("abc", data.H.T, strict=True))), data.y, data.tasks)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_round_trip_of_stage_two(causal, data, tmp_path):
    causal.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"model.safetensors", "model.json"}
    loaded = MTLCM.load(tmp_path / "run")
    assert loaded.get_params() == causal.get_params()
    assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded.transform(data.H), causal.transform(data.H))
    np.testing.assert_array_equal(loaded.causal_probability_, causal.causal_probability_)
    np.testing.assert_array_equal(loaded.certificate_.bootstrap_mcc, causal.certificate_.bootstrap_mcc)
    assert loaded.log_likelihood_ == causal.log_likelihood_
    assert (loaded.converged_, loaded.n_iter_) == (causal.converged_, causal.n_iter_)


def test_rows_that_wait_for_a_fit_are_stored(data, tmp_path):
    model = MTLCM(random_state=0).fit(data.H[:-40], data.y[:-40], data.tasks[:-40])
    model.partial_fit(data.H[-40:-38], data.y[-40:-38], data.tasks[-40:-38])
    model.save(tmp_path / "run")
    loaded = MTLCM.load(tmp_path / "run").partial_fit(data.H[-38:], data.y[-38:], data.tasks[-38:])
    once = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    np.testing.assert_allclose(loaded.transform(data.H), once.transform(data.H), atol=1e-9)


def test_subclasses_are_loaded_as_such(data, tmp_path):
    fitted = _Named(name="his", random_state=0).fit(data.H, data.y, data.tasks)
    fitted.save(tmp_path / "run")
    loaded = _Named.load(tmp_path / "run")
    assert (type(loaded), loaded.name) == (_Named, "his")
    with pytest.raises(ValueError, match="MTLCM has no parameter name: got a model of another class"):
        MTLCM.load(tmp_path / "run")
    fitted.name = len
    with pytest.raises(TypeError, match="name cannot be saved without pickle: got builtin_function_or_method"):
        fitted.save(tmp_path / "run")


def test_accumulated_rows_alone_are_no_model(data, tmp_path):
    model = MTLCM().partial_fit(data.H[:2], data.y[:2], data.tasks[:2])
    assert isinstance(model.accumulated_, TaskMoments)
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())
