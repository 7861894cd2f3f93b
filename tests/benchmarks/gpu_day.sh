#!/usr/bin/env bash
# The first ten minutes on a GPU: tests and measurements in order, each with a time limit.
#
#     tests/benchmarks/gpu_day.sh FOLDER
#
# Every part has its log in FOLDER; a line on each is printed at the end. If part 1 fails, parts 4
# to 7 measure a fault. PYTHON names the Python. GPU_DAY_DEVICE=cpu GPU_DAY_SMALL=60 tries the script
# itself, for 60 s a part: the tests are only collected, and of the models there is the smallest.
set -u

logs=${1:?"usage: $0 FOLDER for the logs"}
mkdir -p "$logs"
logs=$(cd "$logs" && pwd)
cd "$(dirname "$0")/../.." || exit
python=${PYTHON:-python3}
export LRFINDER_DEVICE=${GPU_DAY_DEVICE:-cuda}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

small=${GPU_DAY_SMALL:-}
rounds=${small:+1}
pytest=("$python" -m pytest -p no:cacheprovider -v -rfEP --timeout 60 ${small:+--collect-only -q})
gpu=("$python" tests/benchmarks/gpu.py --device "$LRFINDER_DEVICE" --rounds "${rounds:-3}")
models() { if [ "$small" ]; then echo mlp; else echo "$@"; fi; }
summary=()
failed=0

# part NUMBER SECONDS WHAT COMMAND...
part() {
    local number=$1 limit=$2 what=$3 begun=$SECONDS code
    shift 3
    echo "part $number: $what (at most $limit s)"
    # An interrupt, so that pytest still says what has failed so far.
    timeout --signal INT --kill-after 5 "${small:-$limit}" "$@" >"$logs/$number.log" 2>&1
    code=$?
    case $code in
        0) ended=passed ;;
        124 | 137) ended="out of time" ;;
        *) ended="failed ($code)" ;;
    esac
    [ "$ended" = passed ] || failed=1
    summary+=("$number | $ended | $((SECONDS - begun)) s | $what | $(tail -n 1 "$logs/$number.log" | cut -c 1-90)")
}

versions() {
    (command -v nvidia-smi && nvidia-smi)
    "$python" -c "
import sys, platform, numpy, torch, lrfinder_widget
print(platform.platform(), sys.version, numpy.__version__, torch.__version__, torch.version.cuda)
print(torch.zeros(1).to('$LRFINDER_DEVICE'), lrfinder_widget.__file__)"
}
export -f versions
export python

part 0 15 "versions, and a tensor on the device" bash -c versions
part 1 60 "read-back, restore, recomputing" \
    "${pytest[@]}" -x -m gpu tests/training/test_read_back.py tests/training/test_guard.py
part 2 120 "memory, streams, graphs, precision, loaders" \
    "${pytest[@]}" -m gpu tests/test_gpu.py -k "not compiled and not beside and not adapters"
part 3 90 "every set-up is put back on the device" \
    "${pytest[@]}" -m "not slow and not browser" tests/promises/test_restore.py tests/promises/test_setups.py
part 4 35 "snapshot of 0.3 and 3 GB; the first step in a new thread" \
    "${gpu[@]}" --parts snapshot first --megabytes $(if [ "$small" ]; then echo 1; else echo 300 3000; fi) \
    --models $(models mlp resnet)
part 5 130 "idle time, kinds of batches and of updates, overhead" \
    "${gpu[@]}" --parts idle kinds overhead --models $(models mlp resnet) ${small:+--no-large}
part 6 70 "compiled models, and a capture beside a run" \
    "${pytest[@]}" -m gpu tests/test_gpu.py -k "compiled or beside"
part 7 45 "a busy cell; events that let the processor sleep" \
    "${gpu[@]}" --parts busy events --models $(models mlp resnet)
part 8 35 "LeNet; adapters; the sweep, faults, baseline and trials" \
    bash -c '"$0" tests/benchmarks/gpu.py --device "$1" --rounds "$2" --parts overhead --models $3 && shift 3 && exec "$@"' \
    "$python" "$LRFINDER_DEVICE" "${rounds:-3}" "$(models lenet)" \
    "${pytest[@]}" tests/test_gpu.py tests/training/test_sweep.py tests/training/test_baseline.py \
    tests/training/test_compare.py tests/promises/test_faults.py \
    -k "adapters or test_sweep or test_baseline or test_compare or test_faults"

printf '\npart | ended | time | what | last line\n'
printf '%s\n' "${summary[@]}"
exit $failed
