#!/usr/bin/env bash
# Library:   nbconvert 7.17.2, `jupyter nbconvert --clear-output`.
# Guess:     It leaves the notebook as written, without what came of running it: no outputs, and no widgets, which
#            were part of the outputs.
# Behaviour: The states of all widgets stay, in the metadata of the notebook: what was typed into a text box, the
#            numbers that a chart shows. No cell shows them any more, so one does not see what one passes on, and
#            the file stays large. The help of the option says "Clear output of current file";
#            ClearMetadataPreprocessor removes them, if one enables it, too.
# Seen:      outputs before: 1, after: 0
#            widget states before: 1, after: 1, with the text: my own notes
#            with ClearMetadataPreprocessor: 0
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile nbconvert==7.17.2 nbformat==5.11.1
venv/bin/python -W ignore - <<'EOF'
import json
import subprocess

import nbformat

STATE, VIEW = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("state", "view"))
TEXT = "my own notes"

output = nbformat.v4.new_output("display_data", {VIEW: {"model_id": "a1"}, "text/plain": "Text()"})
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("box", outputs=[output])])
model = {"model_name": "TextModel", "model_module": "@jupyter-widgets/controls"}
model |= {"model_module_version": "2.0.0", "state": {"value": TEXT}}
notebook.metadata["widgets"] = {STATE: {"state": {"a1": model}, "version_major": 2, "version_minor": 0}}
nbformat.validate(notebook)


def count(name):
    with open(name) as file:
        read = json.load(file)
    states = read["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    return sum(len(cell["outputs"]) for cell in read["cells"]), states


def clear(name, *options):
    nbformat.write(notebook, name)
    before = count(name)
    command = ["venv/bin/jupyter", "nbconvert", "--clear-output", *options, name]
    subprocess.run(command, check=True, capture_output=True)
    return before, count(name)


(outputs, states), (outputs_after, states_after) = clear("a.ipynb")
print(f"outputs before: {outputs}, after: {outputs_after}")
text = states_after.get("a1", {}).get("state", {}).get("value")
print(f"widget states before: {len(states)}, after: {len(states_after)}, with the text: {text}")
assert (outputs, outputs_after, len(states)) == (1, 0, 1)
assert text == TEXT, "the states of widgets are cleared now"
_, (_, states_after) = clear("b.ipynb", "--ClearMetadataPreprocessor.enabled=True")
print(f"with ClearMetadataPreprocessor: {len(states_after)}")
assert not states_after
EOF
