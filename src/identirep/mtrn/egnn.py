"""An E(n)-equivariant graph network as encoder of molecules, on PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from identirep.parameters import Choice, Either, Number, Rule, Whole, parameter_faults, raise_faults

try:
    from torch_geometric.nn import MessagePassing
except ImportError:
    # A base class must be known here; building an encoder says which extra is missing.
    MessagePassing = nn.Module

__all__ = ["EGNN"]

# Atomic numbers up to this one have an embedding; 0 is padding.
_MAX_NUMBER = 118
# Pairs of places for atoms that are evaluated at once, where no gradient is stored.
_EVALUATION_PAIRS = 1 << 15
# Height of the radial bumps: with one of 1, the distance would hardly count in the first epochs.
_BUMP_HEIGHT = 4.0
# Bumps are evenly spaced in exp(-r / 2), r in angstrom, so that they are narrow where bonds are: up to 0.6 angstrom.
_BUMP_LENGTH, _BUMP_RANGE = 2.0, (0.02, 0.75)


class EGNN(nn.Module):
    r"""Encoder of molecules: an E(n)-equivariant graph network on all pairs of atoms.

    In each layer, atom i receives messages from all others that depend on the distance alone,

    .. math::
        s_{ij} = \phi(W_1 h_i + W_2 h_j + W_3 e(r_{ij}) + b), \qquad
        m_i = V \sum_j \sigma(a^\top s_{ij}) \, s_{ij}, \qquad
        h_i \leftarrow h_i + \phi_h(h_i, m_i)

    and the features of a molecule are a perceptron of the sum of its atoms. They do not change if the molecule is
    moved, rotated, reflected, or its atoms are reordered.

    Parameters
    ----------
    n_features : int, default 40
        Number of features K.
    hidden_size : int, default 64
        Width of the network.
    n_layers : int, default 3
        Number of rounds of messages.
    n_radial : int, default 16
        Functions of the distance that messages depend on: its square, and others that are bell-shaped in
        ``exp(-r / 2)``.
    cutoff : float, optional
        Largest distance in angstrom of two atoms that exchange messages. Default: all pairs of a molecule.

    Raises
    ------
    ImportError
        If PyTorch Geometric is not installed.

    Notes
    -----
    It is the invariant variant that the authors use for QM9: coordinates are not updated, since only their distances
    enter. The message network differs in that its second layer is linear, so that it is applied once for each atom and
    not for each pair, and in that it sees more of the distance than its square.

    One epoch costs O(n_molecules * n_atoms^2 * hidden_size). Without gradients, rows are evaluated in parts, so that
    the memory does not depend on their number. Train in single precision: mixed precision rounds coordinates to three
    digits.

    References
    ----------
    V. G. Satorras, E. Hoogeboom, M. Welling, "E(n) equivariant graph neural networks", ICML 2021, arXiv:2102.09844.

    Examples
    --------
    >>> import torch
    >>> from identirep.mtrn import EGNN
    >>> water = torch.tensor([[8, 0, 0, 0, 1, 0.76, 0.59, 0, 1, -0.76, 0.59, 0]])
    >>> EGNN(n_features=5, hidden_size=8)(water).shape
    torch.Size([1, 5])
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_features": Whole(),
        "hidden_size": Whole(),
        "n_layers": Whole(),
        "n_radial": Whole(),
        "cutoff": Either(Choice(None), Number(0.0, open_low=True)),
    }

    def __init__(
        self,
        n_features: int = 40,
        *,
        hidden_size: int = 64,
        n_layers: int = 3,
        n_radial: int = 16,
        cutoff: float | None = None,
    ) -> None:
        if MessagePassing is nn.Module:
            raise ImportError(
                "EGNN needs PyTorch Geometric: got no such package, expected it to be installed. Run pip install "
                "'identirep[graphs]'."
            )
        super().__init__()
        self.n_features, self.hidden_size, self.n_layers = n_features, hidden_size, n_layers
        self.n_radial, self.cutoff = n_radial, cutoff
        raise_faults(parameter_faults(self))
        self.embedding = nn.Embedding(_MAX_NUMBER + 1, hidden_size)
        self.register_buffer("centres", torch.linspace(*_BUMP_RANGE, n_radial - 1), persistent=False)
        self.layers = nn.ModuleList(_Layer(hidden_size, n_radial) for _ in range(n_layers))
        self.atom_network = _perceptron(hidden_size, hidden_size, hidden_size)
        self.molecule_network = _perceptron(hidden_size, hidden_size, n_features)
        self.centres: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of molecules.

        Parameters
        ----------
        x : Tensor, shape (n_samples, 4 * n_atoms)
            For each atom its atomic number and x, y, z in angstrom; number 0 is padding.

        Returns
        -------
        Tensor, shape (n_samples, n_features)
            Features.
        """
        if x.ndim != 2 or x.shape[1] % 4:
            raise ValueError(
                f"x has the wrong shape: got {tuple(x.shape)}, expected (n_samples, 4 * n_atoms). Pass atomic number, "
                "x, y, z of each atom, as from load_qm9(representation='geometry')."
            )
        if torch.is_grad_enabled():
            return self._features(x)
        n_rows = max(16 * _EVALUATION_PAIRS // max(x.shape[1], 4) ** 2, 1)
        return torch.cat([self._features(part) for part in x.split(n_rows)])

    def _features(self, x: Tensor) -> Tensor:
        """Return the features of molecules that are looked at together."""
        places = x.unflatten(1, (-1, 4))
        numbers = places[:, :, 0].long()
        wrong = (numbers != places[:, :, 0]) | (numbers < 0) | (numbers > _MAX_NUMBER)
        if wrong.any():
            raise ValueError(
                f"x has atomic numbers that are none: got {float(places[:, :, 0][wrong][0]):g}, expected whole numbers "
                f"from 0 (padding) to {_MAX_NUMBER} in each fourth column. Pass geometries as they are, not scaled."
            )
        present = numbers > 0
        positions = places[:, :, 1:]
        edges, squares = _pairs(present, positions, self.cutoff)
        radial = self._radial(squares)
        h = self.embedding(numbers[present])
        for layer in self.layers:
            h = layer(h, edges, radial)
        molecule = present.nonzero()[:, 0]
        pooled = h.new_zeros(len(x), h.shape[1]).index_add_(0, molecule, self.atom_network(h))
        return self.molecule_network(pooled)

    def _radial(self, squares: Tensor) -> Tensor:
        """Return functions of the distance, shape (n_edges, n_radial), from its square."""
        low, high = _BUMP_RANGE
        width = (high - low) / max(len(self.centres), 1)
        u = torch.exp(-squares.sqrt() / _BUMP_LENGTH)[:, None]
        bumps = _BUMP_HEIGHT * torch.exp(-0.5 * ((u - self.centres) / width).square())
        return torch.cat([squares[:, None], bumps], dim=1)


class _Layer(MessagePassing):
    """One round of messages between the atoms of each molecule."""

    def __init__(self, hidden_size: int, n_radial: int) -> None:
        super().__init__(aggr="sum")
        self.target = nn.Linear(hidden_size, hidden_size)
        self.source = nn.Linear(hidden_size, hidden_size, bias=False)
        self.distance = nn.Linear(n_radial, hidden_size, bias=False)
        self.gate = nn.Linear(hidden_size, 1)
        self.message_head = nn.Linear(hidden_size, hidden_size)
        self.atom_network = _perceptron(2 * hidden_size, hidden_size, hidden_size)

    def forward(self, h: Tensor, edges: Tensor, radial: Tensor) -> Tensor:
        """Return the new states of the atoms, shape (n_atoms, hidden_size)."""
        # Linear maps of the atoms, computed before they are spread over pairs.
        total = self.propagate(edges, target=self.target(h), source=self.source(h), radial=radial)
        return h + self.atom_network(torch.cat([h, self.message_head(total)], dim=1))

    def message(self, target_i: Tensor, source_j: Tensor, radial: Tensor) -> Tensor:
        """Return the gated message along each edge, shape (n_edges, hidden_size)."""
        s = nn.functional.silu(self.distance(radial).add_(target_i).add_(source_j))
        return s * torch.sigmoid(self.gate(s))


def _perceptron(n_inputs: int, n_hidden: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_outputs))


def _pairs(present: Tensor, positions: Tensor, cutoff: float | None) -> tuple[Tensor, Tensor]:
    """Return source and target of each edge, shape (2, n_edges), among the atoms that are present, and r^2."""
    paired = present[:, :, None] & present[:, None]
    paired.diagonal(dim1=1, dim2=2).fill_(False)
    if cutoff is not None:
        paired &= torch.cdist(positions, positions) <= cutoff
    # Sorted by target, in which order sums over sources are local in memory.
    molecule, target, source = paired.nonzero(as_tuple=True)
    squares = (positions[molecule, target] - positions[molecule, source]).square().sum(dim=1)
    atom = (present.flatten().cumsum(0) - 1).view_as(present)
    return torch.stack([atom[molecule, source], atom[molecule, target]]), squares
