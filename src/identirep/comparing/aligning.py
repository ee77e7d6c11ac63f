"""A model in the axes of another: order, signs, scales, origins and names of those that come back."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from identirep._typing import IntArray
from identirep.comparing.comparison import Comparison, Measured, compared, measure

__all__ = ["align", "aligned", "remark_on_lost"]

_Model = TypeVar("_Model")


def align(new: _Model, old: Any, X: Any) -> _Model:
    """Give a new model the order, signs, scales, origins and names of an old one.

    Parameters
    ----------
    new : IdentifiableRegressor or MTLCM
        Fitted model; it is not changed.
    old : IdentifiableRegressor or MTLCM
        Fitted model with the axes that are wanted.
    X : array-like, shape (n_samples, n_features)
        Inputs of both, as for `compare`.

    Returns
    -------
    IdentifiableRegressor or MTLCM
        The new model in the axes of the old one: an axis that is kept (see `Comparison`) has the place, the name, the
        sign, and on these rows the mean and deviation of the old one. Axes that are not have no name from the old
        model; they fill the places that are left, and what is more comes last. With fewer latents than the old model
        has, kept axes are in the old order.

    Raises
    ------
    ValueError
        If the models have no input in common, `X` lacks inputs, or has too few rows.

    See Also
    --------
    compare : What has become of each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor, align
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(900, 6))
    >>> y = np.repeat(X[:, :3], 5, axis=1) + 0.3 * rng.normal(size=(900, 15))
    >>> old, new = (
    ...     IdentifiableRegressor(3, regressor=LinearRegression(), random_state=0).fit(X[rows], y[rows])
    ...     for rows in (slice(300), slice(300, 600))
    ... )
    >>> old.name_latents({0: "density"})
    IdentifiableRegressor(...)
    >>> align(new, old, X).latent_names_
    ('density', 'latent_1', 'latent_2')
    """
    return aligned(new, old, measure(old, new, X))[0]


def aligned(new: _Model, old: Any, measured: Measured) -> tuple[_Model, Comparison]:
    """Return a new model in the axes of an old one, and the comparison of both then."""
    found = compared(old, new, measured)
    order, origin_of = _order(found, measured.new.shape[1])
    factor, origin = np.ones(len(order)), np.zeros(len(order))
    names: dict[int, str] = {}
    given, own = old._names_of_latents(), new._names_of_latents()  # type: ignore[attr-defined]
    for k, i in enumerate(origin_of):
        if i < 0:
            continue
        factor[k] = found.sign[i]
        if found.kept[i]:
            z, w = measured.old[:, i], measured.new[:, order[k]]
            factor[k] *= z.std() / w.std()
            origin[k] = z.mean() - factor[k] * w.mean()
            if i in given:
                names[k] = given[i]
    for k, j in enumerate(order):
        # Names of the new model's own stay with axes that are its own.
        if (origin_of[k] < 0 or not found.kept[origin_of[k]]) and j in own and own[j] not in given.values():
            names[k] = own[j]
    moved = new._in_axes(order, factor, origin).name_latents(names)  # type: ignore[attr-defined]
    return moved, compared(old, moved, measured._replace(new=factor * measured.new[:, order] + origin))


def _order(found: Comparison, n_new: int) -> tuple[IntArray, list[int]]:
    """Return the new axis of each place, and the old one that it is the partner of, -1 for none."""
    places = [(int(j), i) for i, j in enumerate(found.partner) if j >= 0]
    taken = {j for j, _ in places}
    places += [(j, -1) for j in range(n_new) if j not in taken]
    return np.array([j for j, _ in places], dtype=np.int64), [i for _, i in places]


def remark_on_lost(found: Comparison) -> str:
    """Say which axes of an old model do not come back, and what has become of them; empty if all do."""
    lost = [i for i, kept in enumerate(found.kept) if not kept]
    if not lost:
        return ""
    parts = []
    for i in lost:
        into = ", ".join(found.new_names[j] for j in found.of[i])
        words = {"turned": f"turned into a mixture of {into}", "split": f"split into {into}"}
        words |= {"merged": f"merged with others into {into}", "lost": "lost"}
        r = f", {found.correlation[i]:.2f} with its partner" if found.partner[i] >= 0 else ""
        parts.append(f"{found.old_names[i]} ({words[found.verdict[i]]}{r})")
    return (
        f"{len(lost)} of {len(found.old_names)} axes do not come back: {'; '.join(parts)}. They have no name from the "
        f"old model. Measured on {found.n_rows:,} {found.rows}."
    )
