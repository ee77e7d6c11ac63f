"""The report is one page that works alone, says what was found, and shows names as they are."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from identirep.datasets import make_linear_tasks
from identirep.evaluation import Evaluation, score_tasks
from identirep.metrics import stability
from identirep.mtlcm import MTLCM
from identirep.report import write_report

_NASTY = (
    "<script>alert(1)</script>",
    "<b>bold</b> & \"quoted\" 'single'",
    "{{ 7 * 7 }}",
    "</script><img src=x onerror=1>",
)


class _Page(HTMLParser):
    """Visible text, tags and figures of a page."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.links, self.texts, self.scripts, self.ids = [], [], [], [], set()
        self._inside = []
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.links.append(value)
            if name == "id":
                self.ids.add(value)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" in self._inside:
            self.scripts.append(data)
        if not {"script", "style"}.intersection(self._inside):
            self.texts.append(data)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = X[:, :3] @ rng.laplace(size=(3, 10)) + 0.1 * rng.normal(size=(300, 10))
    return X, Y, [*_NASTY, *(f"target_{t}" for t in range(4, 10))]


@pytest.fixture(scope="module")
def model(data):
    from identirep import MTRN, IdentifiableRegressor

    X, Y, names = data
    stage = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=40)
    return IdentifiableRegressor(3, regressor=stage, random_state=0).fit(X[:200], Y[:200], names)


@pytest.fixture(scope="module")
def evaluation(model, data):
    X, Y, _ = data
    Z = model.transform(X)
    agreement = stability([Z[:200], Z[:200, ::-1]], held_out=[Z[200:], Z[200:, ::-1]])
    return Evaluation("steels.csv", 200, 100, None, score_tasks(model, X[200:], Y[200:]), agreement, 1.0)


@pytest.fixture(scope="module")
def page(model, evaluation, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(model, path, evaluation=evaluation, title=_NASTY[0])
    return _Page(path)


def test_page_works_without_a_network(page):
    assert page.links == []
    assert page.source.count("plotly.js v") == 1
    assert page.source.startswith("<!doctype html>")


def test_names_cannot_become_markup(page):
    for name in _NASTY:
        assert name[:25] in page.text
    # Figures hold their labels inside of scripts, where an end tag would end the script.
    assert "img" not in page.tags
    assert "alert(1)</script>" not in page.source
    assert "<b>bold" not in page.source
    # Plotly reads labels as HTML of its own, whatever they are called in the script.
    figures = "".join(page.scripts)
    assert "&lt;b&gt;bold" in figures
    assert "\\u003cb\\u003ebold" not in figures


def test_all_sections_are_there(page):
    assert page.ids >= {"spectrum", "roles", "expected", "separation", "stability", "scores", "history"}
    for text in ("Are the axes reproducible?", "Are the roles causal?", "No: associations, not causes"):
        assert text in page.text


def test_verdicts_and_reasons_are_listed(page, model):
    certificate = model.certificate_
    for verdict, reason in zip(certificate.verdict, certificate.reasons, strict=True):
        assert verdict in page.text
        assert reason in page.text


def test_scores_are_listed(page, evaluation):
    assert f"median {np.median(evaluation.r2):.3f}" in page.text
    assert f"{evaluation.stability.score:.3f}" in page.text


def test_contradicted_verdicts_are_marked(evaluation, tmp_path):
    from dataclasses import replace

    from sklearn.linear_model import LinearRegression

    from identirep import IdentifiableRegressor, PredictiveFeatures

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    heads = rng.laplace(size=(3, 40)) * (rng.random((3, 40)) < 0.6)
    model = IdentifiableRegressor(3, regressor=PredictiveFeatures(LinearRegression()), random_state=0)
    model.fit(X, X[:, :3] @ heads + 0.1 * rng.normal(size=(300, 40)))
    assert "reproducible" in model.certificate_.verdict
    unstable = replace(evaluation.stability, per_latent=np.full((2, 3), 0.5))
    seen = replace(evaluation, stability=unstable, r2=np.ones(40))
    write_report(model, tmp_path / "report.html", evaluation=seen)
    assert "Fits to the same rows gave less" in _Page(tmp_path / "report.html").text


def test_sections_without_data_are_left_out(tmp_path):
    tasks = make_linear_tasks(n_tasks=12, n_samples=60, n_latents=3, random_state=0)
    write_report(MTLCM(random_state=0).fit(tasks.H, tasks.y, tasks.tasks), tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.ids == {"roles", "expected", "separation"}
    assert "associations, not causes" not in page.text


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@pytest.mark.parametrize("n_components", ["auto", 2])
def test_no_signal_shows_no_latents(tmp_path, n_components):
    from identirep import MTRN, IdentifiableRegressor

    rng = np.random.default_rng(0)
    stage = MTRN(hidden_sizes=(8,), n_replicates=1, max_epochs=3)
    model = IdentifiableRegressor(n_components, regressor=stage, random_state=0)
    model.fit(rng.normal(size=(200, 4)), rng.normal(size=(200, 6)))
    write_report(model, tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert "No signal" in page.text
    assert page.ids == {"spectrum", "history"}
    assert "table" not in page.tags or "Which latents can be trusted" not in page.text


def test_many_tasks_and_long_names(tmp_path):
    tasks = make_linear_tasks(n_tasks=200, n_samples=20, n_latents=2, random_state=0)
    labels = [f"a name that is much too long for a label of task {t}" for t in tasks.tasks]
    write_report(MTLCM(random_state=0).fit(tasks.H, tasks.y, labels), tmp_path / "report.html")
    assert "200 targets" in _Page(tmp_path / "report.html").text


def test_a_failed_report_leaves_the_old_one(model, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", _fails)
    with pytest.raises(OSError, match="disk is gone"):
        write_report(model, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def _fails(*_):
    raise OSError("disk is gone")
