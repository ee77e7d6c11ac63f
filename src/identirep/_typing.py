"""Types that many files name."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "BoolArray", "Counts", "IntArray", "RandomState"]

Array: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
# Numbers of rows: ints, or effective numbers of rows with weights.
Counts: TypeAlias = NDArray[Any]
# What every `random_state` may be; `seeds.as_generator` makes a generator of it.
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
