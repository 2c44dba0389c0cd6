"""One browser for all tests of this folder."""

import pytest
from browser import Page


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    opened = Page(tmp_path_factory.mktemp("downloads"))
    yield opened
    opened.driver.quit()
