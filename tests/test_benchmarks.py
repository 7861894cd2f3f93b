"""The benchmarks run and print their tables; what the numbers are is looked at by hand."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.autograd import DeviceType

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.mark.slow
def test_overhead_compares_each_way_with_the_bare_loop() -> None:
    printed = run("overhead.py", "--rounds", "1", "--steps", "4", "--models", "mlp", "lenet")
    ways = [cells[:2] for cells in table(printed)]
    assert ways == [
        [f"{model}, 4 steps", way]
        for model in ("mlp", "lenet")
        for way in ("blocking", "background", "widget")
    ]
    assert "1 thread(s)" in printed


def test_what_looking_for_an_effect_costs_is_measured_in_steps() -> None:
    printed = run("effect.py", "--rounds", "1", "--models", "mlp")
    ((model, *cells),) = table(printed)
    assert model == "mlp"
    assert len(cells) == 3


def test_varying_is_compared_with_single_tests() -> None:
    printed = run("varying.py", "--rounds", "1", "--steps", "4", "--models", "mlp")
    blocking, background = (cells[1] for cells in table(printed))
    assert blocking == "`vary` ÷ `range_test`, three times"
    assert background == "`finder.vary` ÷ `finder.start`, three times"


def test_what_a_diagnosis_and_a_metric_cost_is_measured_with_and_without() -> None:
    printed = run("diagnose.py", "--rounds", "1", "--steps", "12", "--models", "mlp", "lenet")
    ways = ["norms and ratios", "critical learning rate, too", "metric=a function"]
    rows = table(printed)
    assert [row[1] for row in rows] == [*ways, *ways, 'metric="accuracy"']
    assert rows[0][0] == "mlp, 12 steps"
    assert "[" in rows[1][-1]


@pytest.mark.slow
def test_clusters_are_measured_by_engine_and_part() -> None:
    arguments = ["--engines", "dask", "follow", "--rounds", "1", "--steps", "20"]
    printed = run("cluster.py", *arguments, "--parts", "same", "cost", "late")
    parts = {part.partition("\n")[0]: table(part) for part in printed.split("## ")[1:]}
    assert {name: len(rows) for name, rows in parts.items()} == {"same": 10, "cost": 6, "late": 2}
    assert [row[2] for row in parts["same"][:3]] == ["yes"] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        {"snapshot": 4, "first": 2, "idle": 6, "kinds": 7},
        {"overhead": 6},
        {"busy": 2, "events": 4},
    ],
    ids=" ".join,
)
def test_what_is_measured_on_an_accelerator_can_be_measured_on_the_cpu(
    rows: dict[str, int],
) -> None:
    arguments = ["--device", "cpu", "--rounds", "1", "--models", "mlp", "--megabytes", "3"]
    printed = run("gpu.py", *arguments, "--no-large", "--parts", *rows)
    parts = {
        part.partition("\n")[0]: [cells[0] for cells in table(part)]
        for part in printed.split("## ")[1:]
    }
    assert {name: len(models) for name, models in parts.items()} == rows
    assert set(parts.pop("snapshot", [])) <= {"3 MB", "3 MB, two types"}
    assert {model for models in parts.values() for model in models} == {"mlp"}


def test_each_time_of_a_device_counts_once_and_only_waits_of_the_run_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu_trace import Trace

    def event(name: str, start: float, end: float, on: DeviceType, *, mark: bool = False) -> Any:
        span = SimpleNamespace(start=start, end=end, elapsed_us=lambda: end - start)
        return SimpleNamespace(name=name, time_range=span, device_type=on, is_user_annotation=mark)

    host, device = DeviceType.CPU, DeviceType.CUDA
    trace = Trace.read(
        [
            event("measured", 0, 1000, host),
            event("measured", 100, 900, device, mark=True),
            event("aten::mm", 0, 90, host),  # whose kernel is counted as that
            event("gemm", 100, 200, device),
            event("beside it, on another stream", 150, 260, device),
            event("right behind", 263, 300, device),
            event("after a gap", 400, 500, device),
            event("cudaEventSynchronize", 10, 40, host),
            event("cudaLaunchKernel", 40, 50, host),
            event("cudaDeviceSynchronize", 1001, 2000, host),  # the profiler's
        ]
    )
    assert (trace.busy, trace.idle, trace.waits) == (160 + 37 + 100, 100, 30)


def test_the_script_for_a_day_with_a_gpu_names_what_is_there() -> None:
    script = BENCHMARKS / "gpu_day.sh"
    subprocess.run(["bash", "-n", script], check=True, timeout=10)
    text = script.read_text()
    files = {BENCHMARKS.parents[1] / name for name in re.findall(r"tests/[\w/]+\.\w+", text)}
    assert len(files) > 8
    assert [file for file in files if not file.exists()] == []
    assert re.findall(r"^part (\d)", text, re.MULTILINE) == [str(i) for i in range(9)]
    assert sum(map(int, re.findall(r"^part \d (\d+)", text, re.MULTILINE))) <= 600
    parts = {name for names in re.findall(r"--parts ([a-z ]+)", text) for name in names.split()}
    assert all(f'"{name}": print_' in (BENCHMARKS / "gpu.py").read_text() for name in parts)
    tests = "\n".join(f"{file.stem} {file.read_text()}" for file in files if file != script)
    words = set(re.findall(r"\w+", " ".join(re.findall(r'-k "([^"]+)"', text))))
    assert [word for word in words - {"not", "and", "or"} if word not in tests] == []


@pytest.mark.slow
def test_busy_compares_the_finder_with_the_bare_loop_and_the_cell_with_itself() -> None:
    printed = run("busy.py", "--rounds", "1", "--models", "lenet")
    ((model, *cells),) = table(printed)
    assert model == "lenet"
    assert len(cells) == 4


def test_what_was_measured_of_fine_tunings_is_tabled() -> None:
    printed = run("finetune.py", "--table")
    rows = {cells[0]: cells[1:] for cells in table(printed)}
    kept = {path.stem for path in (BENCHMARKS / "truth" / "finetune").glob("*.json")}
    assert kept <= rows.keys()
    assert all(int(seeds) for name, (seeds, *_) in rows.items() if name in kept)
    assert "refused" in printed


def test_snapshot_is_compared_with_plain_copies_and_writes_no_file() -> None:
    printed = run("snapshot.py", "--rounds", "1", "--megabytes", "3")
    assert [cells[0] for cells in table(printed)] == [
        "snapshot and restore",
        "two copies, memory at hand",
        "two copies, fresh memory",
    ]
    assert "extra memory at the peak" in printed
    assert "files opened for writing: 0;" in printed


@pytest.mark.slow
def test_a_sharded_snapshot_is_compared_with_a_step() -> None:
    printed = run("sharded.py", "--rounds", "2", "--width", "16")
    rows = {cells[0]: cells[1:] for cells in table(printed)}
    assert list(rows) == ["a training step", "a snapshot", "putting it back"]


@pytest.mark.slow
def test_a_large_frozen_part_is_not_in_memory_twice() -> None:
    rows = {cells[0]: float(cells[2]) for cells in table(run("memory.py"))}
    assert list(rows) == ["training", "range_test, criterion", "range_test, step"]
    assert rows["range_test, criterion"] <= 1.05
    assert rows["range_test, step"] > 1.3  # a step of one's own may change it


@pytest.mark.slow
def test_regret_judges_every_rule_on_both_halves(tmp_path: Path) -> None:
    printed = run("regret.py", "--quick", "--cache", str(tmp_path / "truth.json"))
    rules = [
        "default",
        "minimum rule",
        "no weak ones",
        "minimum/10",
        "steepest",
        "valley",
        "slide",
        "divergence",
        "3 repeats",
        "then trials",
    ]
    bounds = [f"*bound*: least of {those}" for those in ("the tried", "any")]
    names = [*(f"ours, {rule}" for rule in rules), bounds[0], "fixed default", bounds[1]]
    development, judging = printed.split("| judging")
    assert [cells[0] for cells in table(development)] == names
    assert [cells[0] for cells in table("| judging" + judging)] == names
    assert (tmp_path / "truth.json").exists()


@pytest.mark.slow
def test_overhead_of_others_is_measured_beside_ours() -> None:
    printed = run("overhead_peers.py", "--rounds", "1", "--sizes", "mlp:6")
    assert [cells[:3] for cells in table(printed)][:3] == [
        ["mlp, 6 steps", f"ours, {way}", "6"] for way in ("blocking", "background", "widget")
    ]
    assert_each_package_is_named(printed)


@pytest.mark.slow
def test_no_test_of_ours_leaves_anything_behind() -> None:
    printed = run("restore.py", "--tools", "range_test", "LRFinder")
    found = table(printed)
    assert len(found) == 18
    assert {cell for _, *cells in found for cell in cells} == {"same"}
    # Every state after every end: none of them was not possible.
    assert "range_test: 0 of 108 entries changed" in printed
    assert "LRFinder: 0 of 108 entries changed" in printed


def test_restore_sees_every_state_change() -> None:
    printed = subprocess.check_output(
        [sys.executable, "-c", SPOILER], text=True, timeout=110, cwd=BENCHMARKS
    )
    found = json.loads(printed)
    assert len(found) == 18
    assert [state for state, changed in found.items() if not changed] == []


# Puts a tool beside the others that trains, changes what a step does not, and puts back nothing.
SPOILER = """
import json, signal, threading, time
from pathlib import Path
import restore

