"""Tasks drawn from the multi-task causal model, with every parameter known.

The linear and the nonlinear data of the published experiments (Figures 2a and 3 of arXiv:2306.14861).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from identirep._typing import Array, RandomState
from identirep.datasets.causal_tasks import check_count, check_deviation, draw_tasks
from identirep.seeds import as_generator

__all__ = ["RandomDecoder", "make_linear_tasks", "make_nonlinear_tasks"]

_MIXINGS = ("random", "orthogonal", "identity")
_SLOPES = {"relu": 0.0, "leaky_relu": 0.2}


def make_linear_tasks(
    n_tasks: int = 200,
    n_samples: int = 100,
    n_latents: int = 10,
    n_causal: int = 2,
    *,
    mixing: str | ArrayLike = "random",
    n_features: int | None = None,
    observation_noise: float = 0.01,
    spurious_std: float = 0.1,
    target_noise: tuple[float, float] = (2.0, 3.0),
    standardize: bool = True,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw tasks whose features are a linear mixture of causal and spurious latents.

    For each task t, `n_causal` latents chosen at random are causes of the target and the others its effects:

    .. math::
        z_i &\sim N(0, 1), \quad w_{ti} \sim N(0, 1) && \text{(causal)} \\
        y &= \sum_i w_{ti} z_i + N(0, s_t^2), \quad s_t \sim U(\text{target\_noise}) \\
        z_i &= \gamma_{ti} y + N(0, q^2), \quad \gamma_{ti} \sim U(-1, 1) && \text{(spurious)} \\
        h &= A z + N(0, o^2 I)

    with q = `spurious_std` and o = `observation_noise`. The causal graph is that of Figure 1 of the reference, and the
    defaults are those of its experiments on linear data (Figure 2a).

    Parameters
    ----------
    n_tasks : int, default 200
        Number of tasks T.
    n_samples : int, default 100
        Samples of each task.
    n_latents : int, default 10
        Number of latents D.
    n_causal : int, default 2
        Causal latents of each task, 0 to D.
    mixing : {"random", "orthogonal", "identity"} or array-like of shape (n_features, n_latents), default "random"
        The matrix A: standard normal entries; orthonormal columns, uniformly distributed (Haar); leading columns of the
        identity; or as given.
    n_features : int, optional
        Number of features K, at least D; default D, or the number of rows of a given `mixing`.
    observation_noise : float, default 0.01
        Standard deviation o of the noise on each feature.
    spurious_std : float, default 0.1
        Standard deviation q of spurious latents given the target, before standardising.
    target_noise : tuple of two floats, default (2.0, 3.0)
        Range of the standard deviation s_t of the target given its causes.
    standardize : bool, default True
        Whether to give each latent mean 0 and standard deviation 1 over the samples of each task, before mixing.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed or generator.

    Returns
    -------
    sklearn.utils.Bunch
        Rows are ordered by task, N = T * n_samples. With attributes

        - ``H``, shape (N, K): features; ``y``, shape (N,): targets; ``tasks``, int, shape (N,): 0 to T - 1;
        - ``Z``, shape (N, D): latents; ``mixing``, shape (K, D);
        - ``causal``, bool, shape (T, D): which latents are causes;
        - ``causal_coef``, shape (T, D): w, zero where spurious; ``intercept``, ``target_noise``, shape (T,):
          ``y = Z @ causal_coef[t] + intercept[t] + N(0, target_noise[t]**2)``;
        - ``spurious_coef``, shape (T, D): gamma, zero where causal; ``spurious_intercept``, ``spurious_std``, shape
          (T, D): ``Z_i = spurious_coef[t, i] * y + spurious_intercept[t, i] + N(0, spurious_std[t, i]**2)``.

    Raises
    ------
    ValueError
        If sizes, deviations or `mixing` are out of range; the message lists all faults.
    TypeError
        If a size is not an int.

    Notes
    -----
    Coefficients refer to the returned ``Z``, so with `standardize` they are the drawn ones rescaled. Standardising uses
    the sample moments of the task, which couples its rows by O(1 / n_samples).

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging task structures for improved identifiability in
    neural network representations", TMLR 2024, arXiv:2306.14861.

    Examples
    --------
    >>> from identirep.datasets import make_linear_tasks
    >>> data = make_linear_tasks(n_tasks=50, n_latents=4, n_causal=1, random_state=0)
    >>> data.H.shape, int(data.causal.sum(axis=1).max())
    ((5000, 4), 1)
    """
    faults: list[str] = []
    A = None if isinstance(mixing, str) else np.asarray(mixing, dtype=np.float64)
    check_deviation(faults, "observation_noise", observation_noise)
    if n_features is not None:
        check_count(faults, "n_features", n_features, n_latents, "n_latents")
    if A is None and mixing not in _MIXINGS:
        faults.append(f"mixing is unknown: got {mixing!r}, expected one of {_MIXINGS} or an array. Choose one.")
    if A is not None:
        _check_mixing(faults, A, n_features, n_latents)
    rng = as_generator(random_state)
    data = draw_tasks(
        rng, n_tasks, n_samples, n_latents, n_causal, spurious_std, target_noise, standardize, faults=faults
    )
    if A is None:
        A = _draw_mixing(rng, str(mixing), n_latents if n_features is None else n_features, n_latents)
    # Figure 2a: h = A z + noise, equation (9).
    data.mixing = A
    data.H = data.Z @ A.T + observation_noise * rng.standard_normal((len(data.Z), len(A)))
    return data


