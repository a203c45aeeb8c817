"""Draw the diagram of docs/architecture.md into website/architecture.svg, which the site shows.

  npm pack mermaid@11 && tar -xf mermaid-*.tgz package/dist/mermaid.min.js
  python website/draw_diagram.py package/dist/mermaid.min.js

It needs Playwright and Chromium. The drawing holds the checksum of its text; a test compares it.
"""

import hashlib
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
DRAW = """async text => {
  mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false}});
  return (await mermaid.render("flow", text)).svg;
}"""


def diagram() -> str:
    """Return the text of the diagram."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return text.partition("```mermaid\n")[2].partition("```")[0]


def checksum(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def main(mermaid: str) -> None:
    """Draw with the given mermaid.min.js."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(path=mermaid)
        svg = page.evaluate(DRAW, diagram())
        browser.close()
    svg = re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)  # website/site.css has its colours, light and dark
    (ROOT / "website" / "architecture.svg").write_text(f"<!-- {checksum(diagram())} -->\n{svg}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
