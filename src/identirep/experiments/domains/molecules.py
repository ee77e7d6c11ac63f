"""Molecules: measured properties of the tables of ``chemicals``, two thirds of them missing, from what formulas say."""

from __future__ import annotations

import csv
import re
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, IntArray
from identirep.experiments.domains.domain import Domain
from identirep.experiments.domains.packages import folder_of
from identirep.experiments.trust import Drawn, three_parts

__all__ = ["MOLECULES", "WITH_GROSS_ERRORS", "Molecules", "draw_molecules", "load_molecules"]

_CRC = "Misc/Physical Constants of Organic Compounds.csv"
_WEBBOOK, _WIKIDATA = "Misc/webbook_constants.tsv", "Misc/wikidata_properties.tsv"
_IUPAC, _CRITICAL = "Critical Properties/IUPACOrganicCriticalProps.tsv", "Critical Properties/CRCCriticalOrganics.tsv"
_HANSEN = ("Misc/ruben_manuel_hansen_solubility_parameters.tsv", "Misc/alshehri_hansen_solubility_parameters.tsv")
_FUSION = "Phase Change/CRC Handbook Heat of Fusion.tsv"
_HEAT = "Heat Capacity/CRC Standard Thermodynamic Properties of Chemical Substances.tsv"
_PERMITTIVITY = "Electrolytes/Permittivity (Dielectric Constant) of Liquids.tsv"
# Column, tables in order of trust, whether its logarithm is taken.
_TARGETS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("Tm", (_CRC, _WEBBOOK, "Phase Change/OpenNotebook Melting Points.tsv"), False),
    ("Tb", (_CRC, _WEBBOOK), False),
    ("Tc", (_IUPAC, _CRITICAL, _WEBBOOK), False),
    ("Pc", (_IUPAC, _CRITICAL, _WEBBOOK), True),
    ("Vc", (_IUPAC, _CRITICAL, _WEBBOOK), True),
    ("omega", ("Critical Properties/Appendix to PSRK Revision 4.tsv",), False),
    ("rho", (_CRC,), True),
    ("RI", (_CRC,), False),
    ("Hvap", (_WEBBOOK,), False),
    ("Hfus", (_FUSION,), True),
    ("Hsub", (_WEBBOOK,), False),
    ("Hfg", (_WEBBOOK,), False),
    ("S0g", (_WEBBOOK,), False),
    ("Cpg", (_HEAT,), False),
    ("LFL", (_WIKIDATA,), True),
    ("UFL", (_WIKIDATA,), True),
    ("T_flash", (_WIKIDATA,), False),
    *((f"HANSEN_DELTA_{part}", _HANSEN, False) for part in "DPH"),
    ("Permittivity", (_PERMITTIVITY,), True),
)
_FEWEST_LABELS = 5
# Labels further from the median than so many interquartile ranges are gross errors (a critical temperature of 1 K).
_GROSS = 5.0
_ORGANIC = re.compile(r"(?:(?:Cl|Br|[CHNOSFIP])\d*)+")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_ELEMENTS = ("C", "H", "N", "O", "S", "P", "F", "Cl", "Br", "I")
# What is counted in SMILES beside the elements.
_PIECES: tuple[str, ...] = (
    "=",
    "#",
    "(",
    "1",
    "2",
    "3",
    "C=O",
    "C(=O)O",
    "C(=O)N",
    "=C",
    "#N",
    "[N+](=O)[O-]",
    "O)",
    "CO",
    "OC",
    "CN",
)
_PIECES += ("NC", "(C)", "(C)(C)", "CCC", "CCCCC", "S(=O)(=O)", "C1=CC=CC=C1")


class Molecules(NamedTuple):
    """Molecules with measured properties: one row each."""

    smiles: list[str]
    names: list[str]
    formulas: list[str]
    Y: Array  # NaN where nothing was measured
    targets: tuple[str, ...]


@cache
def load_molecules() -> Molecules:
    """Read the molecules of common organic elements that have at least five of the properties."""
    tables = [_values(column, files) for column, files, _ in _TARGETS]
    chosen: dict[str, tuple[str, str, str]] = {}
    for size in ("small", "large"):
        path = folder_of("chemicals") / "Identifiers" / f"chemical identifiers pubchem {size}.tsv"
        with path.open(encoding="utf-8") as file:
            for line in file:
                # Number, CAS number, formula, mass, SMILES, InChI and its key, names.
                _, number, formula, _, of_one, _, _, *called = line.rstrip("\n").split("\t")
                cas = number.replace("-", "")
                if _is_organic(formula, of_one) and sum(cas in values for values in tables) >= _FEWEST_LABELS:
                    chosen[cas] = (of_one, next(filter(None, called), ""), formula)
    Y = np.array([[values.get(cas, np.nan) for values in tables] for cas in chosen])
    for k, (_, _, in_logarithms) in enumerate(_TARGETS):
        if in_logarithms:
            Y[:, k] = np.log(np.where(Y[:, k] > 0, Y[:, k], np.nan))
    smiles, names, formulas = ([described[k] for described in chosen.values()] for k in range(3))
    return Molecules(smiles, names, formulas, Y, tuple(column for column, _, _ in _TARGETS))


def _values(column: str, files: tuple[str, ...]) -> dict[str, float]:
    """Read a property by CAS number without its bars, of the first table that has it."""
    found: dict[str, float] = {}
    for name in files:
        with (folder_of("chemicals") / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row[column]:
                    found.setdefault(row["CAS"].replace("-", ""), float(row[column]))
    return found


def _is_organic(formula: str, smiles: str) -> bool:
    """Tell whether a molecule is of the usual elements, one of them carbon, and in one piece."""
    return _ORGANIC.fullmatch(formula) is not None and "C" in _SYMBOL.findall(formula) and "." not in smiles


def _counts(formulas: list[str], smiles: list[str]) -> Array:
    """Return the atoms of each element, and how often each piece occurs in SMILES."""
    atoms = []
    for formula in formulas:
        of_formula = {element: int(n or 1) for element, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula)}
        atoms.append([of_formula.get(element, 0) for element in _ELEMENTS])
    pieces = [[text.count(piece) for piece in _PIECES] for text in smiles]
    return np.array(np.column_stack([atoms, pieces]), dtype=np.float64)


def draw_molecules(rng: np.random.Generator, quick: bool, X: Array, *, gross_errors: bool = False) -> Drawn:
    """Share the molecules out, with what is known of them as inputs; those of one formula stay together."""
    data = load_molecules()
    formula: IntArray = np.unique(data.formulas, return_inverse=True)[1].reshape(-1)
    first, other, unseen = three_parts(formula, len(X) // (8 if quick else 3), rng)
    return Drawn(X, data.Y if gross_errors else _without_gross_errors(data.Y), first, other, unseen, groups=formula)


def _without_gross_errors(Y: Array) -> Array:
    """Leave out labels far from all others of their target."""
    low, middle, high = np.nanquantile(Y, [0.25, 0.5, 0.75], axis=0)
    return np.where(np.abs(Y - middle) > _GROSS * (high - low), np.nan, Y)


def _draw(rng: np.random.Generator, quick: bool, *, gross_errors: bool = False) -> Drawn:
    data = load_molecules()
    return draw_molecules(rng, quick, _counts(data.formulas, data.smiles), gross_errors=gross_errors)


MOLECULES = Domain(_draw, 3, needs=("chemicals",))
WITH_GROSS_ERRORS = Domain(partial(_draw, gross_errors=True), 3, needs=("chemicals",))
