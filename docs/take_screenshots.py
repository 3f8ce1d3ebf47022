"""Take the four pictures of the playground in docs/pictures. Needs Playwright and Chromium.

synann play --no-browser
python docs/take_screenshots.py http://127.0.0.1:8765/
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "pictures"
TWO = [(90, 78), (104, 56), (140, 50), (176, 62), (184, 96), (168, 132), (132, 168), (96, 206), (190, 202)]
SIZE = {"width": 1280, "height": 800}


def draw(page, points):
    box = page.locator("#draw").bounding_box()
    page.mouse.move(box["x"] + points[0][0], box["y"] + points[0][1])
    page.mouse.down()
    for x, y in points:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=6)
    page.mouse.up()


def train(page, with_synapse):
    page.set_checked("#synapse", with_synapse)
    page.click("#train")
    page.wait_for_selector("#train:disabled")
    page.wait_for_selector("#train:enabled")


def take(page, view, name):
    """The view alone: the bar at the top of the page would cover a part of it."""
    page.add_style_tag(content=".top { display: none }")
    page.wait_for_timeout(1500)
    page.locator(view).screenshot(path=PICTURES / f"playground_{name}.png", animations="disabled")


def main(address):
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=scheme, bypass_csp=True).new_page()
            page.set_default_timeout(600_000)
            page.goto(address, timeout=600_000)
            page.wait_for_selector("html[data-ready]")
            if scheme == "light":
                draw(page, TWO)
                for with_synapse in (False, True):
                    train(page, with_synapse)
                page.evaluate("scrollTo(0, 0)")
                page.wait_for_timeout(1500)
                page.screenshot(path=PICTURES / "playground_draw.png")
                take(page, "#train-view", "train")
            else:
                page.locator("#mistake").click()
                page.wait_for_function("() => document.getElementById('explained-note').textContent.includes('wrong')")
                page.select_option("#parameter", "conv1.weight")
                take(page, "#understand-view", "understand")
                for _ in range(25):
                    page.click("#flip-step")
                take(page, "#synapse-view", "synapse")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
