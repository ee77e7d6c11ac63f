"""Files of a fitted MTLCM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from identirep.persistence import Part, Run, opened_run, restored, write_run

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["StoredLatents"]


class StoredLatents:
    """Base of `MTLCM`: `save` and `load`."""

    n_features_in_: int
    feature_names_in_: Any

    def save(self, directory: str | Path) -> None:
        """Write the model to a run directory.

        Parameters
        ----------
        directory : str or Path
            ``model.safetensors`` and ``model.json`` are put there, all or none; other files of an existing run
            directory are kept. `random_state` is stored if it is an int.

        Raises
        ------
        TypeError
            If a parameter of a subclass is neither a number nor a text.
        ValueError
            If the directory holds something else than a run.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        write_run(directory, Run("MTLCM", {"model": Part.of(self)}, names))

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a model that `save` has written, without pickle.

        Parameters
        ----------
        directory : str or Path
            Run directory.

        Returns
        -------
        MTLCM
            Of the class that `load` is called on; gives the same latents, bit for bit on the same machine.

        Raises
        ------
        FileNotFoundError
            If there is no model in the directory.
        ValueError
            If the files are damaged, of a newer format, or hold a model of another kind.
        """
        with opened_run(directory, "MTLCM") as run:
            model = restored(cls, run.parts["model"])
            if run.feature_names is not None:
                model.feature_names_in_ = run.names_of(model.n_features_in_)
        return model
