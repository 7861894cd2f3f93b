"""Words of the user's never become markup: not in what is saved, not in what is exported."""

from __future__ import annotations

import html.parser
from collections.abc import Iterator
from io import StringIO
from typing import Any

import ipywidgets
import nbformat
import pytest
import torch
from ipywidgets import embed
from nbconvert import HTMLExporter, MarkdownExporter
from support import linear

from lrfinder_widget import LRFinder, State

MARKUP = '</script></title></svg><img src=x onerror="alert(1)"><b>bold</b>&amp;'
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


class Elements(html.parser.HTMLParser):
    """The elements of a document; one that came out of a user's words would be among them."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append("their img" if ("src", "x") in attrs else tag)
        assert not [name for name, _ in attrs if name == "onerror"]


class Failing:
    """A training step that raises after so many losses that fall."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.losses = iter([2.0 - i / after for i in range(after)])

    def __call__(self, batch: Any) -> float:
        for loss in self.losses:
            return loss
        raise ValueError(MARKUP)


@pytest.fixture
def finder() -> Iterator[LRFinder]:
    """A run with a name in markup, and one that failed by an exception that says markup."""
    model = linear()
    named = type(MARKUP, (torch.optim.SGD,), {})
    finder = LRFinder(
        model,
        named(model.parameters(), lr=0.1),
        [0],
        step=Failing(20),
        num_iter=30,
        stop=None,
        namespace={"lr": 0.1},
    )
    with pytest.raises(ValueError, match="img src"):
        finder.start().wait(20)
    finder.add(finder.curve, name=MARKUP)
    finder.pick(0.01)
    with pytest.raises(ValueError, match="img src"):
        finder.compare([1e-3], steps=10).wait(20)
    with pytest.raises(ValueError, match="img src"):
        finder.vary(momentum=[0.9]).wait(20)
    assert finder.state is State.FAILED
    yield finder
    finder.close()


def check(document: str, *own: str) -> None:
    """Find elements of ours in it, and none of theirs."""
    found = Elements(document).found
    assert set(own) <= set(found)
    assert not {"b", "their img"} & set(found), found


def test_in_no_widget_that_shows_html(finder: LRFinder) -> None:
    """The page makes no markup of any trait; ipywidgets would of these."""
    told = [finder.status["text"], finder.trials["text"], finder.varied["text"]]
    told += [finder.picked["about"], *(run["name"] for run in finder.runs)]
    assert all(MARKUP in text for text in [*told[:3], told[-1]])  # it is told, as text
    found = everything(shown(finder))
    markup = [w for w in found if isinstance(w, ipywidgets.HTML)]
    assert markup
    for one in markup:
        check(one.value)
    assert not any(getattr(w, "description_allow_html", False) for w in found)


def everything(widget: Any) -> list[Any]:
    found: dict[str, Any] = {}
    waiting: list[Any] = [widget]
    while waiting:
        one = waiting.pop()
        if one.model_id not in found:
            found[one.model_id] = one
            waiting += getattr(one, "children", ())
    return list(found.values())


def shown(finder: LRFinder) -> Any:
    """The box of the finder that is displayed."""
    finder._repr_mimebundle_()
    return finder._presenter.view.display.box()


def test_in_no_part_of_what_a_display_saves(finder: LRFinder) -> None:
    bundle, _ = finder._repr_mimebundle_()
    assert len(finder.curve) > 0
    check(bundle["image/svg+xml"], "svg", "polyline")
    check(bundle["text/html"], "img")
    check(finder.snapshot()._repr_svg_(), "svg", "title")


def test_in_no_page_that_is_made_of_a_saved_notebook(finder: LRFinder) -> None:
    state = {
        "state": embed.dependency_state([shown(finder)], drop_defaults=False),
        "version_major": 2,
        "version_minor": 0,
    }
    bundle, _ = finder._repr_mimebundle_()
    notebook = nbformat.v4.new_notebook(
        metadata={"widgets": {STATE: state}},
        cells=[
            nbformat.v4.new_code_cell(
                "finder",
                outputs=[nbformat.v4.new_output("display_data", data=bundle)],
            )
        ],
    )
    page, _ = HTMLExporter().from_notebook_node(notebook)
    check(page, "script")
    assert VIEW in page
    words, resources = MarkdownExporter().from_notebook_node(notebook)
    for document in [words, *(data.decode() for data in resources["outputs"].values())]:
        check(document)


def test_in_no_page_that_embeds_the_widgets(finder: LRFinder, tmp_path: Any) -> None:
    path = tmp_path / "page.html"
    box = shown(finder)
    embed.embed_minimal_html(str(path), views=[box], state=embed.dependency_state([box]))
    text = path.read_text()
    check(text, "script")
    assert "onerror" in text  # it is in the state, as text


def test_in_no_table_and_no_figure(finder: LRFinder) -> None:
    pytest.importorskip("matplotlib").use("agg")
    figure = finder.plot().figure
    out = StringIO()
    figure.savefig(out, format="svg")
    check(out.getvalue(), "svg")
    check(finder.to_dataframe().to_html(), "table")