def make_nonlinear_tasks(
    n_tasks: int = 500,
    n_samples: int = 200,
    n_latents: int = 20,
    n_observed: int = 100,
    n_causal: int = 4,
    *,
    hidden_sizes: Sequence[int] | None = None,
    activation: str = "relu",
    observation_noise: float = 0.0,
    spurious_std: float = 0.1,
    target_noise: tuple[float, float] = (2.0, 3.0),
    standardize: bool = True,
    random_state: RandomState = None,
) -> Bunch:
    """Draw tasks whose observations are a random neural network of causal and spurious latents.

    Targets and latents follow `make_linear_tasks`; the observations are ``x = decoder(z) + N(0, o^2 I)`` with a
    perceptron of random weights. The defaults are those of the published experiments on nonlinear data (Figure 3 of
    the first reference).

    Parameters
    ----------
    n_tasks : int, default 500
        Number of tasks T.
    n_samples : int, default 200
        Samples of each task.
    n_latents : int, default 20
        Number of latents D.
    n_observed : int, default 100
        Dimension of the observations, at least D.
    n_causal : int, default 4
        Causal latents of each task, 0 to D.
    hidden_sizes : sequence of int, optional
        Widths of the hidden layers of the decoder; default one layer of width `n_observed`.
    activation : {"relu", "leaky_relu"}, default "relu"
        Activation of the hidden layers; the leaky one has slope 0.2.
    observation_noise : float, default 0.0
        Standard deviation o of the noise on each observation.
    spurious_std : float, default 0.1
        Standard deviation of spurious latents given the target, before standardising.
    target_noise : tuple of two floats, default (2.0, 3.0)
        Range of the standard deviation of the target given its causes.
    standardize : bool, default True
        Whether to give each latent mean 0 and standard deviation 1 over the samples of each task, before decoding.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed or generator.

    Returns
    -------
    sklearn.utils.Bunch
        As `make_linear_tasks`, with ``X``, shape (N, n_observed), in place of ``H`` and a `RandomDecoder` ``decoder``
        in place of ``mixing``.

    Raises
    ------
    ValueError
        If sizes, deviations or `activation` are out of range; the message lists all faults.
    TypeError
        If a size is not an int.

    Notes
    -----
    Latents can be recovered only where the decoder is injective. With ``"leaky_relu"`` it almost surely is if no layer
    is narrower than the one before it. A ``"relu"`` layer loses every direction in which its active units do not
    change, and half of its units are active on average: a wide layer (the default, 100 units for 20 latents) keeps
    all of them, a narrow one (20 units for 10 latents, published too) gives equal observations for different latents
    at many points, and no method can tell those apart.

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging task structures for improved identifiability in
    neural network representations", TMLR 2024, arXiv:2306.14861.

    M. Puthawala et al., "Globally injective ReLU networks", JMLR 23 (2022), 1-55.

    Examples
    --------
    >>> from identirep.datasets import make_nonlinear_tasks
    >>> data = make_nonlinear_tasks(n_tasks=20, n_latents=5, n_observed=30, random_state=0)
    >>> data.X.shape, data.Z.shape
    ((4000, 30), (4000, 5))
    """
    faults: list[str] = []
    check_deviation(faults, "observation_noise", observation_noise)
    check_count(faults, "n_observed", n_observed, n_latents, "n_latents")
    widths = [n_observed] if hidden_sizes is None else list(hidden_sizes)
    for position, width in enumerate(widths):
        check_count(faults, f"hidden_sizes[{position}]", width, 1)
    if activation not in _SLOPES:
        faults.append(f"activation is unknown: got {activation!r}, expected one of {tuple(_SLOPES)}. Choose one.")
    rng = as_generator(random_state)
    data = draw_tasks(
        rng, n_tasks, n_samples, n_latents, n_causal, spurious_std, target_noise, standardize, faults=faults
    )
    # Figure 3: x = decoder(z) + noise.
    data.decoder = _draw_decoder(rng, [n_latents, *widths, n_observed], _SLOPES[activation])
    data.X = data.decoder(data.Z) + observation_noise * rng.standard_normal((len(data.Z), n_observed))
    return data


