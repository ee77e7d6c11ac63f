"""The demo on a small table of the same kind: what it says is what it has found, and all of it is documented."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import Bunch

from identirep import IdentifiableRegressor, compare
from identirep.cli import runs, story
from identirep.comparing import check_drift

# Five fits and all that is said of them.
pytestmark = pytest.mark.slow


def _data(**_):
    """Two of three latents move with copper; the last target is the one that no fit sees."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(2000, 3))
    copper = np.maximum(Z[:, 0], 0.0)
    X = np.column_stack([Z, np.tanh(Z), copper])
    Y = np.repeat(Z, 4, axis=1) * rng.uniform(0.5, 2.0, 12) + 0.2 * rng.normal(size=(2000, 12))
    target = Z[:, 0] - Z[:, 1] + 0.3 * rng.normal(size=2000)
    return Bunch(
        X=X,
        Y=np.column_stack([Y, target]),
        feature_names=[*(f"x{k}" for k in range(6)), "Cu"],
        target_names=[*(f"y{t}" for t in range(12)), "critical_temp"],
        groups=np.arange(2000) // 2,
        materials=[f"Cu{i}" for i in range(2000)],
    )


@pytest.fixture(scope="module")
def told(invoke, tmp_path_factory):
    """What the demo says, what it answers, and where it writes."""
    real, said = runs.fit_model, []
    quick = {"replicates": 1, "epochs": 40}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("identirep.datasets.load_superconductivity", _data)
        patch.setattr(runs, "fit_model", lambda *args, **settings: real(*args, **settings, **quick))
        patch.setattr(story, "say", lambda text="", **_: said.append(text))
        patch.setattr(story, "_N_DRAWS", 5)
        place = tmp_path_factory.mktemp("demo") / "run"
        result = invoke("demo", "--out", place, "--json")
    assert result.exit_code == 0, result.output
    return " ".join(" ".join(said).split()), json.loads(result.stdout), place


def test_what_is_said_of_the_next_model_holds(told):
    text, document, place = told
    found = document["story"]
    first, second = (IdentifiableRegressor.load(path) for path in (place, found["retrained"]))
    assert first.n_components_ == second.n_components_ == document["n_latents"] == 3
    i = found["named_latent"]
    assert first.latent_names_[i] == second.latent_names_[i] == found["name"]
    assert found["name"] in _data()["target_names"][:12]
    assert f"{found['name']} is: correlation {found['correlation_after']:.3f}" in text
    X = _data().X
    again = compare(first, second, X)
    assert again.correlation[i] == pytest.approx(found["correlation_after"], abs=0.05)
    assert f"{found['n_kept']} of 3 axes are kept" in text
    # Neither model has seen the new target, and with it no more rows than those of the fits.
    assert "critical_temp" not in first.task_names_


def test_a_model_of_few_rows_serves_on_the_next_run_and_raw_features_do_not(told):
    text, document, _ = told
    r2 = document["story"]["r2"]
    assert r2["latents"] > 0.5
    assert r2["latents_after"] > r2["latents"] - 0.1
    assert r2["features_after"] < r2["features"] - 0.3
    assert f"applied to the next model: R² {r2['latents_after']:.2f}" in text
    assert f"Learnt from {story.N_LABELLED} held-out rows" in text


def test_axes_that_have_moved_are_those_of_a_check(told):
    text, document, place = told
    assert document["story"]["moved"]["Cu"] >= 1
    assert document["story"]["moved"]["all"] == 0
    data = _data()
    drift = check_drift(IdentifiableRegressor.load(place), data.X[data.X[:, 6] > 0])
    most = np.argmax(np.abs(drift.latents.shift))
    assert f"most of all {drift.latents.names[most]} by" in text


def test_the_answer_is_documented_and_the_picture_is_there(told):
    _, document, place = told
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    section = page.split("\n## demo\n")[1].split("\n## ")[0]
    keys = set(re.findall(r"^\| `story\.([^`]+)` \|", section, flags=re.MULTILINE))
    found = document["story"]
    assert keys == (set(found) - {"r2", "moved"}) | {f"r2.{key}" for key in found["r2"]} | {"moved.all", "moved.Cu"}
    assert {"agreement", "latents", "written"} <= set(document)
    assert document["written"][-1].endswith("story.png")
    assert (place / "story.png").read_bytes()[:4] == b"\x89PNG"
