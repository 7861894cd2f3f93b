#!/usr/bin/env bash
# Library:   pytest-xdist 3.8.0 with pytest 9.2.0, `--dist loadgroup`.
# Guess:     Tests marked with the same `xdist_group` run in the same process, as the option promises.
# Behaviour: They are spread over all processes, without a warning or an error. A worker appends "@group" to
#            `Item._nodeid`; pytest 9.2 keeps `Item.nodeid` elsewhere, so the scheduler, which goes by that
#            suffix, never sees one. Tests of one group that share a server, a port or a device race, silently.
# Seen:      processes that ran one group: pytest 8.4.2: 1, pytest 9.2.0: 2
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/test_group.py" <<'PY'
import os
import time
from pathlib import Path

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("i", range(12))
def test_where(i):
    time.sleep(0.05)
    with Path(os.environ["SEEN"]).open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PY
processes() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    export SEEN="$folder/$1.seen"
    (cd "$folder" && "$folder/$1/bin/python" -m pytest -q -n 2 --dist loadgroup test_group.py >/dev/null)
    sort -u "$SEEN" | wc -l
}
old=$(processes 8.4.2)
new=$(processes 9.2.0)
echo "processes that ran one group: pytest 8.4.2: $old, pytest 9.2.0: $new"
[ "$old" -eq 1 ] && [ "$new" -eq 2 ]