@dataclass(frozen=True)
class RandomDecoder:
    """Perceptron with given weights: latents to observations without noise.

    Parameters
    ----------
    weights : tuple of arrays, each of shape (fan_out, fan_in)
        Weights of the layers, first layer first.
    biases : tuple of arrays, each of shape (fan_out,)
        Biases of the layers.
    slope : float
        Slope of the activation below zero: 0 is the ReLU.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.datasets.synthetic import RandomDecoder
    >>> one = np.ones((1, 1))
    >>> decoder = RandomDecoder(weights=(one, one), biases=(np.zeros(1), np.zeros(1)), slope=0.2)
    >>> decoder(np.array([[-1.0], [1.0]])).tolist()
    [[-0.2], [1.0]]
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    slope: float

    def __call__(self, Z: ArrayLike) -> Array:
        """Decode latents.

        Parameters
        ----------
        Z : array-like, shape (n_samples, n_latents)
            Latents.

        Returns
        -------
        array, shape (n_samples, n_observed)
            Observations without noise.
        """
        x = np.asarray(Z, dtype=np.float64)
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer > 0:
                x = np.maximum(x, self.slope * x)
            x = x @ W.T + b
        return x


def _draw_decoder(rng: np.random.Generator, sizes: Sequence[int], slope: float) -> RandomDecoder:
    """Draw weights and biases uniformly within 1 / sqrt(fan_in), as PyTorch initialises a linear layer."""
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = fan_in**-0.5
        weights.append(rng.uniform(-bound, bound, size=(fan_out, fan_in)))
        biases.append(rng.uniform(-bound, bound, size=fan_out))
    return RandomDecoder(tuple(weights), tuple(biases), slope)


def _draw_mixing(rng: np.random.Generator, kind: str, n_features: int, n_latents: int) -> Array:
    """Draw the mixing matrix, shape (n_features, n_latents)."""
    if kind == "identity":
        return np.eye(n_features, n_latents)
    A = rng.standard_normal((n_features, n_latents))
    if kind == "random":
        return A
    Q, R = np.linalg.qr(A)
    # The sign convention of QR is not uniform; fixing the signs of R makes Q Haar (Mezzadri 2007).
    return Q * np.sign(np.diagonal(R))


def _check_mixing(faults: list[str], A: Array, n_features: int | None, n_latents: int) -> None:
    """Collect what is wrong with a given mixing matrix."""
    rows = "n_features" if n_features is None else n_features
    if A.ndim != 2 or A.shape[1] != n_latents or A.shape[0] < n_latents or n_features not in (None, A.shape[0]):
        faults.append(
            f"mixing has the wrong shape: got {A.shape}, expected ({rows}, n_latents={n_latents}) with at least as "
            "many rows as columns. Pass the matrix that maps latents to features."
        )
    elif not np.isfinite(A).all() or np.linalg.matrix_rank(A) < n_latents:
        faults.append("mixing is singular or not finite: expected full column rank. Pass an injective matrix.")
