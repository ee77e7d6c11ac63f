"""Random number generators from the ``random_state`` argument."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from identirep._typing import RandomState

__all__ = ["as_generator"]


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Turn the ``random_state`` argument of an estimator or function into a generator.

    The global generator of NumPy is neither read nor moved.

    Parameters
    ----------
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        An int gives the same numbers on each call; a Generator is used as it is, so it moves on; a RandomState provides
        the seed, and moves on too; None takes fresh entropy from the operating system.

    Returns
    -------
    numpy.random.Generator
        The generator.

    Raises
    ------
    ValueError
        If `random_state` is a negative int.
    TypeError
        If `random_state` is of another type.

    Examples
    --------
    >>> as_generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(
                f"random_state is negative: got {random_state}, expected an int >= 0. Choose a non-negative seed."
            )
        return np.random.default_rng(int(random_state))
    if random_state is None:
        return np.random.default_rng()
    raise TypeError(
        f"random_state has the wrong type: got {type(random_state).__name__}, expected an int, None, or a NumPy "
        "Generator or RandomState. Pass an int for reproducible results."
    )
