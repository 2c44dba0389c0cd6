"""A headless Chromium from the distribution, and what tests ask of a page in it."""

import shutil
import time
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver: apt install chromium chromium-driver"
)


class Page:
    """A report in a browser."""

    def __init__(self, downloads: Path):
        options = Options()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.downloads = downloads

    def open(self, path, width=1280, height=1000, dark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(path.resolve().as_uri())
        self.wait(lambda: self.run("return document.documentElement.dataset.ready") == "yes")
        return self

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, holds, seconds=20):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.complaints()
            time.sleep(0.02)

    def complaints(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        return self.run("return performance.getEntriesByType('resource').map(entry => entry.name)")

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def out(self, name):
        return self.find(f'[data-out="{name}"]').text

    def choose(self, role, text):
        Select(self.find(f'[data-role="{role}"]')).select_by_value(str(text))

    def chosen(self, role):
        return int(self.find(f'[data-role="{role}"]').get_attribute("value"))

    def x_of(self, id_, v):
        """Where the potential `v` lies in the distribution's chart, in pixels of the window."""
        return self.run(
            "const id = arguments[0] + '-potentials', view = mpdviz.views[id], [left, top] = view.origin();"
            "const box = document.getElementById(id).querySelector('svg').getBoundingClientRect();"
            "return [box.left + left + view.scale('x')(arguments[1]), box.top + top + 80]",
            id_,
            v,
        )

    def drag(self, start, end):
        """Press at one place of the window, move to another in steps, let go."""
        self.run("document.querySelector('[data-explorer]').scrollIntoView()")
        actions = ActionChains(self.driver, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(*map(int, start)).pointer_down()
        for part in (0.3, 0.7, 1):
            x, y = (round(one + part * (other - one)) for one, other in zip(start, end, strict=True))
            actions.w3c_actions.pointer_action.move_to_location(x, y)
        actions.w3c_actions.pointer_action.pointer_up()
        actions.perform()

    def downloaded(self, name):
        path = self.downloads / name
        self.wait(path.exists)
        return path.read_text(encoding="utf-8")
