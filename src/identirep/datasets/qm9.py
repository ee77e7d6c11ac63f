"""QM9: 130,831 small organic molecules with geometries and 12 quantum chemical properties."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from identirep._typing import Array, IntArray, RandomState
from identirep.datasets.coulomb import coulomb_names, coulomb_vectors
from identirep.datasets.qm9_table import MAX_ATOMS, N_MOLECULES, TARGETS, read_molecules
from identirep.parameters import raise_faults
from identirep.seeds import as_generator

__all__ = ["load_qm9"]

_ELEMENTS = {1: "H", 6: "C", 7: "N", 8: "O", 9: "F"}
# Energies of free atoms in hartree by the same method, B3LYP/6-31G(2df,p): `atomref.txt` of the published data.
_FREE_ATOMS = {
    "U0": {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730},
    "U": {1: -0.498857, 6: -37.845355, 7: -54.582445, 8: -75.063163, 9: -99.717314},
    "H": {1: -0.497912, 6: -37.844411, 7: -54.581501, 8: -75.062219, 9: -99.716370},
    "G": {1: -0.510927, 6: -37.861317, 7: -54.598897, 8: -75.079532, 9: -99.733544},
}
_DESCRIPTION = """\
QM9
---
130,831 stable organic molecules of up to nine atoms C, N, O and F (with hydrogen at most 29), each with a relaxed
geometry and properties by B3LYP/6-31G(2df,p). Of the 133,885 published molecules 3,054 are left out, whose
geometries may have changed their bonds during relaxation.

mu     debye           dipole moment
alpha  bohr^3          isotropic polarisability
homo   hartree         energy of the highest occupied orbital
lumo   hartree         energy of the lowest unoccupied orbital
gap    hartree         lumo - homo
r2     bohr^2          electronic spatial extent
zpve   hartree         zero-point vibrational energy
U0     hartree         internal energy at 0 K
U      hartree         internal energy at 298.15 K
H      hartree         enthalpy at 298.15 K
G      hartree         free energy at 298.15 K
Cv     cal/(mol K)     heat capacity at 298.15 K

U0, U, H and G are energies of atomisation (that of the molecule less those of its free atoms), or with
energies="total" those of the molecule.

Provenance: Python package qm9pack by R. Ramakrishnan (MIT licence), which holds the published values in text files.
Energies of free atoms: atomref.txt of the published data.

