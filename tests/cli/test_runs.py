"""What was fitted is not lost where it cannot be written."""

import pytest

from identirep import IdentifiableRegressor, directories

_FIT = ("--targets", "y_*", "-d", 2, "--epochs", 5, "--replicates", 1, "--checks", 0)
_FILES = {"model.json", "model.safetensors", "history.parquet", "evaluation.json", "report.html", "report.json"}
_FILES |= {"estimator.skops"}


def test_a_finished_run_is_kept_beside_if_it_cannot_be_written_and_printed_first(invoke, folder, tmp_path, monkeypatch):
    swap = directories._swap

    def fails_for_the_run(new, directory, old):
        if directory.name == "run":
            raise OSError("the disk has gone")
        swap(new, directory, old)

    monkeypatch.setattr(directories, "_swap", fails_for_the_run)
    result = invoke("fit", folder / "wide.csv", *_FIT, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "the disk has gone" in result.stderr
    assert result.stdout.index("Held-out R²") < result.stdout.index("The finished run is kept in")
    (kept,) = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert str(kept) in result.stdout
    assert {path.name for path in kept.iterdir()} == _FILES
    assert IdentifiableRegressor.load(kept).n_components_ == 2


def test_it_is_kept_among_temporary_files_if_there_is_no_beside(invoke, folder, tmp_path, monkeypatch):
    swap = directories._swap

    def fails_there(new, directory, old):
        if directory.parent.name == "full":
            raise OSError("the disk has gone")
        swap(new, directory, old)

    monkeypatch.setattr(directories, "_swap", fails_there)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = invoke("fit", folder / "wide.csv", *_FIT, "--out", tmp_path / "full" / "run")
    assert result.exit_code == 2
    (kept,) = tmp_path.glob("run-kept-*")
    assert str(kept) in result.stdout
    assert IdentifiableRegressor.load(kept).n_components_ == 2


@pytest.mark.parametrize("text", ['{"name": "a network"}', "[]"])
def test_a_model_of_others_is_refused_before_the_fit(invoke, folder, tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    result = invoke("fit", folder / "wide.csv", *_FIT, "--out", tmp_path)
    assert result.exit_code == 2
    assert "holds other files" in result.stderr
    assert "Held-out" not in result.stdout
    assert (tmp_path / "model.json").read_text() == text
