"""What a run keeps for its report is read as it was written; other files are refused in one line."""

import json

import numpy as np
import pytest

from identirep.report import Made, describe, read_kept, write_kept


def test_what_is_kept_is_read_again(of_size, tmp_path):
    _, _, description = of_size(5, 3)
    made = Made.now(
        command="identirep fit 'a b.csv'", inputs=["x", "half \udce4"], left_out={"id": "an id"}, remarks=["Odd."]
    )
    write_kept(tmp_path / "report.json", made, description)
    again, found = read_kept(tmp_path / "report.json", 3)
    assert again == made
    assert (found.n_rows, found.data, found.labels) == (1000, "alloys.csv", description.labels)
    for axis, expected in zip(found.axes, description.axes, strict=True):
        assert (axis.inputs, axis.lowest, axis.highest) == (expected.inputs, expected.lowest, expected.highest)
        np.testing.assert_allclose(axis.cloud.values, expected.cloud.values, rtol=1e-4)
    write_kept(tmp_path / "bare.json", made, None)
    assert read_kept(tmp_path / "bare.json", 3) == (made, None)


def test_what_is_unknown_stays_so(of_size, tmp_path):
    _, _, description = of_size(5, 1)
    share = description.axes[0].inputs[0]._replace(correlation=float("nan"))
    description.axes[0].inputs[0] = share
    write_kept(tmp_path / "report.json", Made(), description)
    assert "NaN" not in (tmp_path / "report.json").read_text()
    assert np.isnan(read_kept(tmp_path / "report.json", 1)[1].axes[0].inputs[0].correlation)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("made"),
        lambda document: document["made"].update(other=1),
        lambda document: document["made"].update(remarks=[1]),
        lambda document: document["description"]["axes"].pop(),
        lambda document: document["description"]["axes"][0].update(targets=3),
        lambda document: document["description"]["axes"][0]["cloud"].update(values=[1.0]),
        lambda document: document["description"].update(labels={"x": "y"}),
    ],
)
def test_damage_is_said_in_one_line(of_size, tmp_path, change):
    _, _, description = of_size(5, 3)
    path = tmp_path / "report.json"
    write_kept(path, Made(), description)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"report.json' is damaged: got no description .*identirep report RUN DATA"):
        read_kept(path, 3)


def test_rows_have_the_numbers_and_labels_that_they_are_given():
    class Model:
        latent_names_, task_names_, causal_model_, _encoder = ("a",), (), None, None
        _latents_of = staticmethod(lambda X: np.asarray(X)[:, :1])

    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("identirep.describing.within_task_correlations", lambda _: np.zeros((0, 1)))
        found = describe(Model(), X, numbers=np.arange(100, 140), labels=[f"row {i}" for i in range(40)])
    least = int(X[:, 0].argmin())
    assert found.axes[0].lowest[0] == (100 + least, X[least, 0])
    assert found.labels[100 + least] == f"row {least}"
    assert len(found.axes[0].lowest) == len(found.axes[0].highest) == 5
