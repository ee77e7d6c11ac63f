"""Screenshots and a printed page of the report of a run, for docs/images: light, dark, on a phone, on paper.

    python docs/pictures.py runs/demo/report.html [--out docs/images]

Needs a chromium and pdftoppm (Debian's chromium and poppler-utils), and the extra `browser`. `make pictures` runs the
demo first if it has not been run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_FLAGS += ["--disable-component-update", "--disable-sync"]
# Width and height that are seen, and colours.
_SHOTS = {"report": (1400, 1150, "light"), "report_dark": (1400, 1150, "dark"), "report_phone": (390, 1150, "light")}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        for name, (width, height, scheme) in _SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.set_default_timeout(120_000)
            page.goto(options.report.resolve().as_uri())
            page.screenshot(path=options.out / f"{name}.png")
            print(options.out / f"{name}.png")
        printed = Path(folder) / "report.pdf"
        printed.write_bytes(page.pdf(format="A4", print_background=True))
        browser.close()
        # The first two pages are enough to see how it prints.
        for number, name in ((1, "report_print"), (2, "report_print_axes")):
            pages = ["-f", str(number), "-l", str(number), "-r", "70", "-png", "-singlefile"]
            subprocess.run(["pdftoppm", *pages, printed, options.out / name], check=True)
            print(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
