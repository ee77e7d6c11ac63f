"""The report is one page that works alone, says what was found, and shows names as they are."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from identirep.datasets import make_linear_tasks
from identirep.mtlcm import MTLCM, VERDICTS, ComesBack, GoodnessOfFit
from identirep.report import Made, write_report
from identirep.report.content import Findings
from identirep.report.words import VERDICT_MEANINGS, comes_back_sentence, headline, returns_headline

_SECTIONS = {"summary", "axes", "agreement", "spectrum", "targets", "data", "made"}


class _Page(HTMLParser):
    """Visible text, tags, links, sections and scripts of a page."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.links, self.sources, self.texts, self.scripts, self.ids = [], [], [], [], [], []
        self.sections = set()
        self._inside = []
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside.append(tag)
        named = dict(attrs)
        self.links += [named["href"]] if "href" in named else []
        self.sources += [named["src"]] if "src" in named else []
        self.ids += [named["id"]] if "id" in named else []
        if tag == "section":
            self.sections.add(named.get("id"))

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "script" in self._inside:
            self.scripts.append(data)
        if not {"script", "style"}.intersection(self._inside):
            self.texts.append(data)


@pytest.fixture(scope="module")
def page(model, evaluation, description, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    made = Made.now(command="identirep fit 'my data.csv'", run="runs/steels", remarks=["A remark on <b>rows</b>."])
    write_report(model, path, evaluation=evaluation, title="<b>steels</b>", description=description, made=made)
    return _Page(path)


@pytest.fixture
def written(stage_two, tmp_path, monkeypatch):
    """Write the page of findings made by hand."""

    def write(found, **content):
        monkeypatch.setattr(Findings, "of", lambda _: found)
        write_report(stage_two, tmp_path / "report.html", **content)
        return _Page(tmp_path / "report.html")

    return write


def test_page_works_without_a_network(page):
    assert page.sources == []
    assert "http" not in page.source
    assert "url(" not in page.source
    assert page.source.startswith("<!doctype html>")


def test_links_lead_to_what_is_there_once(page):
    assert len(page.ids) == len(set(page.ids))
    assert {link[0] for link in page.links} == {"#"}
    assert {link[1:] for link in page.links} <= set(page.ids)
    # From each card to targets, and back from each target.
    assert {f"#axis-{i}" for i in range(3)} <= set(page.links)
    assert {f"target-{t}" for t in range(10)} <= set(page.ids)


def test_names_cannot_become_markup(page, rows):
    for name in rows[2][:4]:
        assert name in page.text
    assert "<b>steels</b>" in page.text
    assert "A remark on <b>rows</b>." in page.text
    assert "img" not in page.tags
    assert "b" not in page.tags
    # Scripts are ours alone: names are data of the table.
    assert not any("bold" in script or "target_4" in script for script in page.scripts)


def test_all_sections_are_there(page):
    assert page.sections == _SECTIONS


def test_page_begins_with_what_comes_back_and_what_to_do(page, model, evaluation):
    findings = Findings.of(model)
    order = [returns_headline(findings, evaluation), headline(findings), comes_back_sentence(findings, evaluation)]
    order += ["What was fitted", "What comes back, and for what", "What to do next", "Targets that correlate with it"]
    places = [page.text.index(text) for text in order]
    assert places == sorted(places)


def test_no_truth_is_spoken_of_in_the_wide_layout(page):
    said = page.text.split("Parameters of the fit")[0]
    assert not re.search(r"\btrue\b|\btruth\b|Latent of the causal model", said)


def test_roles_of_shared_rows_are_only_said_to_be_associations(page, of_size, written):
    assert "No: associations, not causes." in page.text
    assert "Causes the target" not in page.text
    found, evaluation, _ = of_size(12, 2, wide=False)
    text = written(found, evaluation=evaluation).text
    causes = int((found.causal_probability[:, 0] > 0.9).sum())
    assert text.count("Causes the target in") == 1, "of the axis that comes back"
    assert f"Causes the target in {causes} tasks and is caused by it in {12 - causes}" in text
    rejected = replace(found.certificate, goodness_of_fit=GoodnessOfFit(1.0, 1e-9))
    assert "Causes the target" not in written(replace(found, certificate=rejected)).text


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("wide", [True, False])
def test_every_verdict_in_both_layouts(model, written, verdict, wide):
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
    page = written(replace(Findings.of(model), certificate=certificate, shares_rows=wide))
    assert f"3 latents from 10 {'targets' if wide else 'tasks'}: 3 {verdict}." in page.text
    assert "Because." in page.text
    checked = verdict != "not checked"
    for text in ("0.988", "0.938 to 0.993", "Chance that it turns 4%", "Trained again, same rows"):
        assert (text in page.text) == checked
    assert VERDICT_MEANINGS[verdict][0][1:] in page.text
    # Only an identified axis of tasks with rows of their own is compared with a latent of the causal model.
    compared = verdict == "identified" and not wide
    assert ("0.943" in page.text) == ("Latent of the causal model" in page.text) == compared


def test_axes_not_told_apart_are_drawn_where_that_is_a_reason(model, written):
    for leak, wide, shown in ((0.001, False, False), (0.5, False, True), (0.5, True, False)):
        leakage = np.full((3, 3), leak) - leak * np.eye(3)
        certificate = replace(model.certificate_, leakage=leakage, robust_leakage=leakage, reasons=["because"] * 3)
        page = written(replace(Findings.of(model), certificate=certificate, shares_rows=wide))
        assert ("tell axes apart" in page.text) == ("hardly tell it apart from" in page.text) == shown


def test_agreement_of_more_than_two_fits_is_drawn(model, evaluation, written, page):
    assert "Strong MCC of each pair" not in page.text
    matrix = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]])
    three = replace(evaluation.stability, matrix=matrix, per_latent=np.full((3, 3), 0.99))
    page = written(Findings.of(model), evaluation=replace(evaluation, stability=three))
    assert "Strong MCC of each pair of fits that differ in their seeds alone" in page.text
    assert "the mean over 2 other fits" in page.text


