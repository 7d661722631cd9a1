"""Screenshots of a report for docs/: wide and narrow, light and dark, by headless Chromium.

    pip install playwright && playwright install chromium     # or CHROMIUM=/usr/bin/chromium
    python scripts/screenshots.py report.html docs/

The report is that of the demo: `mg-basicsr demo -o DEMO`, then
`mg-basicsr report DEMO/experiments/stock DEMO/experiments/multigrid -o report.html`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SHOTS = {
    'report_wide_light': (1200, 'light'),
    'report_wide_dark': (1200, 'dark'),
    'report_narrow_light': (390, 'light'),
    'report_narrow_dark': (390, 'dark'),
}
MOST = 1500  # pixels of height that are shown


def main() -> None:
    """Take the screenshots of the page that the first argument names."""
    from playwright.sync_api import sync_playwright

    page_file, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=os.environ.get('CHROMIUM'), args=['--no-sandbox'])
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


if __name__ == '__main__':
    main()