def spoil(training, steps):
    _, options = restore.ours(training, steps)

    def run():
        training.model.train()
        training.model.first.register_forward_hook(lambda *_: None)
        training.model.first.bias.requires_grad_(False)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path("written").touch()
        for batch in training.loader:
            options["step"](batch)
        training.scheduler.step()

    return run

restore.TOOLS["spoiler"] = spoil
print(json.dumps(restore.case("spoiler", "end")))
"""


def test_reading_is_timed_at_each_length() -> None:
    printed = run("reading.py", "--rounds", "1", "--points", "100", "1000")
    assert [cells[0] for cells in table(printed)] == ["100", "1,000"]
    assert [cells[1].split()[1] for cells in table(printed)] == ["ms", "ms"]
    assert [cells[2].split()[1] for cells in table(printed)] == ["µs", "µs"]


@pytest.mark.slow
def test_picking_is_timed_at_each_length() -> None:
    printed = run("picking.py", "--rounds", "1", "--points", "20", "200")
    assert [cells[0] for cells in table(printed)] == ["20", "200"]
    assert [cells[1].split()[1] for cells in table(printed)] == ["ms", "ms"]


@pytest.mark.slow
def test_footprint_counts_what_a_finder_weighs() -> None:
    rows = {name: float(value) for name, value in table(run("footprint.py", "--rounds", "3"))}
    assert rows["models of a finder"] == 1
    assert rows["models to display"] <= rows["models after two runs"] <= 30
    assert rows["models left after close()"] == 0
    assert rows["kB to display, without the code"] < 46


@pytest.mark.slow
def test_start_says_times_and_sizes() -> None:
    printed = run("start.py", "--rounds", "1", "--no-wheel")
    names = [name for name, _ in table(printed)]
    assert names[1] == "`import lrfinder_widget` after that"
    assert names[-2:] == ["finder.js", "finder.css"]


def assert_each_package_is_named(printed: str) -> None:
    for name in ("torch-lr-finder", "fastai", "Lightning", "ignite"):
        assert name in printed, "a row, or a line that says that it is not installed"


def run(script: str, *arguments: str) -> str:
    return subprocess.check_output(
        [sys.executable, BENCHMARKS / script, *arguments], text=True, timeout=110
    )


def table(printed: str) -> list[list[str]]:
    """The cells of a Markdown table below its head."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
