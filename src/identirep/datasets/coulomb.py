"""Vectors of Coulomb repulsions, which depend neither on the position of a molecule nor on the order of its atoms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array

__all__ = ["coulomb_names", "coulomb_vectors"]

# Distances that the repulsions of each pair of elements are sorted by, in angstrom: evenly spaced in exp(-r / 2), so
# that they are close to each other where bonds are. The last ones take what lies outside.
_N_BINS = 10
_LONGEST, _SHORTEST, _LENGTH = 8.0, 0.9, 2.0
# Molecules whose pairs of atoms are in memory at once.
_CHUNK = 1024


def coulomb_vectors(numbers: NDArray[np.uint8], positions: Array, elements: Sequence[int]) -> NDArray[np.float32]:
    r"""Compute element counts, eigenvalues of Coulomb matrices and Coulomb repulsions by distance.

    From atomic numbers, 0 for padding, and coordinates in angstrom to (n_molecules, n_elements + n_atoms + n_pairs *
    n_bins): number of atoms of each element; eigenvalues, in descending order, of the Coulomb matrix with :math:`Z_i
    Z_j / r_{ij}` off and :math:`Z_i^{2.4} / 2` on the diagonal (Rupp et al. 2012); and for each pair of elements the
    repulsions :math:`Z_i Z_j / r_{ij}` of its atom pairs, summed in bins of the distance. Each is shared by three bins
    around its distance, so that the sums are smooth functions of the coordinates.
    """
    n_molecules, n_atoms = numbers.shape
    n_elements, n_bins = len(elements), len(elements) * (len(elements) + 1) // 2 * _N_BINS
    X = np.empty((n_molecules, n_elements + n_atoms + n_bins), dtype=np.float32)
    for start in range(0, n_molecules, _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = np.linalg.norm(positions[rows, :, None] - positions[rows, None], axis=3)
        matrices = _coulomb_matrices(numbers[rows], distances)
        X[rows, :n_elements] = (numbers[rows, :, None] == np.array(elements)).sum(axis=1)
        X[rows, n_elements : n_elements + n_atoms] = np.linalg.eigvalsh(matrices)[:, ::-1]
        X[rows, n_elements + n_atoms :] = _binned_repulsions(numbers[rows], distances, matrices, elements)
    return X


def coulomb_names(symbols: Sequence[str], n_atoms: int) -> list[str]:
    """Name the columns of `coulomb_vectors`: "n_C", "eigenvalue_0", "CO_0.90" (distance at the middle of a bin)."""
    middles = -_LENGTH * np.log(_bin_middles())
    bins = [f"{a}{b}_{r:.2f}" for a, b in combinations_with_replacement(symbols, 2) for r in middles]
    return [f"n_{symbol}" for symbol in symbols] + [f"eigenvalue_{i}" for i in range(n_atoms)] + bins


def _bin_middles() -> Array:
    """Return the middles of the bins in exp(-r / length), from short distances to long ones."""
    return np.linspace(np.exp(-_SHORTEST / _LENGTH), np.exp(-_LONGEST / _LENGTH), _N_BINS)


def _coulomb_matrices(numbers: NDArray[np.uint8], distances: Array) -> Array:
    """Compute Coulomb matrices, shape (n_molecules, n_atoms, n_atoms); rows and columns of padding are zero."""
    z = numbers.astype(np.float64)
    charges = z[:, :, None] * z[:, None]
    i = np.arange(numbers.shape[1])
    charges[:, i, i] = 0.0
    matrices = np.divide(charges, distances, out=np.zeros_like(charges), where=charges > 0)
    matrices[:, i, i] = 0.5 * z**2.4
    return matrices


def _binned_repulsions(numbers: NDArray[np.uint8], distances: Array, matrices: Array, elements: Sequence[int]) -> Array:
    """Sum repulsions by pair of elements and distance, shape (n_molecules, n_pairs * n_bins)."""
    pairs = list(combinations_with_replacement(elements, 2))
    code = np.full((max(elements) + 1,) * 2, len(pairs))
    for k, (a, b) in enumerate(pairs):
        code[a, b] = code[b, a] = k
    first, second = np.triu_indices(numbers.shape[1], 1)
    pair = code[numbers[:, first], numbers[:, second]]
    # Pairs with padding are left out.
    molecule, place = np.nonzero(pair < len(pairs))
    first, second = first[place], second[place]
    repulsion, distance = matrices[molecule, first, second], distances[molecule, first, second]
    middles = _bin_middles()
    position = (middles[0] - np.exp(-distance / _LENGTH)) / (middles[0] - middles[1])
    position = np.clip(position, 0.5, _N_BINS - 1.5)
    nearest = np.minimum(np.floor(position + 0.5).astype(np.int64), _N_BINS - 2)
    t = position - nearest
    column = (molecule * len(pairs) + pair[molecule, place]) * _N_BINS + nearest
    size = len(numbers) * len(pairs) * _N_BINS
    # Quadratic B-splines.
    shares = (0.5 * (0.5 - t) ** 2, 0.75 - t**2, 0.5 * (0.5 + t) ** 2)
    parts = [np.bincount(column + k, repulsion * share, size) for k, share in zip((-1, 0, 1), shares, strict=True)]
    return np.sum(parts, axis=0).reshape(len(numbers), -1)
