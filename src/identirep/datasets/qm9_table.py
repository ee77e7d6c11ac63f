"""QM9 as one table: parsed once from the files of the package qm9pack, and kept as Parquet."""

from __future__ import annotations

import os
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from identirep.files import replaced_file

__all__ = ["MAX_ATOMS", "N_MOLECULES", "TARGETS", "default_cache_dir", "read_molecules"]

MAX_ATOMS = 29
N_MOLECULES = 130_831
# Columns of the package, and what they are usually called.
TARGETS = {
    "Dipole_debye": "mu",
    "Polarizability_bohr3": "alpha",
    "HOMO_au": "homo",
    "LUMO_au": "lumo",
    "HOMO_LUMO_gap_au": "gap",
    "R2_bohr2": "r2",
    "ZPVE_au": "zpve",
    "InternalEnergy_0K_au": "U0",
    "InternalEnergy_298K_au": "U",
    "Enthalphy_298K_au": "H",
    "GibbsFreeEnergy_298K_au": "G",
    "Heatcapacity_Cv_cal_mol_K": "Cv",
}
_PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
_ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
# To be raised when columns or their meaning change: older files are then made again.
_LAYOUT = 1


def default_cache_dir() -> Path:
    """Return the folder of identirep among the caches of this user."""
    # The specification wants relative paths to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "identirep"


def read_molecules(cache_dir: str | os.PathLike[str] | None) -> Any:
    """Read all molecules, from the cache if there is a sound one; make it otherwise.

    A pyarrow.Table with a molecule in each row: "index", "smiles", "inchi", "numbers" (list of atomic numbers),
    "positions" (list of coordinates in angstrom, three for each atom) and the targets.
    """
    folder, release = _find_package()
    identity = {b"identirep.layout": str(_LAYOUT).encode(), b"qm9pack": release.encode()}
    path = Path(default_cache_dir() if cache_dir is None else cache_dir) / "qm9.parquet"
    table = _read_cache(path, identity)
    if table is None:
        table = _parse(folder).replace_schema_metadata(identity)
        try:
            _write_cache(table, path)
        except OSError as error:
            warnings.warn(
                f"cache_dir cannot be written to: got {error}, expected to keep {path.name} there. Pass another "
                "cache_dir, or parse QM9 on each call.",
                UserWarning,
                stacklevel=3,
            )
    return table


def _find_package() -> tuple[Path, str]:
    """Locate the data files of qm9pack and its version; its code is not run, since it needs an old setuptools."""
    spec = find_spec("qm9pack")
    try:
        if spec is None or not spec.submodule_search_locations:
            raise PackageNotFoundError("qm9pack")
        return Path(next(iter(spec.submodule_search_locations))) / "data", version("qm9pack")
    except PackageNotFoundError:
        raise ImportError(
            "load_qm9 needs the package qm9pack, which holds the data: got no such package, expected it to be "
            "installed. Run pip install 'identirep[qm9]'."
        ) from None


def _read_cache(path: Path, identity: dict[bytes, bytes]) -> Any:
    """Return the table, or None if there is no file or it is broken or of another version."""
    from pyarrow import ArrowException, parquet

    if not path.is_file():
        return None
    try:
        # Pages carry checksums: a damaged value is an error, not a wrong number.
        table = parquet.read_table(path, page_checksum_verification=True)
    except (ArrowException, OSError):
        return None
    metadata = table.schema.metadata or {}
    same = all(metadata.get(key) == value for key, value in identity.items())
    return table if same and table.num_rows == N_MOLECULES else None


def _write_cache(table: Any, path: Path) -> None:
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as staging:
        parquet.write_table(table, staging, compression="zstd", write_page_checksum=True)


def _parse(folder: Path) -> Any:
    """Read the CSV files of the package, in which atoms are lists written as text."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    texts = ["SMILES", "InChi", "Elements", "XYZ_Ang"]
    options = csv.ConvertOptions(
        include_columns=["Index", "N_atoms", *texts, *TARGETS],
        column_types={"Index": pa.int32(), "N_atoms": pa.int32()}
        | dict.fromkeys(texts, pa.string())
        | dict.fromkeys(TARGETS, pa.float64()),
    )
    try:
        parts = [csv.read_csv(folder / name, convert_options=options) for name in _PARTS]
        raw = pa.concat_tables(parts).combine_chunks()
        names, numbers = pa.array(_ATOMIC_NUMBERS), pa.array(_ATOMIC_NUMBERS.values(), pa.uint8())
        elements = pc.take(numbers, pc.index_in(_listed(raw["Elements"]), names))
        positions = pc.cast(_listed(raw["XYZ_Ang"]), pa.float64())
        counts = raw["N_atoms"].to_numpy()
        if raw.num_rows != N_MOLECULES or len(elements) != counts.sum() or len(positions) != 3 * counts.sum():
            raise ValueError(f"{raw.num_rows} molecules with {len(elements)} atoms")
        if elements.null_count or counts.max() != MAX_ATOMS:
            raise ValueError("unknown elements or more atoms")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(
            f"qm9pack has other files than expected: got {error}, expected {N_MOLECULES} molecules of up to "
            f"{MAX_ATOMS} atoms. Reinstall it with pip install --force-reinstall 'identirep[qm9]'."
        ) from None
    ends = counts.cumsum()
    starts = pa.array([0, *ends], pa.int32())
    return pa.table(
        {
            "index": raw["Index"],
            "smiles": raw["SMILES"],
            "inchi": raw["InChi"],
            "numbers": pa.ListArray.from_arrays(starts, elements),
            "positions": pa.ListArray.from_arrays(pc.multiply(starts, 3).cast(pa.int32()), positions),
        }
        | {target: raw[column] for column, target in TARGETS.items()}
    )


def _listed(texts: Any) -> Any:
    """Turn texts like ``[[1.0,2.0,3.0],[4.0,5.0,6.0]]`` or ``['C','H']`` into one flat array of their items."""
    import pyarrow.compute as pc

    bare = pc.replace_substring_regex(texts, r"[\[\]' ]", "")
    return pc.list_flatten(pc.split_pattern(bare, ",")).combine_chunks()
