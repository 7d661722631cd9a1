"""Screenshots for docs/ by headless Chromium: a report in four forms, TensorBoard, and text on a terminal.

    pip install playwright && playwright install chromium     # or CHROMIUM=/usr/bin/chromium
    python scripts/screenshots.py report.html docs/
    python scripts/screenshots.py http://127.0.0.1:6006 docs/     # where `tensorboard --logdir tb_logger` serves a run
    python scripts/screenshots.py plan.txt docs/     # what a command printed, as by scripts/terminal_frames.py

The report is that of the demo: `mg-basicsr demo -o DEMO`, then
`mg-basicsr report DEMO/experiments/stock DEMO/experiments/multigrid -o report.html`.
"""

from __future__ import annotations

import os
import sys
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

SHOTS = {
    'report_wide_light': (1200, 'light'),
    'report_wide_dark': (1200, 'dark'),
    'report_narrow_light': (390, 'light'),
    'report_narrow_dark': (390, 'dark'),
}
MOST = 1500  # pixels of height that are shown
TENSORBOARD = {'width': 1200, 'height': 1030}
CHARTS = 'frames|gt_size|multigrid/(lr|clips_per_s)'  # tags that are shown
TERMINAL = '<body style="margin:0;background:#1e1e1e"><pre style="color:#ddd;font:13px/1.35 monospace;padding:12px">'
DRAWING = 15_000  # milliseconds in which TensorBoard draws its charts


def main() -> None:
    """Take the screenshots of the page that the first argument names."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=os.environ.get('CHROMIUM'), args=['--no-sandbox'])
        if sys.argv[1].startswith('http'):
            _tensorboard(browser.new_page(viewport=TENSORBOARD), sys.argv[1], Path(sys.argv[2], 'tensorboard.png'))
            return
        if sys.argv[1].endswith('.txt'):
            _terminal(browser.new_page(), Path(sys.argv[1]), Path(sys.argv[2]))
            return
        page_file, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
        for name, (width, scheme) in SHOTS.items():
            page = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            overflow = page.evaluate('document.documentElement.scrollWidth') - width
            height = min(MOST, page.evaluate('document.documentElement.scrollHeight'))
            clip = {'x': 0, 'y': 0, 'width': width, 'height': height}
            page.screenshot(path=folder / f'{name}.png', clip=clip, full_page=True)
            print(
                f'{folder / name}.png: {width} x {height}' + (f', {overflow} pixels too wide' if overflow > 0 else '')
            )
            page.close()
        browser.close()


def _tensorboard(page: Any, address: str, picture: Path) -> None:
    """Take the screenshot of some charts of a run."""
    page.goto(f'{address}/?tagFilter={quote(CHARTS)}&smoothing=0#timeseries')
    page.wait_for_timeout(DRAWING)
    page.get_by_role('button', name='Settings').last.click()  # closes them
    page.wait_for_timeout(DRAWING // 3)
    page.screenshot(path=picture)


def _terminal(page: Any, text: Path, folder: Path) -> None:
    """Take the screenshot of a text as a terminal shows it, as wide as its longest line."""
    page.set_content(f'{TERMINAL}{escape(text.read_text(encoding="utf-8"))}</pre>')
    page.locator('pre').evaluate('element => element.style.width = "max-content"')
    page.locator('pre').screenshot(path=folder / f'{text.stem}.png')


if __name__ == '__main__':
    main()
