#!/usr/bin/env bash
# Library:   ipywidgets 8.1.9 in ipykernel 7.4.0 with jupyter_client 8.10.0, with and without orjson 3.13.0.
# Guess:     A loss that is not a number reaches the page as NaN, or, as JSON has none, as null; or assigning it
#            fails. In any case as something whose type is that of other numbers or of none, the same everywhere.
# Behaviour: It depends on a package that nothing here requires. Without orjson the kernel first fails to pack the
#            message, and then sends the text "nan", or "inf": a string where the page expects a number, so that
#            Number.isNaN says false and "inf" + 1 is "inf1". A warning goes to stderr. With orjson, which many
#            other packages bring along, both are null, and a loss that has grown without bound looks like
#            one that is missing; there is no warning. What works on one machine does so no more after an unrelated
#            `pip install`. The kernel's own value is right in both. The documentation of widgets does not mention it.
# Seen:      without orjson: nan -> 'nan', inf -> 'inf', 1.5 -> 1.5; a warning: True; in the kernel: [nan, inf, 1.5]
#            with orjson:    nan -> None, inf -> None, 1.5 -> 1.5; a warning: False; in the kernel: [nan, inf, 1.5]
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile ipywidgets==8.1.9 ipykernel==7.4.0 jupyter_client==8.10.0
cat >front_end.py <<'EOF'
import sys

from jupyter_client.manager import start_new_kernel

CODE = """
import ipywidgets
box, values = ipywidgets.FloatText(), []
for number in ("nan", "inf", "1.5"):
    box.value = float(number)
    values.append(box.value)
print(values)
"""

manager, client = start_new_kernel(kernel_name="python3")
try:
    request = client.execute(CODE)
    received, printed, warned = [], "", False
    while True:
        message = client.get_iopub_msg(timeout=60)
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != request:
            continue
        if kind == "comm_msg" and "value" in content["data"].get("state", {}):
            received.append(content["data"]["state"]["value"])
        elif kind == "stream" and content["name"] == "stdout":
            printed += content["text"].strip()
        elif kind == "stream":
            warned |= "not JSON compliant" in content["text"]
        elif kind == "status" and content["execution_state"] == "idle":
            break
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)

pairs = ", ".join(f"{number} -> {value!r}" for number, value in zip(("nan", "inf", "1.5"), received, strict=True))
label = {"without": "without orjson:", "with": "with orjson:   "}[sys.argv[1]]
print(f"{label} {pairs}; a warning: {warned}; in the kernel: {printed}")
assert printed == "[nan, inf, 1.5]"
expected = ["nan", "inf", 1.5] if sys.argv[1] == "without" else [None, None, 1.5]
assert received == expected, "another value reaches the page now"
EOF
venv/bin/python -W ignore front_end.py without 2>/dev/null
venv/bin/pip install -q --no-compile orjson==3.13.0
venv/bin/python -W ignore front_end.py with 2>/dev/null
