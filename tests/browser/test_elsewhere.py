"""A run that somebody else started, watched, paused and stopped by hand in a real JupyterLab."""

from __future__ import annotations

from finder import Finder
from host import Host
from playwright.sync_api import expect

JOB = """import tempfile, threading, time
from lrfinder_widget import LRFinder, follow, publish

def points():
    for i in range(100_000):
        time.sleep(0.01)
        yield 1e-4 * 1.0001**i, 2.0 - i / 1e5

folder = tempfile.mkdtemp()
job = threading.Thread(target=publish, args=(points(), folder))
"""
WATCH = "lr = 1e-3\nfinder = LRFinder.watch(follow(folder))\nfinder.start()"


def test_a_job_is_waited_for_watched_paused_and_stopped(lab: Host) -> None:
    lab.open([JOB, WATCH]).run_all()
    finder = Finder(lab)
    expect(finder.status).to_contain_text("Waiting for a run in")
    lab.append_and_run("job.start()")
    finder.wait_for_dots(20)
    finder.root.get_by_role("button", name="Set up").click()
    expect(finder.root.get_by_role("textbox", name="points")).not_to_be_editable()
    finder.root.get_by_role("button", name="Pause").click()
    expect(finder.status).to_contain_text("Paused after")
    said = "n = len(open(folder + '/points.jsonl').readlines()); time.sleep(0.5); "
    said += "print(len(open(folder + '/points.jsonl').readlines()) - n <= 1)"
    assert lab.append_and_run(f"time.sleep(0.3); {said}") == "True"
    finder.root.get_by_role("button", name="Resume").click()
    finder.wait_for_dots(finder.dots() + 20)
    finder.root.get_by_role("button", name="Stop").click()
    expect(finder.status).to_contain_text("Stopped after")
    assert lab.append_and_run("job.join(20); print(job.is_alive())") == "False"
    lab.screenshot("watched", finder.root)
