#!/usr/bin/env bash
# Library:   ipykernel 7.4.0, ipykernel.comm; ipywidgets 8.1.9.
# Guess:     The kernel hands a message of a widget to the subshell that is named in the message's header; without
#            one, to the main shell. Version 7.3.0 does so.
# Behaviour: It is handed to the subshell of that message which the kernel was handling when the widget last sent
#            something. What a thread in the background sends counts as sent in the message handled last, whatever
#            widget or page that was from. Once the front end has deleted that subshell, a click is dropped, though its
#            own header asks for the main shell: the kernel logs "Unknown subshell_id", answers nothing that a widget
#            would see, and the button stays dead until a message from elsewhere is handled. JupyterLab 4.6 opens and
#            deletes such a subshell at each reload of a page, so a widget that shows progress has dead
#            buttons after it.
# Seen:      7.3.0, main shell asked for: clicks heard 1
#            7.4.0, main shell asked for: clicks heard 0
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
cat > front_end.py <<'EOF'
import sys
import time

from jupyter_client.manager import start_new_kernel

CELL = """
import threading, ipywidgets
button = ipywidgets.Button(description="0")
clicks = []
button.on_click(lambda _: clicks.append(threading.current_thread().name))
over = threading.Event()
def count():  # as a progress bar does
    n = 0
    while not over.wait(0.02):
        n += 1
        button.description = str(n)
threading.Thread(target=count, daemon=True).start()
"""
manager, client = start_new_kernel(kernel_name="python3")
session = client.session


def ask(expression):
    sent = client.execute("", user_expressions={"it": expression})
    while True:
        answer = client.get_shell_msg(timeout=30)
        if answer["parent_header"].get("msg_id") == sent:
            return answer["content"]["user_expressions"]["it"]["data"]["text/plain"]


def on_control(kind, **content):
    client.control_channel.send(session.msg(kind, content))
    return client.control_channel.get_msg(timeout=30)["content"]


def send(kind, content, subshell):
    message = session.msg(kind, content)
    message["header"]["subshell_id"] = subshell
    client.shell_channel.send(message)
    return message["header"]["msg_id"]


client.execute_interactive(CELL, timeout=30)
comm_id = ask("button.comm.comm_id").strip("'")
# What a page does when it is loaded: it asks for the state of all widgets, on a subshell for that.
subshell = on_control("create_subshell_request")["subshell_id"]
control = {"comm_id": "the-page", "target_name": "jupyter.widget.control", "data": {}}
asked = send("comm_open", control, subshell)
while True:  # until the thread has sent something since
    told = client.get_iopub_msg(timeout=30)
    if told["msg_type"] == "comm_msg" and told["parent_header"].get("msg_id") == asked:
        break
assert on_control("delete_subshell_request", subshell_id=subshell)["status"] == "ok"
click = {"method": "custom", "content": {"event": "click"}}
send("comm_msg", {"comm_id": comm_id, "data": click}, None)
time.sleep(3)  # a click is heard in milliseconds
print(ask("len(clicks)"))
client.stop_channels()
manager.shutdown_kernel(now=True)
EOF
for version in 7.3.0 7.4.0; do
  python3 -m venv "venv-$version"
  "venv-$version/bin/pip" install -q --no-compile "ipykernel==$version" ipywidgets==8.1.9 jupyter-client==8.10.0
  heard=$(PATH="$tmp/venv-$version/bin:$PATH" "venv-$version/bin/python" front_end.py 2>/dev/null)
  echo "$version, main shell asked for: clicks heard $heard"
  [[ "$version $heard" == "7.3.0 1" || "$version $heard" == "7.4.0 0" ]]
done
