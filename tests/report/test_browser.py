"""The page in a browser: nothing is wider than the window, at 390 and 1280 pixels, light and dark; it prints on few pages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from relselect.report import render_html

from .records import advice_record, outcome, run_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

#: Every page in a frame of each width; what is too wide, or too faint, is said below them.
HARNESS = """<!DOCTYPE html><html><body style="margin:0;color-scheme:SCHEME"><pre id="said"></pre>
<script>
const pages = PAGES;
function light(colour) {
  const parts = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255);
  const [r, g, b] = parts.map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
}
function look(frame) {
  const doc = frame.contentDocument, root = doc.documentElement, found = [];
  const style = each => doc.defaultView.getComputedStyle(each);
  doc.querySelectorAll("details").forEach(each => each.open = true);
  if (root.scrollWidth > root.clientWidth) found.push("page " + root.scrollWidth);
  for (const each of doc.querySelectorAll("main *")) {
    const right = each.getBoundingClientRect().right;
    if (right > root.clientWidth + 1 && !each.closest(".scroll, pre")) found.push(each.tagName + " " + right);
  }
  for (const each of doc.querySelectorAll(".scroll:has(svg)")) {
    if (each.scrollWidth > each.clientWidth + 1) found.push("figure " + each.scrollWidth);
  }
  const paper = light(style(doc.body).backgroundColor);
  for (const each of doc.querySelectorAll("main p, main li, main td, main dd, main dt, main h2")) {
    if (style(each).backgroundColor !== "rgba(0, 0, 0, 0)") continue;
    const ink = light(style(each).color);
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) found.push("faint " + each.tagName + " " + ratio.toFixed(1));
  }
  const what = [...new Set(found)].slice(0, 6).join("; ") || "fine";
  return frame.title + " " + (paper > .5 ? "light" : "dark") + ": " + what;
}
const frames = Object.entries(pages).flatMap(([name, page]) => [390, 1280].map(width => {
  const frame = document.createElement("iframe");
  frame.title = name + " " + width;
  frame.style = `width:${width}px;height:900px;border:0;color-scheme:SCHEME`;
  frame.srcdoc = page;
  document.body.append(frame);
  return new Promise(done => { frame.onload = () => done(frame); });
}));
Promise.all(frames).then(all => { document.getElementById("said").textContent = all.map(look).join("|"); });
</script></body></html>
"""


def browse(folder: Path, *options: str) -> str:
    """Run the browser once with a profile of its own, and return what it says."""
    base = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*base, *options], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def records() -> dict[str, dict[str, Any]]:
    amounts = run_record() | {"outcome": outcome("regression")}
    amounts["task"] |= {"kind": "regression"}
    long = run_record()
    long["task"] |= {
        "name": "a_task_with_a_name_that_has_no_space_and_goes_on_for_very_long",
        "entity": "customer_accounts_of_all_regions",
    }
    return {"run": run_record(), "advice": advice_record(), "amounts": amounts, "long": long}


def looked_at(pages: dict[str, str], scheme: str, folder: Path) -> list[str]:
    """What a browser says of pages in windows of both widths."""
    place = folder / "frames.html"
    literal = json.dumps(pages).replace("</", "<\\/")
    place.write_text(HARNESS.replace("SCHEME", scheme).replace("PAGES", literal), encoding="utf-8")
    said = browse(folder, "--virtual-time-budget=5000", "--dump-dom", place.as_uri())
    found = re.search(r'<pre id="said">(.*?)</pre>', said, re.DOTALL)
    assert found is not None
    return found[1].split("|")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window_and_no_text_is_faint(scheme: str, tmp_path: Path) -> None:
    pages = {name: render_html(record) for name, record in records().items()}
    expected = [f"{name} {width} {scheme}: fine" for name in pages for width in (390, 1280)]
    pages["broken"] = pages["run"].replace("<main>", '<main><p style="width:2000px;color:#888">wide</p>')
    *said, narrow, wide = looked_at(pages, scheme, tmp_path)
    assert said == expected
    assert all("page 2" in text for text in (narrow, wide))  # the check sees what is too wide


def test_it_prints_on_fewer_than_five_pages(tmp_path: Path) -> None:
    page, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(render_html(run_record()), encoding="utf-8")
    browse(tmp_path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer", page.as_uri())
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) < 5
