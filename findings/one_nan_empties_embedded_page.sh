#!/usr/bin/env bash
# Library:   ipywidgets 8.1.9, ipywidgets.embed.embed_minimal_html (and embed_snippet).
# Guess:     A page with two widgets, of which one holds NaN, shows both, the one with NaN, null or nothing in it; or
#            writing the page fails. A page of the other widget alone has nothing to do with it.
# Behaviour: The page is written, and shows no widget at all. The states of all widgets that the kernel has, shown or
#            not, are one piece of JSON in it, where the number stands as NaN or Infinity, which Python writes and
#            reads and JSON does not have. The script of the page reads the piece by JSON.parse before it looks at
#            any widget, and ends there; only the browser's console shows the error. So one loss that diverged, in a
#            chart of another cell, takes everything off the page that was to be passed on. The documentation says
#            that all states are written by default, and nothing of numbers.
# Seen:      loss 0.5, page of both:      read as JSON, widgets in it: FloatTextModel TextModel
#            loss nan, page of both:      not JSON: NaN
#            loss inf, page of both:      not JSON: Infinity
#            loss nan, page of the notes: not JSON: NaN
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile ipywidgets==8.1.9
venv/bin/python -W ignore - <<'EOF'
import html.parser
import json

from ipywidgets import FloatText, Text, Widget
from ipywidgets.embed import embed_minimal_html


class States(html.parser.HTMLParser):
    """Collects the text of the element that holds the states of the widgets."""

    inside, text = False, ""

    def handle_starttag(self, tag, attrs):
        self.inside = dict(attrs).get("type") == "application/vnd.jupyter.widget-state+json"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.text += data


def refuse(name):
    raise ValueError(name)


def read(loss, both=True):
    Widget.close_all()
    chart, notes = FloatText(loss), Text("notes")
    embed_minimal_html("page.html", views=[chart, notes] if both else [notes])
    states = States()
    with open("page.html") as file:
        states.feed(file.read())
    label = f"loss {loss}, page of {'both:     ' if both else 'the notes:'}"
    try:
        models = json.loads(states.text, parse_constant=refuse)["state"].values()
    except ValueError as error:
        print(f"{label} not JSON: {error}")
        return None
    names = sorted(model["model_name"] for model in models if "value" in model["state"])
    print(f"{label} read as JSON, widgets in it:", *names)
    return names


assert read(0.5) == ["FloatTextModel", "TextModel"]
assert read(float("nan")) is None, "NaN is written as JSON now"
assert read(float("inf")) is None
assert read(float("nan"), both=False) is None, "only the states of the page's widgets are written now"
EOF
