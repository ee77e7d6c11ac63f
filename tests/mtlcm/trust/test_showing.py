"""The certificate as text and in notebooks."""

import re
from copy import copy
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.mtlcm import Certificate, ComesBack
from identirep.mtlcm.trust.showing import COLOURS, certificate_html, certificate_text
from identirep.mtlcm.trust.verdict import VERDICTS


def _back(values):
    values = np.array(values, dtype=float)
    return ComesBack(values, values, np.column_stack([values - 0.05, values]), np.zeros(len(values)), "in this test")


@pytest.fixture(scope="module")
def model():
    data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    return MTLCM(random_state=0).fit(data.H, data.y, data.tasks)


class _Cells(HTMLParser):
    """The texts of a page, one list for each row of its table."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("link", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and "tr" in self.open:
            self.rows[-1][-1] += data


def test_text_has_a_line_for_each_axis(model):
    certificate = model.certificate_
    first, head, *lines = repr(certificate).splitlines()
    assert first == "Certificate of 3 axes: 3 identified"
    assert str(certificate) == repr(certificate)
    assert head.split() == ["axis", "verdict", "comes", "back", "reason"]
    assert [line.split()[:2] for line in lines] == [[str(i), "identified"] for i in range(3)]
    for i, line in enumerate(lines):
        shown = float(line.split()[2])
        assert shown <= certificate.comes_back.other_rows[i] < shown + 0.001, "never more than it is"
    assert max(map(len, lines)) <= 120


def test_long_and_many_are_cut():
    verdict, reasons = ["unstable"] * 50, ["x" * 500] * 50
    text = certificate_text(verdict, reasons, _back(np.full(50, 0.5)))
    assert text.startswith("Certificate of 50 axes: 50 unstable")
    assert text.splitlines()[-1] == "and 30 more, in verdict and reasons"
    assert len(text.splitlines()) == 23
    assert max(map(len, text.splitlines())) <= 120
    page = certificate_html(verdict, reasons, _back(np.full(50, 0.5)))
    assert len(_Cells(page).rows) == 21
    assert "and 30 more" in page


def test_what_was_not_measured_is_said():
    text = certificate_text(["not checked", "unstable"], ["none", "few rows"], _back([np.nan, 0.7]))
    assert text.splitlines()[0] == "Certificate of 2 axes: 1 unstable, 1 not checked"
    assert re.search(r"^0 +not checked +not checked +none$", text, re.MULTILINE)
    assert re.search(r"^1 +unstable +0\.700 \(0\.650-0\.700\) +few rows$", text, re.MULTILINE)
    assert repr(Certificate.empty()) == "Certificate of no axes: the targets carry no signal"
    assert "<table" not in Certificate.empty()._repr_html_()


def test_html_says_the_same_and_escapes_names(model):
    certificate = model.certificate_
    rows = _Cells(certificate._repr_html_()).rows
    assert [row[0] for row in rows] == ["axis", "0", "1", "2"]
    assert [row[1].split()[1] for row in rows[1:]] == certificate.verdict
    assert [row[3] for row in rows[1:]] == certificate.reasons
    page = certificate_html(["unstable"], ["<b>few</b>"], _back([0.5]), ["<script>alert(1)</script>"])
    assert "<script" not in page
    assert "<b>" not in page
    assert _Cells(page).rows[1][0] == "<script>alert(1)</script>"


def _contrast(one, other):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#111111", "#1e1e1e"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_symbols_are_seen_on_light_and_dark_pages(verdict, page):
    assert _contrast(COLOURS[verdict], page) >= 3


def test_words_have_the_colour_of_the_page():
    page = certificate_html(list(VERDICTS), ["why"] * 4, _back(np.ones(4)))
    coloured = re.findall(r'style="color: [^"]+">([^<]+)<', page)
    assert coloured == ["●", "◐", "○", "□"]
    assert set(re.findall(r"[^-]color: ([^;]+);", page.split("</style>")[0])) == {"inherit"}


def test_notebooks_show_the_certificate_below_the_diagram(model):
    for page in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert page.index("MTLCM") < page.index("Certificate of 3 axes")
        rows = [row for row in _Cells(page[page.index('<div class="identirep') :]).rows if row]
        assert [row[0] for row in rows] == ["axis", "latent_0", "latent_1", "latent_2"]
    assert model._repr_mimebundle_()["text/plain"] == repr(model)
    assert "Certificate" not in MTLCM()._repr_html_()
    assert "Certificate" not in MTLCM()._repr_mimebundle_()["text/html"]
    with sklearn.config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert set(model._repr_mimebundle_()) == {"text/plain"}


def test_notebooks_show_the_names_of_latents(model):
    page = copy(model).name_latents({1: "<i>mass</i>"})._repr_html_()
    rows = [row for row in _Cells(page[page.index('<div class="identirep') :]).rows if row]
    assert [row[0] for row in rows] == ["axis", "latent_0", "<i>mass</i>", "latent_2"]
    assert "<i>mass" not in page
