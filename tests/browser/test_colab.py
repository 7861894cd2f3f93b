"""A notebook that draws only what is sent while a cell runs, as Colab does; with a stand-in for it.

https://github.com/googlecolab/colabtools/issues/3373
"""

from __future__ import annotations

from finder import SLOW, Finder
from host import Host
from playwright.sync_api import expect

# Stricter than what is known of Colab: what a thread sends is lost during a cell, too. Threads
# of ipykernel's own that handle clicks, which Colab's has not, count as the main one.
STAND_IN = """import sys, threading, types

output = types.ModuleType("google.colab.output")
output.enable_custom_widget_manager = lambda: None
output._widgets = types.SimpleNamespace(_installed_url=None)
sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.modules["google.colab.output"] = output

session = get_ipython().kernel.session
send, lost = session.send, []

def send_if_seen(stream, message, *arguments, **options):
    thread = threading.current_thread()
    handles = thread is threading.main_thread() or thread.name.startswith("subshell-")
    if message == "comm_msg" and not handles:
        lost.append(thread.name)
        return None
    return send(stream, message, *arguments, **options)

session.send = send_if_seen
"""
# Another widget than ours, to see that the stand-in loses what it should.
PROBE = """import ipywidgets
probe = ipywidgets.Text("before")
display(probe)
thread = threading.Thread(target=lambda: setattr(probe, "value", "after"))
thread.start()
thread.join()
"""


def test_the_stand_in_loses_what_a_thread_sends(host: Host) -> None:
    host.open([STAND_IN, PROBE]).run_all()
    box = host.page.locator(".widget-text input")
    expect(box).to_have_value("before")
    assert host.append_and_run("print(probe.value, len(lost))") == "after 1"
    expect(box).to_have_value("before")
    host.append_and_run("probe.send_state()")
    expect(box).to_have_value("after")


def test_a_cell_that_waits_draws_live(host: Host) -> None:
    # Up to where it stays finite on every machine.
    host.open([STAND_IN, SLOW, "lr = 1e-3\nfinder = slow_model(end_lr=0.1)\nfinder"]).run_all()
    finder = Finder(host)
    expect(finder.start).to_be_visible()
    host.run_cell(host.append("finder.start().wait();"), wait=False)
    finder.wait_for_dots(4, 300)
    drawn = finder.dots()
    finder.wait_for_dots(drawn + 10, 390)
    host.wait_until_run()
    finder.wait_until_ended()
    finder.wait_for_dots(400)
    finder.drag_to(finder.tick_x("1e-3") + 9)
    expect(finder.picked).to_contain_text("LR range test")
    host.wait_until_kernel_says("print(lr == finder.lr)", "True")


def test_a_click_on_start_says_how_to_see_the_run(host: Host) -> None:
    host.open([STAND_IN, SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(host)
    finder.start.click()
    expect(finder.status).to_contain_text("finder.wait()")
    host.run_cell(host.append("finder.wait();"), wait=False)
    finder.wait_for_dots(10, 390)
    finder.wait_for_dots(finder.dots() + 10)
    host.wait_until_run()
    finder.wait_until_ended()
