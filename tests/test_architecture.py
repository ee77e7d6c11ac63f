"""The house as it stands: no circle of imports, arrows that run one way, and rooms entered by their faces.

Read from the source: imports inside functions and those for type checking count as well.
"""

import grimp
import networkx as nx
import pytest

# Top to bottom, all that the package holds: each imports from the rows below its own, never from its row or above.
# The package itself, with its lazy names, stands on top: it is for users, and no module of ours imports it.
PACKAGE = [
    {"identirep"},
    {"cli"},
    {"experiments"},
    {"regressor"},
    {"carrying"},
    {"checked_stages", "stored_stages"},
    {"two_stages"},
    {"fitted_stages"},
    {"report"},
    {"baselines", "checking", "describing", "planning", "recording", "refining"},
    {"comparing", "encoded_tables", "encoder_error", "input_shares", "losses_of_halves"},
    {"mtlcm", "mtrn"},
    {"encoding", "engines", "persistence", "serving", "signal_check"},
    {"datasets", "evaluation"},
    {"checkpoints", "exchangeability", "known_tasks", "linear_copies"},
    {"metrics", "moments", "splits", "validation"},
    {"disentanglement"},
    {"chance", "label_sides", "latent_sets", "moment_arguments", "moment_statistics"},
    {"task_rows"},
    {"robust_weights"},
    {"checkpoint_files", "curved_effects", "heavy_tails", "latent_targets", "merging", "moments_file", "row_weights"}
    | {"weighted_fit"},
    {"inputs", "target_kinds", "task_blocks"},
    {"accumulation", "agreement", "canonical_analysis", "parameters", "run_files", "seeds", "training"},
    {"gaps", "gross_errors", "missing", "sentinels", "units"},
    {"directories", "files", "mapped_rows", "naming", "processes"},
    {"_typing", "divergence", "row_labels", "scratch", "shapes", "tensors", "threads", "wording"},
]
STAGE_TWO = [
    {"mtlcm"},
    {"estimator"},
    {"stored", "using"},
    {"fitted"},
    {"trust"},
    {"axes", "new_tasks"},
    {"checks", "data", "roles"},
    {"model"},
]
# Arrows that would run down and still must not be: a baseline owes nothing to stage two, nor the model to a baseline.
APART = {
    ("baselines", "mtlcm"),
    ("regressor", "baselines"),
    ("two_stages", "baselines"),
    ("fitted_stages", "baselines"),
}


