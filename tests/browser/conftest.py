"""JupyterLab and Notebook 7, for real: `lab`, `notebook7`, or `host` for a test that runs in both.

With ``HOST_CLASSIC`` it is Notebook 6 instead, `classic`.

In Notebook 7 that is one of the slow tests, so that `make test` keeps its budget, unless the main
path needs it: `in_each_host` says so.
No browser, no pass: these tests fail where Chromium is missing, they are not skipped.
"""

from collections.abc import Iterator

import chromium
import pytest
from classic_host import ClassicHost
from host import NAMES, Host, watched
from playwright.sync_api import Page
from server import Server, serve


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    # Chromium's sandbox does not work for root, and is not given up for anyone else.
    arguments = {"args": chromium.FLAGS, "chromium_sandbox": not chromium.is_root()}
    if found := chromium.find():
        arguments["executable_path"] = found
    return browser_type_launch_args | arguments


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict) -> dict:
    return browser_context_args | {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("jupyterlab", tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def notebook_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("notebook", tmp_path_factory.mktemp("notebook7")) as server:
        yield server


@pytest.fixture
def lab(page: Page, lab_server: Server) -> Iterator[Host]:
    yield from watched(Host("lab", page, lab_server))


@pytest.fixture
def notebook7(page: Page, notebook_server: Server) -> Iterator[Host]:
    yield from watched(Host("notebook7", page, notebook_server))


@pytest.fixture
def classic(page: Page, notebook_server: Server) -> Iterator[Host]:
    yield from watched(ClassicHost("classic", page, notebook_server))


@pytest.fixture(params=[NAMES[0], *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES[1:])])
def host(request: pytest.FixtureRequest) -> Host:
    return request.getfixturevalue(request.param)
