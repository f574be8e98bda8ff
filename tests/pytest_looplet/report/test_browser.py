"""The page in a browser: it draws, filters, opens, and lets nothing out and nothing in.

A copy of the page carries a probe, a script of the test that uses the page and writes down what it found.
"""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_looplet.report.html import page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
]

PROBE = """
(async () => {
  const found = {}, get = (id) => document.getElementById(id);
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const shown = () => [...document.querySelectorAll(".case")].filter((one) => !one.hidden).length;
  const key = (name) =>
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const blocked = [];
  document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.blockedURI));
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done));
  await wait(50);
  const [timing] = performance.getEntriesByType("navigation");
  found.load_ms = Math.round(timing.loadEventEnd);
  found.all = shown();
  get("search").value = "case-0001 LOOKUP_order";
  get("search").dispatchEvent(new Event("input"));
  await wait(300);
  found.searched = shown();
  get("search").value = "no such words";
  get("search").dispatchEvent(new Event("input"));
  await wait(300);
  found.none = [shown(), !get("none").hidden];
  key("Escape");
  found.cleared = shown();
  get("filter").value = "red";
  get("filter").dispatchEvent(new Event("change"));
  found.red = shown();
  found.count = get("count").textContent;
  key("Escape");
  get("collapse").click();
  found.collapsed = document.querySelectorAll(".case[open]").length;
  const first = document.querySelector(".case");
  first.querySelector("summary").click();
  await wait(20);
  const step = first.querySelector(".step"), before = step.offsetHeight;
  step.querySelector("summary").click();
  await wait(20);
  found.expanded = first.open && step.open && step.offsetHeight > before + 40;
  key("j");
  key("j");
  found.focused = document.activeElement.closest(".case").id;
  key("e");
  found.steps_opened = document.querySelectorAll("#case-2 .step[open]").length;
  key("/");
  found.search_focused = document.activeElement.id;
  if (found.all < 20) for (const one of document.querySelectorAll("details")) one.open = true;
  await wait(50);
  found.width = innerWidth;
  found.content = document.documentElement.scrollWidth;
  found.scripts = document.scripts.length;
  found.images = document.images.length;
  found.links = [...document.links].map((link) => link.getAttribute("href"));
  found.hacked = window.hacked === undefined ? "no" : "yes";
  const asked = performance.getEntriesByType("resource");
  found.requests = asked.filter((one) => !one.name.startsWith("data:")).length;
  found.blocked = blocked;
  found.nameless = [...document.querySelectorAll("button, input, select, summary, svg[role=img]")]
    .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim())).length;
  const colours = getComputedStyle(document.body);
  found.colours = [colours.backgroundColor, colours.color];
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
})();
"""


def look(text: str, folder: Path, width: int, *more: str) -> dict:
    """What the probe finds on the page *text* in a window *width* pixels wide."""
    allowed = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    text = text.replace("script-src ", f"script-src 'sha256-{allowed}' ", 1)
    file = folder / "page.html"
    file.write_text(text.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    assert CHROMIUM is not None
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--hide-scrollbars",
    ]
    command = [
        CHROMIUM,
        *options,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        *more,
    ]
    command += ["--virtual-time-budget=20000", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    dom, log = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    written = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.DOTALL)
    assert written is not None, log[-2000:]
    found: dict = json.loads(html.unescape(written[1]))
    found["console"] = [line for line in log.splitlines() if "CONSOLE" in line]
    return found


@pytest.fixture(scope="module")
def desktop(report, tmp_path_factory):
    return look(page(report), tmp_path_factory.mktemp("desktop"), 1280)


def test_it_draws_without_an_error_or_a_request(desktop):
    assert (desktop["console"], desktop["requests"], desktop["blocked"]) == ([], 0, [])


def test_search_and_filter(desktop):
    assert (desktop["all"], desktop["searched"], desktop["cleared"]) == (5, 1, 5)
    assert desktop["none"] == [0, True]
    assert (desktop["red"], desktop["count"]) == (3, "3 of 5")


def test_sections_and_steps_open(desktop):
    assert desktop["collapsed"] == 0
    assert desktop["expanded"] is True


def test_the_keyboard_reaches_everything(desktop):
    assert (desktop["focused"], desktop["steps_opened"], desktop["search_focused"]) == ("case-2", 4, "search")


def test_what_was_said_runs_nothing(desktop):
    assert desktop["hacked"] == "no"
    assert (desktop["scripts"], desktop["images"], desktop["links"]) == (2, 0, ["#cases"])


def test_whatever_can_be_used_has_a_name(desktop):
    assert desktop["nameless"] == 0


def test_a_phone_does_not_scroll_sideways(report, tmp_path):
    found = look(page(report), tmp_path, 390)
    assert found["width"] <= 500
    assert found["content"] <= found["width"]


def test_light_and_dark(report, tmp_path, desktop):
    dark = look(page(report), tmp_path, 1280, "--blink-settings=preferredColorScheme=0")
    assert desktop["colours"] != dark["colours"]


def test_500_cases_open_in_about_two_seconds(large_report, tmp_path):
    found = look(page(large_report), tmp_path, 1280)
    assert found["all"] == 501
    assert found["searched"] == 1
    print(f"500 cases of 8 steps opened in {found['load_ms']} ms")
    assert found["load_ms"] < 10_000  # machines are shared; the figure is printed
