"""Names of latents: given by users, checked, and kept with the model."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin

from identirep.shapes import Damage

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LatentTransformer", "Names", "changed_names", "default_name", "stored_names"]

Names = dict[int, str]

# Longer names break tables and reports.
_LONGEST = 100


def default_name(i: int) -> str:
    """Return what a latent is called that nobody has named."""
    return f"latent_{i}"


def changed_names(before: Names, changes: Any, n_latents: int) -> Names:
    """Return the names of latents after some were given, changed or (by None) taken away; raise if one cannot be."""
    if not isinstance(changes, Mapping):
        raise TypeError(
            f"names is not a mapping: got {type(changes).__name__}, expected numbers of latents and their names. Pass "
            "for example {0: 'density'}."
        )
    after = dict(before)
    for key, name in changes.items():
        if isinstance(key, bool) or not isinstance(key, Integral):
            raise TypeError(
                f"names has a key that is no number: got {key!r}, expected that of a latent. Pass for example "
                "{0: 'density'}."
            )
        i = int(key)
        if not 0 <= i < n_latents:
            expected = f"a number from 0 to {n_latents - 1}" if n_latents else "no names, since there are no latents"
            raise ValueError(f"names has an unknown latent: got {i}, expected {expected}. Change it.")
        after.pop(i, None)
        if name is not None:
            after[i] = _checked(i, name)
    _check_unique(after, n_latents)
    return dict(sorted(after.items()))


def stored_names(names: Any, n_latents: int) -> Names:
    """Return names that a run has, None for runs from before there were any."""
    try:
        found = {} if names is None else {int(i): name for i, name in names.items()}
        return changed_names({}, found, n_latents)
    except (AttributeError, TypeError, ValueError) as error:
        raise Damage(f"names of latents that are none ({error})") from None


def _checked(i: int, name: Any) -> str:
    """Return a name that can be told and printed."""
    if not isinstance(name, str):
        raise TypeError(
            f"names has something else than a text for latent {i}: got {type(name).__name__}, expected a name. Pass a "
            "text, or None to take the name away."
        )
    # One and the same text, however it was typed.
    name = unicodedata.normalize("NFC", name)
    rule = "letters, digits, signs and single spaces inside, at most 100 characters"
    if not name or name != name.strip() or len(name) > _LONGEST or not name.isprintable():
        shown = ascii(name) if len(name) <= _LONGEST else f"{len(name)} characters"
        raise ValueError(f"names is not printable for latent {i}: got {shown}, expected {rule}. Choose another name.")
    return name


def _check_unique(names: Names, n_latents: int) -> None:
    """Raise if two latents have one name, or one has the name that another would have without one."""
    owner = {text: i for i in range(n_latents) for text in (default_name(i), f"z{i}")}
    for i, name in names.items():
        if owner.setdefault(name, i) != i:
            first, second = sorted((owner[name], i))
            raise ValueError(
                f"names is not unique: got {name!r} for latents {first} and {second}, expected a name for one of them. "
                "Choose another name."
            )


class LatentTransformer(TransformerMixin):
    """Base of all whose `transform` returns latents, which can be named."""

    @property
    def latent_names_(self) -> tuple[str, ...]:
        """Names of the latents, "latent_0", "latent_1", ... where none was given."""
        given = self._names_of_latents()
        return tuple(given.get(i, default_name(i)) for i in range(self._n_latents_out))

    def name_latents(self, names: Mapping[int, str | None]) -> Self:
        """Name latents: names are stored with the model, and used by what shows latents.

        Parameters
        ----------
        names : mapping of int to str or None
            Number of a latent and its name; None takes a name away. Other latents keep theirs. A name is printable, at
            most 100 characters long, and that of one latent only.

        Returns
        -------
        LatentTransformer
            This model.

        Raises
        ------
        ValueError
            If there is no such latent, or a name is not unique or not printable; nothing is changed then.
        TypeError
            If `names` is not a mapping from numbers to texts.

        Notes
        -----
        A new fit finds new axes, and so starts without names; `IdentifiableRegressor.fit` with ``like`` carries them
        over to axes that come back.
        """
        self._set_names(changed_names(self._names_of_latents(), names, self._n_latents_out))
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the latents, which `transform` gives to the columns of a data frame.

        Parameters
        ----------
        input_features : array-like of str, optional
            Ignored; latents are not named after the inputs.

        Returns
        -------
        array of str, shape (n_components_,)
            `latent_names_`: "latent_0", "latent_1", ... unless `name_latents` has given others.
        """
        return np.array(self.latent_names_, dtype=object)

    @property
    def _n_latents_out(self) -> int:
        return int(self.n_components_)  # type: ignore[attr-defined]

    @abstractmethod
    def _names_of_latents(self) -> Names:
        """Return the names that were given, by number; of a fitted model only."""

    @abstractmethod
    def _set_names(self, names: Names) -> None:
        """Keep the names that were given, by number, which are checked."""
