"""The pages in a real browser: no error, no request, nothing sideways, a search, a way to a target and back, print."""

import re
import shutil

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from identirep import IdentifiableRegressor
from identirep.comparing import compare
from identirep.report import Made, write_comparison, write_report
from identirep.report.content import Findings

playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright")

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_FLAGS += ["--disable-component-update", "--disable-sync"]

pytestmark = [
    pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium: apt-get install chromium"),
    # All share one browser.
    pytest.mark.timeout(240),
]

# Contrast of all text that is seen with what it stands on, by the formula of WCAG 2: those under what AA asks for.
_PALE = """() => {
  const channels = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? numbers.slice(0, 3).map((v) => 255 * v).concat(numbers.slice(3)) : numbers;
  };
  const luminance = (rgb) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = rgb.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === undefined || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !element.getClientRects().length || element.closest("script, style")) continue;
    const style = getComputedStyle(element);
    const ink = luminance(channels(element instanceof SVGElement ? style.fill : style.color));
    const ground = luminance(behind(element));
    const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    if (contrast < 4.5) found.set(element.className.baseVal ?? element.className, contrast);
  }
  return [...found];
}"""

# What screen readers need, and what keeps pages in order.
_FAULTS = """() => {
  const faults = [], all = (selector) => [...document.querySelectorAll(selector)];
  for (const [selector, n] of [["main", 1], ["h1", 1], ["body > header", 1], ["body > footer", 1]])
    if (all(selector).length !== n) faults.push(`${all(selector).length} of ${selector}`);
  let level = 0;
  for (const head of all("h1, h2, h3, h4")) {
    if (Number(head.tagName[1]) > level + 1) faults.push(`${head.tagName} ${head.textContent} after h${level}`);
    level = Number(head.tagName[1]);
  }
  for (const picture of all("svg"))
    if (picture.getAttribute("aria-hidden") !== "true" && !(picture.getAttribute("aria-label") || "").length)
      faults.push("a picture without a text");
  for (const field of all("input, select")) if (!field.labels.length) faults.push(`${field.id} without a label`);
  for (const part of all("section, nav, [role=region], [role=search]"))
    if (!part.getAttribute("aria-label") && !document.getElementById(part.getAttribute("aria-labelledby")))
      faults.push(`${part.tagName} ${part.id} without a name`);
  for (const table of all("table")) if (!table.querySelector("th[scope]")) faults.push("a table without heads");
  for (const scrolls of all(".window, .sideways")) if (scrolls.tabIndex !== 0) faults.push("no way to scroll by keys");
  return faults;
}"""