Citation: R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, "Quantum chemistry structures and properties of
134 kilo molecules", Scientific Data 1 (2014) 140022, https://doi.org/10.1038/sdata.2014.22; molecules from L.
Ruddigkeit, R. van Deursen, L. C. Blum, J.-L. Reymond, Journal of Chemical Information and Modeling 52 (2012) 2864-2875.
The published data are dedicated to the public domain (CC0).
"""


def load_qm9(
    *,
    representation: str = "coulomb",
    n_molecules: int | None = None,
    energies: str = "atomization",
    cache_dir: str | os.PathLike[str] | None = None,
    random_state: RandomState = None,
    return_X_y: bool = False,
) -> Any:
    """Load QM9: molecules, and 12 properties of each; nothing is downloaded.

    The data are those of the package qm9pack (``pip install 'identirep[qm9]'``). They are parsed once and then kept as
    a Parquet file.

    Parameters
    ----------
    representation : {"coulomb", "geometry"}, default "coulomb"
        What a row of ``X`` is. "coulomb": 184 numbers for any regressor, which are the number of atoms of each element,
        the eigenvalues of the Coulomb matrix, and for each pair of elements the repulsions Z_i Z_j / r_ij, summed in
        ten bins of the distance. "geometry": 29 atoms of four numbers, atomic number and x, y, z in angstrom, padded
        with zeros; this is what `identirep.mtrn.EGNN` reads.
    n_molecules : int, optional
        Size of a random subset. Default: all.
    energies : {"atomization", "total"}, default "atomization"
        Whether U0, U, H and G are relative to free atoms. Of the variance of total energies, a linear function of the
        number of atoms of each element explains all but 1e-6, so that what bonds add is lost in it; of that of the
        energies of atomisation all but 1e-2.
    cache_dir : str or path-like, optional
        Folder of the Parquet file. Default: ``$XDG_CACHE_HOME/identirep``, or ``~/.cache/identirep``.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of the subset.
    return_X_y : bool, default False
        Whether to return ``(X, Y)`` instead of the Bunch.

    Returns
    -------
    sklearn.utils.Bunch or tuple of two arrays
        With attributes

        - ``X``, float32, shape (n, n_features): as `representation` says;
        - ``Y``, float64, shape (n, 12): the properties;
        - ``feature_names``, ``target_names``: lists of str;
        - ``groups``, int array of shape (n,): stereoisomers and tautomers with the same InChI share a number;
        - ``smiles``, ``index``, arrays of shape (n,): SMILES and the number of the molecule in the published data;
        - ``DESCR``: units, provenance, citation and licence.

    Raises
    ------
    ImportError
        If the package qm9pack is not installed.
    ValueError
        If an argument is out of range, or the package has other data than expected.

    See Also
    --------
    sklearn.model_selection.GroupShuffleSplit : Splits that keep ``groups`` together.

    Notes
    -----
    U0, U, H and G are nearly one target, and gap is the difference of two others, so that the 12 targets have at most
    eight directions worth telling apart.

    References
    ----------
    R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, "Quantum chemistry structures and properties of 134 kilo
    molecules", Scientific Data 1 (2014) 140022.

    Examples
    --------
    >>> from identirep.datasets import load_qm9
    >>> data = load_qm9(n_molecules=1000, random_state=0)  # doctest: +SKIP
    >>> data.Y.shape, data.target_names[:3]  # doctest: +SKIP
    ((1000, 12), ['mu', 'alpha', 'homo'])
    """
    _check_arguments(representation, n_molecules, energies)
    rng = as_generator(random_state)
    table = read_molecules(cache_dir)
    counts = _count_elements(table)
    chosen = np.arange(N_MOLECULES)
    if n_molecules is not None:
        chosen = np.sort(rng.permutation(N_MOLECULES)[:n_molecules])
        table = table.take(chosen)
    Y = np.column_stack([table[name].to_numpy() for name in TARGETS.values()])
    if energies == "atomization":
        Y -= counts[chosen] @ _reference_energies()
    numbers, positions = _padded_atoms(table)
    if representation == "coulomb":
        X = coulomb_vectors(numbers, positions, list(_ELEMENTS))
        feature_names = coulomb_names(list(_ELEMENTS.values()), MAX_ATOMS)
    else:
        X = np.concatenate([numbers[:, :, None].astype(np.float32), positions.astype(np.float32)], axis=2)
        X = X.reshape(len(X), 4 * MAX_ATOMS)
        feature_names = [f"{name}{i}" for i in range(MAX_ATOMS) for name in ("number", "x", "y", "z")]
    if return_X_y:
        return X, Y
    return Bunch(
        X=X,
        Y=Y,
        feature_names=feature_names,
        target_names=list(TARGETS.values()),
        groups=table["inchi"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        smiles=table["smiles"].to_numpy().astype(str),
        index=table["index"].to_numpy(),
        DESCR=_DESCRIPTION,
    )


def _check_arguments(representation: str, n_molecules: int | None, energies: str) -> None:
    """Raise for all arguments that are out of range."""
    faults = [
        f"{name} is unknown: got {value!r}, expected {' or '.join(map(repr, choices))}. Choose one."
        for name, value, choices in (
            ("representation", representation, ("coulomb", "geometry")),
            ("energies", energies, ("atomization", "total")),
        )
        if value not in choices
    ]
    if n_molecules is not None:
        if isinstance(n_molecules, bool) or not isinstance(n_molecules, Integral):
            raise TypeError(f"n_molecules has the wrong type: got {n_molecules!r}, expected an int. Pass an int.")
        if not 1 <= n_molecules <= N_MOLECULES:
            faults.append(
                f"n_molecules is out of range: got {n_molecules}, expected 1 to {N_MOLECULES}. Leave it out for all."
            )
    raise_faults(faults)


def _flat_atoms(table: Any) -> tuple[IntArray, NDArray[np.uint8], Array]:
    """Return the molecule of each atom, its atomic number and its coordinates."""
    numbers, positions = table["numbers"].combine_chunks(), table["positions"].combine_chunks()
    molecule = np.repeat(np.arange(len(numbers)), np.diff(numbers.offsets.to_numpy()))
    return molecule, numbers.flatten().to_numpy(), positions.flatten().to_numpy().reshape(-1, 3)


def _count_elements(table: Any) -> IntArray:
    """Count the atoms of each element, shape (n_molecules, 5)."""
    molecule, numbers, _ = _flat_atoms(table)
    counts = [np.bincount(molecule[numbers == element], minlength=table.num_rows) for element in _ELEMENTS]
    return np.column_stack(counts)


def _reference_energies() -> Array:
    """Return what a free atom of each element adds to each target, shape (5, 12)."""
    references = [[_FREE_ATOMS.get(target, {}).get(z, 0.0) for target in TARGETS.values()] for z in _ELEMENTS]
    return np.array(references)


def _padded_atoms(table: Any) -> tuple[NDArray[np.uint8], Array]:
    """Return atomic numbers (n_molecules, 29) and coordinates (n_molecules, 29, 3), padded with zeros."""
    molecule, numbers, positions = _flat_atoms(table)
    place = np.arange(len(molecule)) - np.searchsorted(molecule, molecule)
    padded_numbers = np.zeros((table.num_rows, MAX_ATOMS), dtype=np.uint8)
    padded_positions = np.zeros((table.num_rows, MAX_ATOMS, 3))
    padded_numbers[molecule, place], padded_positions[molecule, place] = numbers, positions
    return padded_numbers, padded_positions
