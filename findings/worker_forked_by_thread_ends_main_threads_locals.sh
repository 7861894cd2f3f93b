#!/usr/bin/env bash
# Library:   torch 2.13.0, DataLoader with num_workers=1 and the start method "fork" (the default on Linux with
#            Python 3.11), where a thread other than the main one iterates over it; Python 3.9 to 3.13.
# Guess:     A forked worker has a copy of all objects, and what the main thread keeps in a threading.local
#            just lies there unused. The folder of the main thread is there after an epoch in another thread, as
#            it is after an epoch in the main thread.
# Behaviour: In the child, before os.fork() returns, Python clears what belongs to every thread but the one that
#            forked. Objects whose last reference was in a threading.local of the main thread end there:
#            __del__ runs in the worker, and so does what weakref.finalize was told. A
#            tempfile.TemporaryDirectory of the main thread is removed from the disk while the main thread still
#            has it. An object that waits for a thread of its own when it ends would wait in the worker for
#            ever, as that thread is not there; the parent sees a loader that never delivers.
#            The documentation of os.fork warns of locks of other threads, not of this.
# Seen:      after an epoch in the main thread: True; after an epoch in another thread: False;
#            the object ended in: the worker
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import os
import tempfile
import threading
from pathlib import Path

from torch.utils.data import DataLoader


class Told:
    """Writes down in which process it ends."""

    def __init__(self, path):
        self.path, self.maker = Path(path), os.getpid()

    def __del__(self):
        self.path.write_text("the main process" if os.getpid() == self.maker else "the worker")


def epoch():
    loader = DataLoader(range(8), num_workers=1, multiprocessing_context="fork")
    assert [batch.item() for batch in loader] == list(range(8))


here = threading.local()
here.folder = tempfile.TemporaryDirectory()
here.told = Told("ended")
epoch()
after_own = os.path.isdir(here.folder.name)
assert not Path("ended").exists()
thread = threading.Thread(target=epoch)
thread.start()
thread.join()
after_other = os.path.isdir(here.folder.name)
ended = Path("ended").read_text()
print(f"after an epoch in the main thread: {after_own}; after an epoch in another thread: {after_other};")
print(f"the object ended in: {ended}")
assert (after_own, after_other, ended) == (True, False, "the worker"), "the behaviour has changed"
EOF
