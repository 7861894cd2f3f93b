#!/usr/bin/env bash
# Library:   traitlets 5.16.1 under ipywidgets 8.1.9, a widget that a page and a background thread write to.
# Guess:     A value of the page that a trait rejects leaves the widget as it is. What a thread assigns to
#            another trait at that time stays: the two have nothing to do with each other.
# Behaviour: Widget.set_state holds the notifications of the whole widget. When one value is rejected, all
#            that has changed since it began is set back, whoever assigned it. The thread's value is gone,
#            without an error in the thread, and the page is never told of it.
# Seen:      a thread assigns 7 while a value of the page is checked; afterwards:
#            {'rejected': 0, 'accepted': 7}
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile traitlets==5.16.1 ipywidgets==8.1.9
venv/bin/python -W ignore - <<'EOF'
import threading

import ipywidgets
import traitlets


class Box(ipywidgets.Widget):
    progress = traitlets.Int(0).tag(sync=True)  # a background thread writes it
    typed = traitlets.Int(0).tag(sync=True)  # the page writes it
    meanwhile = None

    @traitlets.validate("typed")
    def _check(self, proposal):
        if self.meanwhile is not None:
            thread = threading.Thread(target=self.meanwhile)
            thread.start()
            thread.join()
        if proposal["value"] < 0:
            raise traitlets.TraitError("negative")
        return proposal["value"]


seen = {}
for what, typed in (("rejected", -1), ("accepted", 1)):
    box = Box()
    box.meanwhile = lambda box=box: setattr(box, "progress", 7)
    try:
        box.set_state({"typed": typed})
    except traitlets.TraitError:
        pass
    seen[what] = box.progress
print("a thread assigns 7 while a value of the page is checked; afterwards:", seen)
assert seen == {"rejected": 0, "accepted": 7}, "the behaviour has changed"
EOF
