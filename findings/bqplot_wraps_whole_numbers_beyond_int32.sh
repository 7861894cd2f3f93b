#!/usr/bin/env bash
# Library:   bqplot 0.13.1 (with ipywidgets 8.1.9, numpy 2.4.6).
# Guess:     A chart shows the numbers that it was given: a curve of the loss over the tokens seen so far, up to five
#            thousand million, has its last point there. Whole numbers or floats, a list or an array make no
#            difference.
# Behaviour: On the way to the page, NumPy's usual whole numbers are cut down to 32 bits, and what does not fit starts
#            again from below: 3e9 becomes -1294967296, 5e9 becomes 705032704. The curve runs back and forth. Plain
#            lists of whole numbers fare no better. The values in the kernel stay right, so that looking at `line.x`
#            shows nothing, and there is no warning. The same numbers as floats arrive as they are. The documentation
#            does not mention it.
# Seen:      list of int:     2000000000 -1294967296 705032704
#            array of int64:  2000000000 -1294967296 705032704
#            array of floats: 2000000000 3000000000 5000000000
#            line.x in the kernel: 2000000000 3000000000 5000000000
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile bqplot==0.13.1 ipywidgets==8.1.9 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import bqplot
import numpy

TOKENS = [2 * 10**9, 3 * 10**9, 5 * 10**9]


def sent(label, tokens):
    """The numbers of the line's x as the page is sent them."""
    scale = bqplot.LinearScale()
    line = bqplot.Lines(x=tokens, y=numpy.array([3.0, 2.0, 1.0]), scales={"x": scale, "y": scale})
    state = line.get_state("x")["x"]
    numbers = [int(number) for number in numpy.frombuffer(state["value"], dtype=state["dtype"])]
    print(f"{label:16}", *numbers)
    return numbers, [int(number) for number in line.x]


wrapped = [2000000000, -1294967296, 705032704]
numbers, _ = sent("list of int:", TOKENS)
assert numbers == wrapped, "large whole numbers arrive now"
numbers, kept = sent("array of int64:", numpy.array(TOKENS))
assert numbers == wrapped
numbers, _ = sent("array of floats:", numpy.array(TOKENS, dtype=float))
assert numbers == TOKENS
print("line.x in the kernel:", *kept)
assert kept == TOKENS
EOF
