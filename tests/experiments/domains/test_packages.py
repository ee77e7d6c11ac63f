"""Data inside packages: what the files say comes out, read from small ones of the same form."""

import json

import numpy as np
import pytest

from identirep.experiments.domains import molecules, names, packages, weather


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in for every package."""
    for module in (molecules, names, weather):
        monkeypatch.setattr(module, "folder_of", lambda package: tmp_path / package)
    for cached in (molecules.load_molecules, names._embedded, weather._year):
        cached.cache_clear()
    yield tmp_path
    for cached in (molecules.load_molecules, names._embedded, weather._year):
        cached.cache_clear()


def _write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))


def _molecules(folder, described):
    """Write the tables with some molecules, and with none where a property is not given."""
    root = folder / "chemicals"
    for _, files, _ in molecules._TARGETS:
        for name in files:
            if not (root / name).exists():
                columns = [c for c, others, _ in molecules._TARGETS if name in others]
                of_file = [(cas, p) for cas, _, _, _, p in described if any((name, c) in p for c in columns)]
                lines = [[cas, *(p.get((name, c), "") for c in columns)] for cas, p in of_file]
                _write(root / name, [["CAS", *columns], *lines])
    lines = [[1, cas, formula, 1, smiles, "", "", *called] for cas, formula, smiles, called, _ in described]
    _write(root / "Identifiers/chemical identifiers pubchem small.tsv", lines[:1])
    _write(root / "Identifiers/chemical identifiers pubchem large.tsv", lines[1:])


def _five(**changed):
    """Give five properties, all of the tables that are trusted most."""
    found = {(files[0], column): 2.0 for column, files, _ in molecules._TARGETS[:5]}
    return found | changed.get("more", {})


def test_molecules_take_the_first_table_and_logarithms(folder):
    webbook = molecules._WEBBOOK
    described = [
        ("64-17-5", "C2H6O", "CCO", ["", "ethanol"], _five(more={(webbook, "Tm"): 9.0, (webbook, "Hvap"): 3.0})),
        ("7-1-1", "CH3Cl", "CCl", ["chloromethane"], _five()),
        ("7-1-2", "ClH", "Cl", ["acid"], _five()),
        ("7-1-3", "C2H3NaO2", "CC(=O)[O-].[Na+]", ["salt"], _five()),
        ("7-1-4", "CH4", "C", ["methane"], {(webbook, "Tm"): 1.0}),
    ]
    _molecules(folder, described)
    data = molecules.load_molecules()
    assert data.smiles == ["CCO", "CCl"]
    assert data.names == ["ethanol", "chloromethane"]
    column = {name: data.Y[:, k] for k, name in enumerate(data.targets)}
    assert column["Tm"].tolist() == [2.0, 2.0]
    np.testing.assert_allclose(column["Pc"], np.log(2.0))
    np.testing.assert_array_equal(column["Hvap"], [3.0, np.nan])
    assert np.isnan(column["RI"]).all()
    atoms = molecules._counts(data.formulas, data.smiles)
    assert atoms[:, : len(molecules._ELEMENTS)].tolist() == [[2, 6, 0, 1] + [0] * 6, [1, 3, 0, 0, 0, 0, 0, 1, 0, 0]]
    assert atoms[0, len(molecules._ELEMENTS) + molecules._PIECES.index("CO")] == 1


def test_molecules_of_one_formula_stay_together(folder):
    described = [(f"1-{k}", f"C{1 + k % 30}H4", "C" * (1 + k % 30), [str(k)], _five()) for k in range(120)]
    _molecules(folder, described)
    drawn = molecules.MOLECULES.draw(np.random.default_rng(0), False)
    parts = [set(drawn.groups[rows]) for rows in (drawn.first, drawn.other, drawn.unseen)]
    assert all(parts)
    assert not parts[2] & (parts[0] | parts[1])
    assert not parts[0] & parts[1]


def test_gross_errors_are_left_out_unless_kept(folder):
    described = [(f"1-{k}", f"C{1 + k}H4", "C", [str(k)], _five()) for k in range(40)]
    for k, (_, _, _, _, properties) in enumerate(described):
        properties[molecules._CRC, "Tm"] = 300.0 + k if k else 9000.0
    _molecules(folder, described)
    labels = [
        domain.draw(np.random.default_rng(0), False).y[:, 0]
        for domain in (molecules.MOLECULES, molecules.WITH_GROSS_ERRORS)
    ]
    assert np.isnan(labels[0][0])
    assert labels[1][0] == 9000.0
    np.testing.assert_array_equal(labels[0][1:], labels[1][1:])


def _hours(folder, n_hours):
    """Write a year in which every column counts the hours."""
    columns = [*weather._COLUMNS, weather._DIRECTION, *weather._SUN]
    lines = ["0,STATION", ",".join(["Date", *columns]), ""]
    lines += [",".join(map(str, ["01/01/1988", *[hour] * len(columns)])) for hour in range(n_hours)]
    path = folder / "pvlib" / "data" / weather._FILE
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("domain", [weather.WEATHER, weather.OTHER_SEASON])
def test_weather_keeps_weeks_whole_and_looks_ahead(folder, domain):
    _hours(folder, 8760)
    drawn = domain.draw(np.random.default_rng(0), False)
    n_columns = len(weather._COLUMNS) + 2
    hour, ahead = drawn.X[:, 0], drawn.y[:, ::n_columns]
    np.testing.assert_allclose(ahead - hour[:, None], np.tile([1.0, 3.0, 6.0], (len(hour), 1)))
    np.testing.assert_array_equal(drawn.groups, hour // 168)
    # No target is of a week that another part has.
    np.testing.assert_array_equal(ahead[:, 2] // 168, drawn.groups)
    weeks = [set(drawn.groups[rows]) for rows in (drawn.first, drawn.other, drawn.unseen)]
    assert [len(part) for part in weeks] == [20, 20, 12]
    assert len(set.union(*weeks)) == 52
    if domain is weather.OTHER_SEASON:
        assert max(weeks[0]) < 39 <= 52 - 13 + min(weeks[0])
        assert all(week < 13 or week >= 39 for week in weeks[1])


def test_names_are_means_of_their_tokens(folder):
    tokenizers = pytest.importorskip("tokenizers")
    from safetensors.numpy import save_file

    vectors = np.arange(12, dtype=np.float16).reshape(4, 3)
    root = folder / "wordllama"
    for part in (names._WEIGHTS, names._TOKENS):
        (root / part).parent.mkdir(parents=True)
    save_file({"embedding.weight": vectors}, root / names._WEIGHTS)
    words = tokenizers.models.WordLevel({"ethyl": 0, "ether": 1, "?": 2}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(root / names._TOKENS))
    assert json.loads((root / names._TOKENS).read_text())["model"]["type"] == "WordLevel"
    found = names.embed(["ethyl ether", "ether", ""])
    np.testing.assert_allclose(found, [vectors[:2].mean(axis=0), vectors[1], np.zeros(3)])


def test_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no_such_package.*identirep\[domains\]"):
        packages.folder_of("no_such_package")
    assert packages.lacking(("numpy", "no_such_package")) == ["no_such_package"]
