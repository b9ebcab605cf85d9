"""A headless Chromium that notes what it was told to fetch and what it had to complain about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Browser", "browsing"]

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_LOAD_SECONDS = 60


class Browser:
    """One browser, driven over WebDriver."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(
        self, url: str, token: str, *, width: int = 1440, dark: bool = False, paper: bool = False
    ) -> None:
        """Load ``url`` anew, in a window of ``width`` CSS pixels."""
        self.show(width=width, dark=dark, paper=paper)
        self._tell("Network.enable", {})
        headers = {"headers": {"Authorization": f"Bearer {token}"}}
        self._tell("Network.setExtraHTTPHeaders", headers)
        self.requests(), self.complaints()  # of the page before
        self._driver.get(url)

    def show(self, *, width: int, dark: bool, paper: bool = False) -> None:
        """The page that is loaded, and those to come, in a window of ``width`` CSS pixels."""
        media = {
            "media": "print" if paper else "",
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        }
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._tell("Emulation.setEmulatedMedia", media)
        self._tell("Emulation.setDeviceMetricsOverride", size)

    def press(self, key: str) -> str:
        """Press a key of the keyboard; what has the focus then, as HTML."""
        from selenium.webdriver import ActionChains, Keys

        ActionChains(self._driver).send_keys(getattr(Keys, key)).perform()
        return str(self.run("return document.activeElement.outerHTML"))

    def run(self, script: str) -> Any:
        """What a function of this body returns in the page."""
        return self._driver.execute_script(script)

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call; ``data:`` asks nobody."""
        messages = [
            json.loads(e["message"])["message"] for e in self._driver.get_log("performance")
        ]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """What is on the console since the last call, also what a policy has forbidden."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def printed(self) -> str:
        """The page on paper, as PDF in base64."""
        return str(self._tell("Page.printToPDF", {})["data"])

    def _tell(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(command, parameters)


@contextmanager
def browsing(directory: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; skips the test where none is installed."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*_QUIET, f"--user-data-dir={directory}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=Service(driver))
    try:
        driven.set_page_load_timeout(_LOAD_SECONDS)
        driven.set_script_timeout(_LOAD_SECONDS)
        yield Browser(driven)
    finally:
        driven.quit()