@pytest.fixture(scope="module")
def pages(stage_two, of_size, tmp_path_factory):
    """Pages of 2,000 and of 50 targets with long names, of tasks with rows of their own, and of a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        sizes = {"wide": (2000, 10, True), "small": (50, 10, True), "long": (12, 3, False)}
        for name, (n_targets, n_latents, wide) in sizes.items():
            names = "a_very_long_name_without_a_space_" + "x" * 60 if wide else "assay"
            found, evaluation, description = of_size(n_targets, n_latents, wide=wide, name=names)
            patch.setattr(Findings, "of", lambda _, found=found: found)
            made = Made.now(run="runs/alloys", command="identirep fit alloys.csv --out runs/alloys", remarks=["One."])
            write_report(
                stage_two,
                folder / f"{name}.html",
                evaluation=evaluation,
                description=description,
                made=made,
                title=name,
            )
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    Y = X[:, :3] @ rng.laplace(size=(3, 8)) + 0.1 * rng.normal(size=(200, 8))
    fits = [IdentifiableRegressor(3, regressor=LinearRegression(), n_checks=0, random_state=0) for _ in range(2)]
    found = compare(*(fit.fit(X[half::2], Y[half::2]) for half, fit in enumerate(fits)), X)
    write_comparison(folder / "compared.html", {"runs/april": found}, old="runs/march", data="new.csv")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, pages):
    """Open a page; afterwards, raise if a script failed or anything but the file was asked for."""
    contexts, said, asked = [], [], []

    def open_page(name, width=1400, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        # Thousands of rows take their time where many processes share a core.
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((pages / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert all(url.startswith("file://") for url in asked)
    assert len(asked) == len(contexts)


def test_search_sort_and_the_way_from_an_axis_to_a_target_and_back(opened):
    page = opened("wide")
    rows = page.locator("#target-table tbody tr")
    assert rows.count() == 2000
    assert page.locator("#found").inner_text() == "2,000 of 2,000"

    page.get_by_label("Search by name").fill("xx 1999")
    assert page.locator("#found").inner_text() == "1 of 2,000"
    assert page.locator("#target-table tbody tr:visible").count() == 1
    page.get_by_label("Search by name").fill("")

    page.get_by_role("button", name="R²").click()
    assert rows.first.get_attribute("id") == "target-0", "the best first"
    page.get_by_role("button", name="R²").click()
    assert rows.first.get_attribute("id") == "target-1999"
    page.get_by_label("Sort by").select_option(label="correlation with axis 3")
    shown = page.locator("#target-table tbody tr").evaluate_all(
        "rows => rows.map(row => Math.abs(row.dataset.r.split(' ')[3]))"
    )
    assert shown == sorted(shown, reverse=True)

    # A search that hides the target is given up when a card leads to it.
    page.get_by_label("Search by name").fill("nothing has this name")
    link = page.locator("#axis-4 a").first
    target = link.get_attribute("href")
    link.click()
    assert page.locator(target).is_visible()
    assert page.locator(target).evaluate("row => row === document.activeElement")
    page.locator(f'{target} a[href="#axis-4"]').click()
    assert page.evaluate("location.hash") == "#axis-4"
    assert 0 <= page.locator("#axis-4").bounding_box()["y"] < 100
    page.go_back()
    assert page.evaluate("location.hash") == target
    page.get_by_role("button", name="All 2,000 targets by this axis").nth(7).click()
    assert page.get_by_label("Sort by").input_value() == "7"


def test_colours_of_the_table_are_those_of_its_numbers(opened):
    page = opened("long")
    rows = page.locator("#target-table tbody tr")
    for k in range(3):
        percent = [abs(int(value)) for value in rows.nth(k).get_attribute("data-r").split()]
        painted = rows.nth(k).locator(".strip").evaluate("strip => strip.style.backgroundImage")
        assert [int(value) for value in re.findall(r"(\d+)%, var\(--raised\)", painted)] == percent


@pytest.mark.parametrize("name", ["wide", "long", "compared"])
def test_a_phone_shows_it_without_scrolling_sideways(opened, name):
    page = opened(name, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Nothing is cut off either, but for what scrolls by itself and what is for screen readers.
    wide = page.evaluate(
        "() => [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 391 "
        "&& !e.closest('.sideways, .visually-hidden')).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_captions_and_words_of_a_comparison_are_whole_on_a_phone(opened):
    page = opened("compared", width=390)
    captions = page.evaluate(
        "() => [...document.querySelectorAll('.sideways caption span')].map(e => "
        "e.closest('.sideways').getBoundingClientRect().right - e.getBoundingClientRect().right)"
    )
    assert len(captions) == 2
    assert min(captions) >= 0.0
    # Cells are as wide as their words: the table scrolls by itself, rather than that letters stand one below another.
    lines = page.evaluate(
        "() => [...document.querySelectorAll('.sideways td.span, .sideways tbody th')].map(e => { const range = "
        "document.createRange(); range.selectNodeContents(e); return range.getClientRects().length })"
    )
    assert max(lines) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["small", "long", "compared"])
def test_it_can_be_read_in_both_colours_and_by_screen_readers(opened, name, scheme):
    page = opened(name, scheme=scheme)
    assert page.evaluate(_FAULTS) == []
    assert page.evaluate(_PALE) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark colours" if scheme == "light" else "Light colours").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    assert page.evaluate(_PALE) == []


def test_keys_alone_lead_to_the_content(opened):
    page = opened("long")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_it_prints_to_a_few_pages(opened):
    page = opened("wide", scheme="dark")
    printed = page.pdf(format="A4", print_background=True)
    n_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= n_pages <= 8
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')").strip() == "#ffffff"
    assert page.locator("#target-table tbody tr:visible").count() == 40


def test_without_scripts_all_but_the_search_is_there(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "long.html").as_uri())
    assert page.locator("#target-table tbody tr:visible").count() == 12
    assert page.locator(".card svg.x, .card .dots").count() == 3
    assert not page.get_by_label("Search by name").is_visible()
    context.close()


def test_pictures_show_their_numbers(opened, of_size):
    """A mark of the figure of what comes back stands where its correlation is."""
    page = opened("long")
    found, _, _ = of_size(12, 3, wide=False)
    places = page.locator("#agreement .diamond").evaluate_all("marks => marks.map(mark => mark.getBBox().x)")
    order = np.argsort(found.certificate.comes_back.other_rows)
    assert np.argsort(places).tolist() == order.tolist()