def test_cards_have_verdicts_reasons_inputs_and_rows(page, model, description):
    certificate = model.certificate_
    for verdict, reason in zip(certificate.verdict, certificate.reasons, strict=True):
        assert verdict in page.text
        assert reason[1:] in page.text
    for axis in description.axes:
        best = axis.inputs[0]
        low, high = best.interval
        assert f"{100 * best.share:.0f}% {100 * low:.0f}% to {100 * high:.0f}%" in page.text
        assert f"steel {axis.lowest[0][0]} row {axis.lowest[0][0] + 1} \u2212{-axis.lowest[0][1]:.2f}" in page.text
        r = f"{axis.cloud.correlation:+.2f}".replace("-", "\u2212")
        assert f"100 rows that the fit has not seen, correlation {r}" in page.text
    assert page.source.count('class="dots"') == 3 + 1, "a cloud for each axis, and the scores"


def test_without_rows_the_page_says_how_to_get_them(model, tmp_path):
    for made, how in ((None, 'model.report("report.html", X=X, y=y)'), (Made(run="runs/a"), "report runs/a DATA")):
        write_report(model, tmp_path / "report.html", made=made)
        assert how in _Page(tmp_path / "report.html").text


def test_scores_and_how_it_was_made_are_listed(page, evaluation):
    assert f"median {np.median(evaluation.r2):.3f}" in page.text
    assert "identirep fit 'my data.csv'" in page.text
    assert "Python 3." in page.text
    assert "MTRN.n_replicates" in page.text


def test_contradicted_verdicts_are_marked(model, evaluation, written):
    certificate = replace(model.certificate_, verdict=["reproducible", "unstable", "reproducible"])
    found = replace(Findings.of(model), certificate=certificate)
    for agreement, marks in (([0.5, 0.5, 0.99], 1), ([0.99, 0.5, 0.99], 0)):
        stability = replace(evaluation.stability, per_latent=np.array([agreement, agreement]))
        page = written(found, evaluation=replace(evaluation, stability=stability))
        assert page.text.count("this measurement counts more than the verdict") == marks
        assert f"{2 - marks} of 3 axes come" in page.text


def test_sections_without_data_are_left_out(tmp_path):
    tasks = make_linear_tasks(n_tasks=12, n_samples=60, n_latents=3, random_state=0)
    write_report(MTLCM(random_state=0).fit(tasks.H, tasks.y, tasks.tasks), tmp_path / "report.html")
    page = _Page(tmp_path / "report.html")
    assert page.sections == _SECTIONS - {"spectrum"}
    assert "associations, not causes" not in page.text
    assert "R²" not in page.text


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
    assert page.sections == {"summary", "spectrum", "data", "made"}
    assert "article" not in page.tags
    assert "What to do next" in page.text


def test_two_thousand_targets_fit_in_the_budget(of_size, written):
    found, evaluation, description = of_size(2000, 20)
    page = written(found, evaluation=evaluation, description=description)
    assert len(page.source.encode()) < 1_500_000
    assert "20 latents from 2,000 targets" in page.text
    assert all(f"target-{t}" in page.ids for t in (0, 1999))


def test_long_names_are_cut_and_told_when_pointed_at(of_size, written):
    found, evaluation, _ = of_size(10, 2, name="x" * 500)
    page = written(found, evaluation=evaluation)
    assert "x" * 81 not in page.text
    assert f'title="{"x" * 299}…"' in page.source


def test_names_in_no_encoding_do_not_stop_the_page(of_size, written):
    found, _, _ = of_size(3, 1, name="half \udce4")
    assert "half \\udce4 2" in written(found).text


def test_a_model_writes_its_own_report(model, rows, evaluation, description, tmp_path):
    from identirep import IdentifiableRegressor

    X, Y, names = rows
    labels = [f"steel {i}" for i in range(300)]
    path = model.report(tmp_path / "own.html", X, Y, names, labels=labels, evaluation=evaluation, title="Steels")
    assert path == tmp_path / "own.html"
    rest = {"evaluation": evaluation, "title": "Steels", "description": replace(description, data=None)}
    write_report(model, tmp_path / "other.html", **rest)
    assert path.read_text(encoding="utf-8") == (tmp_path / "other.html").read_text(encoding="utf-8")
    assert "Identifiable latents" in _Page(model.report(str(tmp_path / "plain.html"))).text
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
