"""Other rows, features given: what halves of the rows say is what fits to other rows show."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm import TURNED
from identirep.mtlcm.data import halves_of
from identirep.splits import split_rows
from identirep.validation import check_task_data


def _tasks(seed, n=40, T=30, D=4):
    """Long tasks of one mixing, whose strengths depend on the seed alone, and a function that draws their rows."""
    rng = np.random.default_rng(seed)
    variances = rng.gamma(1.5, size=(T, D)) + 0.2
    mixing = np.linalg.qr(rng.normal(size=(D, D)))[0]
    coef = rng.normal(size=(T, D)) * (rng.random((T, D)) < 0.5)

    def draw(rows_seed):
        rng = np.random.default_rng([seed, rows_seed])
        Z = np.sqrt(variances)[:, None] * rng.normal(size=(T, n, D))
        y = np.einsum("tni,ti->tn", Z, coef) + rng.normal(size=(T, n))
        return Z.reshape(-1, D) @ mixing.T, y.reshape(-1), np.repeat(np.arange(T), n)

    return draw


def _wide(seed, n=300, T=25, D=3, *, sparse=True):
    rng = np.random.default_rng(seed)
    heads = rng.normal(size=(D, T)) * ((rng.random((D, T)) < 0.35) if sparse else 1.0)

    def draw(rows_seed):
        rng = np.random.default_rng([seed, rows_seed])
        Z = rng.normal(size=(n, D))
        return Z, Z @ heads + rng.normal(size=(n, T)), None

    return draw


def _actual(model, H, draw, n_others=4):
    """Agreement of each axis with fits to other rows."""
    others = [MTLCM(noise_std=0.0, random_state=1).fit(*draw(100 + k)) for k in range(n_others)]
    return np.mean([mcc(model.transform(H), other.transform(H)).per_latent for other in others], axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_tasks, _wide])
def test_halves_say_what_other_rows_show(make):
    ratios = []
    for seed in range(8):
        draw = make(seed)
        H, y, tasks = draw(0)
        model = MTLCM(noise_std=0.0, random_state=0).fit(H, y, tasks)
        back = model.certificate_.comes_back
        assert "two halves" in back.how
        actual = _actual(model, H, draw)
        ratios.append(np.mean(1 - back.other_rows) / np.mean(1 - actual))
        assert np.all(back.other_rows_interval[:, 0] <= back.other_rows)
    # A turn of the axes, seen by one of the two alone, is worth a factor ten: hence the median.
    assert 0.5 < np.median(ratios) < 2.0


@pytest.mark.slow
def test_moments_are_checked_by_the_parametric_bootstrap():
    ratios = []
    for seed in range(6):
        draw = _tasks(seed)
        H, y, tasks = draw(0)
        model = MTLCM(noise_std=0.0, random_state=0).fit_moments(TaskMoments.from_long(H, y, tasks))
        back = model.certificate_.comes_back
        assert "no halves of the rows are known" in back.how
        ratios.append(np.mean(1 - back.other_rows) / np.mean(1 - _actual(model, H, draw)))
    assert 0.6 < np.exp(np.mean(np.log(ratios))) < 1.67


@pytest.mark.slow
def test_chance_of_a_turn_is_that_of_fits_to_other_rows():
    """Few tasks, some of whose latents hardly any target tells: axes turn, and it is said which."""
    said, turned = [], []
    for seed in range(6):
        draw = _wide(seed, n=200, T=12, D=4)
        H, y, _ = draw(0)
        model = MTLCM(random_state=0).fit(H, y)
        others = []
        for k in range(1, 5):
            H, y, _ = draw(k)
            other = MTLCM(random_state=1).fit(H, y)
            others.append(mcc(model.transform(H), other.transform(H)).per_latent < TURNED)
        said.append(model.certificate_.comes_back.turn_probability)
        turned.append(np.mean(others, axis=0))
    said, turned = np.concatenate(said), np.concatenate(turned)
    assert np.sum(turned >= 0.5) >= 3
    assert said[turned >= 0.5].mean() > 0.4
    assert said[turned == 0.0].mean() < 0.2


def test_tasks_with_few_rows_are_not_halved():
    data = make_linear_tasks(n_tasks=60, n_samples=5, n_latents=3, random_state=0)
    back = MTLCM(random_state=0).fit(data.H, data.y, data.tasks).certificate_.comes_back
    assert "parametric bootstrap" in back.how
    assert np.isfinite(back.other_rows).all()


def test_one_latent_has_to_come_back_too():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(400, 2))
    noise = H @ rng.normal(size=(2, 10)) * 0.05 + rng.normal(size=(400, 10))
    assert "reproducible" not in MTLCM(1, random_state=0).fit(H, noise).certificate_.verdict


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_what_is_left_of_the_moments_is_the_other_half(layout):
    rng = np.random.default_rng(0)
    H = rng.normal(size=(60, 3)) + 100.0
    y, tasks = H[:, 0] + rng.normal(size=60), np.arange(60) % 4
    first = rng.random(60) < 0.4

    def moments(rows):
        if layout == "wide":
            return TaskMoments.from_arrays(H[rows], np.column_stack([y, y**2])[rows])
        return TaskMoments.from_long(H[rows], y[rows], tasks[rows])

    left, expected = moments(first | ~first)._without(moments(first)), moments(~first)
    assert left.n_rows == expected.n_rows
    for name in ("counts", "mean_h", "scatter_h", "mean_y", "scatter_hy", "scatter_y"):
        np.testing.assert_allclose(getattr(left, name), getattr(expected, name), rtol=1e-6, atol=1e-6)


def test_a_stored_model_keeps_what_was_measured(tmp_path):
    draw = _tasks(0)
    model = MTLCM(random_state=0).fit(*draw(0))
    model.save(tmp_path / "run")
    loaded, found = MTLCM.load(tmp_path / "run").certificate_, model.certificate_
    np.testing.assert_array_equal(loaded.comes_back.other_rows, found.comes_back.other_rows)
    assert loaded.comes_back.how == found.comes_back.how
    assert loaded.verdict == found.verdict


@pytest.mark.parametrize("side", [True, False])
def test_a_rare_value_in_one_half_alone_is_checked_by_the_bootstrap(side):
    X, Y, _ = _wide(0, n=120, T=8)(0)
    first = halves_of(check_task_data(X, Y))[0].mean_y[0]
    half = split_rows(120, 0.5, np.random.default_rng(0))
    assert Y[half, 0].mean() == pytest.approx(first), "the half that the fit takes"
    Y[:, 0] = 0.0
    Y[np.flatnonzero(half == side)[:3], 0] = 1.0
    found = MTLCM(random_state=0).fit(X, Y).certificate_.comes_back
    assert found.how == "by the parametric bootstrap of rows, features given"
    assert np.isfinite(found.other_rows).all()