def imports(package):
    """Read who imports whom: a graph of modules, where a package stands for its ``__init__``."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    arrows = nx.DiGraph((a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a))
    arrows.add_nodes_from(graph.modules)
    return arrows


def circles(arrows):
    """List the groups of modules that import each other."""
    return [sorted(group) for group in nx.strongly_connected_components(arrows) if len(group) > 1]


def part_of(module, package):
    """Name the child of `package` that holds `module`, the package itself for its ``__init__``, None outside."""
    if module == package:
        return package.rpartition(".")[2]
    return module[len(package) + 1 :].split(".")[0] if module.startswith(f"{package}.") else None


def without_row(arrows, package, rows):
    """List the parts of `package` that no row names, and the names in the rows that no part has."""
    return sorted(({part_of(module, package) for module in arrows} - {None}) ^ set().union(*rows))


def back_arrows(arrows, package, rows, apart=frozenset()):
    """List the imports between two parts of `package` that do not run from a row to one below it."""
    row = {part: i for i, parts in enumerate(rows) for part in parts}
    found = []
    for a, b in sorted(arrows.edges):
        start, end = part_of(a, package), part_of(b, package)
        if None in (start, end) or start == end:
            continue
        if row[start] >= row[end] or (start, end) in apart:
            found.append(f"{a} -> {b}")
    return found


def reaches(arrows):
    """List the imports from inside a room, a package below the top, by modules outside: they should use its face."""
    rooms = {module.rpartition(".")[0] for module in arrows} - {""}
    top = {room for room in rooms if "." not in room}
    return [
        f"{a} -> {b}"
        for a, b in sorted(arrows.edges)
        if any(part_of(b, room) and b != room and not part_of(a, room) for room in rooms - top)
    ]


@pytest.fixture(scope="module")
def ours():
    return imports("identirep")


def test_no_circle(ours):
    found = circles(ours)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("package", "rows", "apart"), [("identirep", PACKAGE, APART), ("identirep.mtlcm", STAGE_TWO, frozenset())]
)
def test_arrows_run_down(ours, package, rows, apart):
    missing = without_row(ours, package, rows)
    assert not missing, f"each part of {package} has a row above, and each name in a row is a part: {missing}"
    found = back_arrows(ours, package, rows, apart)
    assert not found, "\n".join(found)


def test_rooms_are_entered_by_their_faces(ours):
    found = reaches(ours)
    assert not found, "\n".join(found)


# The rules bite: a package with one fault of each kind, and the same package without.

_SOUND = {
    "__init__": "",
    "upper/__init__": "from house.upper.inner import thing",
    "upper/inner": "from house.lower import thing",
    "lower/__init__": "from house.lower.first import thing",
    "lower/first": "from house.lower.second import other\nthing = other",
    "lower/second": "other = 1",
}
_ROWS = [{"house"}, {"upper"}, {"lower"}]


@pytest.fixture
def build(tmp_path, monkeypatch):
    def write(**changed):
        for name, text in {**_SOUND, **changed}.items():
            path = tmp_path / "house" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return imports("house")

    return write


def test_sound_house(build):
    arrows = build()
    assert arrows.number_of_edges() == 4
    assert circles(arrows) == []
    assert without_row(arrows, "house", _ROWS) == []
    assert back_arrows(arrows, "house", _ROWS) == []
    assert reaches(arrows) == []


@pytest.mark.parametrize(
    "text",
    [
        "from house.lower.first import thing",
        "import house.lower.first",
        "from .first import thing",
        "def late():\n    from house.lower import first",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.lower.first import thing",
    ],
)
def test_circle_is_found(build, text):
    arrows = build(**{"lower/second": text})
    assert circles(arrows) == [["house.lower.first", "house.lower.second"]]


def test_circle_through_a_face_is_found(build):
    arrows = build(**{"lower/second": "from house.lower import thing"})
    assert circles(arrows) == [["house.lower", "house.lower.first", "house.lower.second"]]


@pytest.mark.parametrize(
    ("module", "text", "arrow"),
    [
        ("lower/second", "from house.upper import thing", "house.lower.second -> house.upper"),
        ("lower/second", "from house import thing", "house.lower.second -> house"),
        ("lower/second", "def late():\n    import house.upper", "house.lower.second -> house.upper"),
        (
            "lower/second",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.upper import thing",
            "house.lower.second -> house.upper",
        ),
    ],
)
def test_arrow_back_is_found(build, module, text, arrow):
    assert back_arrows(build(**{module: text}), "house", _ROWS) == [arrow]


def test_arrows_of_one_row_and_between_parts_kept_apart_are_found(build):
    arrows = build()
    expected = ["house.upper.inner -> house.lower"]
    assert back_arrows(arrows, "house", [{"house"}, {"upper", "lower"}]) == expected
    assert back_arrows(arrows, "house", _ROWS, apart={("upper", "lower")}) == expected


def test_part_without_row_is_found(build):
    assert without_row(build(), "house", [{"house"}, {"upper"}, {"cellar"}]) == ["cellar", "lower"]


@pytest.mark.parametrize(
    "text", ["from house.lower.second import other", "from house.lower import second", "import house.lower.second"]
)
def test_reach_past_a_face_is_found(build, text):
    arrows = build(**{"upper/inner": text})
    assert reaches(arrows) == ["house.upper.inner -> house.lower.second"]


def test_reach_into_a_room_of_a_room_is_found(build):
    arrows = build(**{"lower/deep/__init__": "", "lower/deep/most": "", "lower/first": "import house.lower.deep.most"})
    assert reaches(arrows) == ["house.lower.first -> house.lower.deep.most"]
