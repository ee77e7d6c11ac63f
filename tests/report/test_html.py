"""The report is one page that works alone, says what was found, and shows names as they are."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from identirep.datasets import make_linear_tasks
from identirep.evaluation import Evaluation, score_tasks
from identirep.metrics import stability
from identirep.mtlcm import MTLCM, VERDICTS, ComesBack
from identirep.report import write_report
from identirep.report.content import Findings
from identirep.report.figures import draw_figures
from identirep.report.words import VERDICT_MEANINGS, comes_back_sentence, headline

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
    assert page.ids == {"returns", "spectrum", "targets", "scores", "history", "roles"}
    for text in ("Do the axes come back on other rows?", "Are the roles causal?", "No: associations, not causes"):
        assert text in page.text


def test_page_begins_with_what_comes_back(page, model, evaluation):
    findings = Findings.of(model)
    said = comes_back_sentence(findings, evaluation)
    assert said in page.text
    assert page.text.index(headline(findings)) < page.text.index(said) < page.text.index("Verdict")


def test_no_truth_is_spoken_of_in_the_wide_layout(page):
    said = page.text.split("Parameters of the fit")[0]
    assert not re.search(r"\btrue\b|\btruth\b|Latent of the causal model", said)


def test_roles_of_shared_rows_are_the_smallest_figure_and_the_last(page, model, evaluation):
    figures = {name: figure for name, figure in draw_figures(Findings.of(model), evaluation).items() if figure}
    heights = {name: figure.layout.height for name, figure in figures.items()}
    assert min(heights, key=heights.get) == "roles"
    places = {name: page.source.index(f'id="{name}"') for name in figures}
    assert max(places, key=places.get) == "roles"
    assert "an association, not a cause" in page.text[page.text.index("Roles, as associations") :]


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("wide", [True, False])
def test_every_verdict_in_both_layouts(model, monkeypatch, tmp_path, verdict, wide):
    known = np.full(3, np.nan if verdict == "not checked" else 0.9876)
    interval = np.column_stack([known - 0.05, known + 0.005])
    back = ComesBack(known, known, interval, known - 0.95, "measured on 2 fits to halves of the rows")
    certificate = replace(
        model.certificate_,
        verdict=[verdict] * 3,
        reasons=["because"] * 3,
        comes_back=back,
        expected_mcc=np.full(3, 0.9432),
    )
    found = replace(Findings.of(model), certificate=certificate, shares_rows=wide)
    monkeypatch.setattr(Findings, "of", lambda _: found)
    write_report(model, tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert f"3 latents from 10 {'targets' if wide else 'tasks'}: 3 {verdict}." in page.text
    assert VERDICT_MEANINGS[verdict][0] in page.text
    checked = verdict != "not checked"
    for text in ("0.988", "0.938 to 0.993", "turns: 4%", "Trained again: a fit to the same rows"):
        assert (text in page.text) == checked
    # Only an identified axis of tasks with rows of their own is compared with a latent of the causal model.
    assert (
        ("0.943" in page.text) == ("Latent of the causal model" in page.text) == (verdict == "identified" and not wide)
    )


def test_separation_is_shown_where_a_pair_is_not_told_apart(model):
    for leak, wide, shown in ((0.001, False, False), (0.5, False, True), (0.5, True, False)):
        leakage = np.full((3, 3), leak) - leak * np.eye(3)
        certificate = replace(model.certificate_, leakage=leakage, robust_leakage=leakage)
        figures = draw_figures(replace(Findings.of(model), certificate=certificate, shares_rows=wide), None)
        assert (figures["separation"] is not None) == shown


def test_agreement_of_more_than_two_fits_is_drawn(model, evaluation, tmp_path):
    matrix = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]])
    three = replace(evaluation.stability, matrix=matrix, per_latent=np.full((3, 3), 0.99))
    write_report(model, tmp_path / "report.html", evaluation=replace(evaluation, stability=three))
    page = _Page(tmp_path / "report.html")
    assert "stability" in page.ids
    assert "Fits differ in their seeds alone" in page.text
    assert "the mean over 2 of them" in page.text


def test_verdicts_and_reasons_are_listed(page, model):
    certificate = model.certificate_
    for verdict, reason in zip(certificate.verdict, certificate.reasons, strict=True):
        assert verdict in page.text
        assert reason in page.text


def test_scores_are_listed(page, evaluation):
    assert f"median {np.median(evaluation.r2):.3f}" in page.text
    assert f"{evaluation.stability.score:.3f}" in page.text


def test_contradicted_verdicts_are_marked(model, evaluation, monkeypatch, tmp_path):
    certificate = replace(model.certificate_, verdict=["reproducible", "unstable", "reproducible"])
    found = replace(Findings.of(model), certificate=certificate)
    monkeypatch.setattr(Findings, "of", lambda _: found)
    for agreement, marks in (([0.5, 0.5, 0.99], 1), ([0.99, 0.5, 0.99], 0)):
        stability = replace(evaluation.stability, per_latent=np.array([agreement, agreement]))
        write_report(model, tmp_path / "report.html", evaluation=replace(evaluation, stability=stability))
        page = _Page(tmp_path / "report.html")
        assert page.tags.count("sup") == marks
        assert ("counts more than the verdict" in page.text) == bool(marks)


def test_sections_without_data_are_left_out(tmp_path):
    tasks = make_linear_tasks(n_tasks=12, n_samples=60, n_latents=3, random_state=0)
    write_report(MTLCM(random_state=0).fit(tasks.H, tasks.y, tasks.tasks), tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.ids == {"returns", "targets", "roles"}
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
    assert "200 tasks" in _Page(tmp_path / "report.html").text


def test_a_model_writes_its_own_report(model, evaluation, tmp_path):
    from identirep import IdentifiableRegressor

    path = model.report(tmp_path / "own.html", evaluation=evaluation, title="Steels")
    assert path == tmp_path / "own.html"
    write_report(model, tmp_path / "other.html", evaluation=evaluation, title="Steels")
    assert path.read_text(encoding="utf-8") == (tmp_path / "other.html").read_text(encoding="utf-8")
    assert _Page(model.report(str(tmp_path / "plain.html"))).text.strip().startswith("Identifiable latents")
    with pytest.raises(NotFittedError):
        IdentifiableRegressor().report(tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


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
