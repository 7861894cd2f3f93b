#!/usr/bin/env bash
# Library:   torch 2.13.0, torch.set_num_threads, and a model that is trained in a thread of its own.
# Guess:     torch.set_num_threads(1) holds for the process. A Python thread that is started afterwards
#            computes with one thread, as the main thread does.
# Behaviour: The setting is kept for the process, but OpenMP and MKL keep theirs for each thread. A new thread
#            computes with all cores until something in it asks for the number: torch.get_num_threads() is
#            enough, a matrix product is not. A small network then takes twice the processor time in the thread,
#            at the same result, and the limit that a job set for itself is not kept. The documentation
#            of set_num_threads says nothing of it.
# Seen:      default 2, set to 3; in a new thread 2, after a step 2,
#            after torch.get_num_threads() 3 (on a machine with two cores)
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import ctypes
import threading
from pathlib import Path

import torch

library = next((Path(torch.__file__).parent / "lib").glob("libgomp*"))
threads = ctypes.CDLL(str(library)).omp_get_max_threads
cores = threads()
wanted = cores + 1  # another number than the default, whatever machine this is
torch.set_num_threads(wanted)
assert threads() == wanted
seen = []


def work():
    seen.append(threads())
    torch.nn.Linear(64, 64)(torch.ones(32, 64)).sum().backward()
    seen.append(threads())
    torch.get_num_threads()
    seen.append(threads())


thread = threading.Thread(target=work)
thread.start()
thread.join()
print(f"default {cores}, set to {wanted}; in a new thread {seen[0]}, after a step {seen[1]}, "
      f"after torch.get_num_threads() {seen[2]}")
assert seen == [cores, cores, wanted], "the behaviour has changed"
EOF
