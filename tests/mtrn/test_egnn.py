"""The graph encoder sees shapes of molecules alone, and works wherever an encoder does."""

import copy
import functools
import importlib.util
import sys

import numpy as np
import pytest
import torch

from identirep import MTRN
from identirep.mtrn import EGNN, egnn
from identirep.mtrn.encoders import make_encoder

needs_graphs = pytest.mark.skipif(importlib.util.find_spec("torch_geometric") is None, reason="needs torch_geometric")


def _molecules(n=12, n_atoms=7, seed=0):
    """Random atoms that fill the first places of each row, at least one and not all; float64."""
    rng = np.random.default_rng(seed)
    atoms = np.zeros((n, n_atoms, 4))
    atoms[:, :, 0] = rng.choice([1, 6, 7, 8, 9], size=(n, n_atoms))
    atoms[:, :, 1:] = 1.5 * rng.normal(size=(n, n_atoms, 3))
    atoms[np.arange(n_atoms) >= rng.integers(1, n_atoms, size=n)[:, None]] = 0.0
    return torch.tensor(atoms)


def _encoder(seed=0, **settings):
    """Small, in float64: an untrained network reacts little to anything, and float32 would hide that it does."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EGNN(**{"n_features": 6, "hidden_size": 16, "n_layers": 2, "n_radial": 9} | settings).double()


@pytest.fixture
def encoder():
    return _encoder()


def _assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@needs_graphs
@pytest.mark.parametrize("cutoff", [None, 2.5])
def test_features_do_not_depend_on_position_orientation_and_order(cutoff):
    encoder, atoms = _encoder(cutoff=cutoff), _molecules()
    features = encoder(atoms.flatten(1))
    assert features.shape == (12, 6)
    assert features.std(dim=0).min() > 1e-4
    generator = torch.Generator().manual_seed(1)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    for sign in (1.0, -1.0):
        moved = atoms.clone()
        # Padding moves too: places without an atom may hold anything.
        moved[:, :, 1:] = sign * atoms[:, :, 1:] @ rotation + torch.randn(len(atoms), 1, 3, generator=generator)
        _assert_close(encoder(moved.flatten(1)), features)
    # Padding moves between the atoms.
    _assert_close(encoder(atoms[:, torch.randperm(7, generator=generator)].flatten(1)), features)
    _assert_close(encoder(torch.cat([atoms, torch.zeros(12, 3, 4)], dim=1).flatten(1)), features)


@needs_graphs
def test_features_depend_on_shape_and_elements(encoder):
    atoms = torch.tensor([[[6.0, 0, 0, 0], [8, 1.2, 0, 0], [1, -0.6, 0.9, 0], [1, -0.6, -0.9, 0]]])
    stretched, other = atoms.clone(), atoms.clone()
    stretched[0, 1, 1] += 0.1
    other[0, 1, 0] = 7
    for changed in (stretched, other):
        assert (encoder(changed.flatten(1)) - encoder(atoms.flatten(1))).abs().max() > 1e-5


@needs_graphs
def test_molecules_do_not_see_each_other(encoder):
    x = _molecules().flatten(1)
    alone = torch.cat([encoder(row[None]) for row in x])
    _assert_close(encoder(x), alone)


@needs_graphs
def test_cutoff_separates_distant_atoms():
    far = torch.tensor([[[6.0, 0, 0, 0], [8, 9.0, 0, 0]]])
    further = far + torch.tensor([[[0.0, 0, 0, 0], [0, 3.0, 0, 0]]])
    encoder = _encoder(cutoff=5.0)
    assert torch.equal(encoder(far.flatten(1)), encoder(further.flatten(1)))
    encoder = _encoder()
    assert not torch.equal(encoder(far.flatten(1)), encoder(further.flatten(1)))


@needs_graphs
def test_layer_equals_sums_over_pairs(encoder):
    layer, generator = encoder.layers[0], torch.Generator().manual_seed(0)
    present = _molecules()[:, :, 0] > 0
    positions = _molecules()[:, :, 1:]
    edges, squares = egnn._pairs(present, positions, None)
    h = torch.randn(int(present.sum()), 16, generator=generator, dtype=torch.float64)
    radial = torch.randn(len(squares), 9, generator=generator, dtype=torch.float64)
    total = torch.zeros_like(h)
    for (source, target), values in zip(edges.T.tolist(), radial, strict=True):
        s = torch.nn.functional.silu(layer.target(h[target]) + layer.source(h[source]) + layer.distance(values))
        total[target] += torch.sigmoid(layer.gate(s)) * s
    expected = h + layer.atom_network(torch.cat([h, layer.message_head(total)], dim=1))
    torch.testing.assert_close(layer(h, edges, radial), expected)
    # Each ordered pair of the atoms of a molecule once.
    counts = present.sum(dim=1)
    assert edges.shape[1] == int((counts * (counts - 1)).sum())
    assert (edges[1].diff() >= 0).all()


@needs_graphs
def test_gradients_equal_finite_differences():
    encoder = _encoder(hidden_size=4)
    x = _molecules(n=3, n_atoms=4)

    def features(positions):
        return encoder(torch.cat([x[:, :, :1], positions], dim=2).flatten(1))

    assert torch.autograd.gradcheck(features, (x[:, :, 1:].clone().requires_grad_(),), atol=1e-5)


@needs_graphs
def test_all_parameters_learn(encoder):
    encoder(_molecules().flatten(1)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@needs_graphs
def test_evaluation_in_parts_equals_one_pass(encoder, monkeypatch):
    x = _molecules(n=50).flatten(1)
    features = encoder(x)
    sizes = []
    whole = EGNN._features
    monkeypatch.setattr(EGNN, "_features", lambda self, part: sizes.append(len(part)) or whole(self, part))
    monkeypatch.setattr(egnn, "_EVALUATION_PAIRS", 7 * 7 * 20)
    with torch.no_grad():
        _assert_close(encoder(x), features.detach())
    assert sizes == [20, 20, 10]


@needs_graphs
def test_state_round_trip(encoder):
    x = _molecules().flatten(1)
    other = _encoder(seed=1)
    assert not torch.equal(other(x), encoder(x))
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(x), encoder(x))
    assert torch.equal(copy.deepcopy(encoder)(x), encoder(x))


@needs_graphs
def test_replicates_of_a_module_have_weights_of_their_own(encoder):
    before = copy.deepcopy(encoder.state_dict())
    replicates = make_encoder(encoder, sizes=(), n_replicates=2, generator=torch.Generator().manual_seed(0)).replicates
    states = [before, *(replicate.state_dict() for replicate in replicates)]
    for name in before:
        assert not torch.equal(states[0][name], states[1][name]), name
        assert not torch.equal(states[1][name], states[2][name]), name
        assert torch.equal(before[name], encoder.state_dict()[name])


def _task_data(n=240, n_tasks=8):
    """Molecules, and targets that are random combinations of the number of atoms and the spread of charges."""
    atoms = _molecules(n=n, n_atoms=6, seed=5)
    z, r = atoms[:, :, 0], atoms[:, :, 1:]
    total = z.sum(dim=1, keepdim=True)
    centre = (z[:, :, None] * r).sum(dim=1, keepdim=True) / total[:, :, None]
    spread = (z * (r - centre).square().sum(dim=2)).sum(dim=1)
    latents = torch.stack([total[:, 0], spread.sqrt()], dim=1).numpy()
    rng = np.random.default_rng(0)
    latents = (latents - latents.mean(axis=0)) / latents.std(axis=0)
    Y = latents @ rng.normal(size=(2, n_tasks)) + 0.05 * rng.normal(size=(n, n_tasks))
    return atoms.flatten(1).float().numpy(), Y


@needs_graphs
@pytest.mark.parametrize("as_factory", [False, True])
def test_works_as_encoder(as_factory, tmp_path):
    X, Y = _task_data()
    settings = {"n_features": 8, "hidden_size": 16, "n_layers": 2, "n_radial": 9}
    encoder = functools.partial(EGNN, **settings) if as_factory else EGNN(**settings)
    model = MTRN(
        2,
        encoder=encoder,
        n_replicates=2,
        max_epochs=20,
        batch_size=20,
        learning_rate=1e-2,
        device="cpu",
        random_state=0,
    )
    model.fit(X[:200], Y[:200])
    assert model.score(X[200:], Y[200:]) > 0.7
    module = model.to_torch()
    with torch.no_grad():
        features = module(torch.from_numpy(X[200:])).numpy()
    np.testing.assert_allclose(features, model.transform(X[200:]), rtol=1e-3, atol=1e-3)
    arrays, meta = model._to_arrays()
    restored = MTRN(2, encoder=encoder, n_replicates=2, device="cpu")._from_arrays(arrays, meta)
    np.testing.assert_array_equal(restored.transform(X), model.transform(X))


def test_missing_package_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_geometric"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    spec = importlib.util.spec_from_file_location("egnn_without_graphs", egnn.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ImportError, match=r"pip install 'identirep\[graphs\]'"):
        module.EGNN()


@needs_graphs
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"hidden_size": 0}, ValueError, "hidden_size is not valid: got 0, expected an int of at least 1"),
        ({"n_layers": 2.0}, TypeError, "n_layers has the wrong type"),
        ({"cutoff": -1.0}, ValueError, "cutoff is not valid: got -1.0, expected None or a number above 0"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        EGNN(**arguments)


@needs_graphs
def test_bad_inputs(encoder):
    x = _molecules().flatten(1)
    with pytest.raises(ValueError, match=r"x has the wrong shape: got \(12, 27\)"):
        encoder(x[:, 1:])
    for scaled in (x / 2, -x, x * 100):
        with pytest.raises(ValueError, match="x has atomic numbers that are none"):
            encoder(scaled)
