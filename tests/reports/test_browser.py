"""Reports in a real browser, headless Chromium: nothing sticks out of the page, on a desk or on a phone."""

import html
import json
import shutil
import subprocess
from typing import Any

import pytest

from reports.made import make_run, picture
from snnsim.reports import write_comparison, write_report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")

WIDTHS = (1280, 390)
# Each page in a frame as wide as a screen: a window of its own is never narrower than 500 pixels.
WATCHER = """<!doctype html>
<meta charset="utf-8">
{frames}
<script>
function look(frame) {{
  const page = frame.contentDocument, root = page.documentElement, width = root.clientWidth;
  const inside = element => element.closest(".wide, pre") !== null;
  const out = [...page.body.querySelectorAll("*")].filter(
    element => !inside(element) && element.getBoundingClientRect().right > width + 1);
  return {{
    width, scroll: root.scrollWidth, out: out.map(element => element.outerHTML.slice(0, 80)),
    pictures: [...page.images].map(image => image.naturalWidth),
    background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    smallest: Math.min(...[...page.body.querySelectorAll("p, td, th, dd, figcaption, pre")].map(
      element => parseFloat(frame.contentWindow.getComputedStyle(element).fontSize))),
  }};
}}
addEventListener("load", () => {{
  document.body.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look));
}});
</script>
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict[str, Any]]:
    """Open the report of one run and of several at every width, and measure."""
    folder = tmp_path_factory.mktemp("browser")
    names = ("a-run-whose-name-is-so-long-that-it-fills-more-than-one-line-of-a-phone", "b", "c")
    runs = [make_run(folder / name, {"seed": seed}, f"seed: {seed}\n") for seed, name in enumerate(names)]
    for name in ("learning-curves", "number-of-steps"):
        (runs[0] / "figures" / f"{name}.png").write_bytes(picture())
    pages = {"one": write_report(runs[0]), "many": write_comparison(runs, folder / "many.html", warn=print)}
    shown = [(kind, width) for kind in pages for width in WIDTHS]
    frames = "\n".join(
        f'<iframe src="{html.escape(pages[kind].as_uri())}" style="width: {width}px; height: 9in; border: 0"></iframe>'
        for kind, width in shown
    )
    watcher = folder / "watcher.html"
    watcher.write_text(WATCHER.format(frames=frames), "utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    profile = f"--user-data-dir={folder / 'profile'}"
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *options, profile, watcher.as_uri()], capture_output=True, text=True, check=True, timeout=300
    )
    body = done.stdout[done.stdout.index("<body>") + 6 : done.stdout.index("</body>")]
    return dict(zip(shown, json.loads(html.unescape(body)), strict=True))


@pytest.mark.parametrize("kind", ["one", "many"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(seen: dict[tuple[str, int], dict[str, Any]], kind: str, width: int) -> None:
    """The page is as wide as the screen; what is wider, a table or a figure, scrolls in a frame of its own."""
    found = seen[kind, width]
    assert width - 20 <= found["width"] <= width  # less a scroll bar
    assert found["scroll"] <= found["width"]
    assert found["out"] == []


@pytest.mark.parametrize("kind", ["one", "many"])
def test_the_page_is_whole_and_light(seen: dict[tuple[str, int], dict[str, Any]], kind: str) -> None:
    """Every picture is there, the background is nearly white, and no text is smaller than 12 pixels."""
    found = seen[kind, 390]
    assert len(found["pictures"]) >= 2
    assert all(found["pictures"])
    assert found["background"] == "rgb(252, 252, 251)"
    assert found["smallest"] >= 12
