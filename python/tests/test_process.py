"""Threads, interrupts, memory, the command and the examples."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tercet

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_threads_share_a_model(model: tercet.Model) -> None:
    prompts = ["Once upon a time", "The dragon", "A king", "One day"]
    expected = [model.complete([prompt], 30)[0].text for prompt in prompts]
    found = [""] * len(prompts)

    def work(i: int) -> None:
        for _ in range(3):
            found[i] = model.complete([prompts[i]], 30)[0].text

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_other_threads_run_during_a_call(model: tercet.Model) -> None:
    """If the native half held the interpreter's lock, this thread would wait for the other's call."""
    text = (EXAMPLES.parents[1] / "models" / "fairy-tales" / "valid.txt").read_text(encoding="utf-8")
    thread = threading.Thread(target=model.perplexity, args=(text[:40_000],))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


@pytest.mark.skipif(sys.platform == "win32", reason="the test sends a POSIX signal")
@pytest.mark.parametrize(
    "call",
    [
        "m.generate(t.encode('Once'), 480, eos_token_id=[])",
        "list(m.stream('Once', 480, eos_token_id=[]))",
        "m.generate([t.encode('Once')] * 8, 480, eos_token_id=[])",
        "m.perplexity('Once upon a time ' * 400)",
        "m.logits([5] * 512)",
    ],
)
def test_ctrl_c_interrupts(call: str) -> None:
    # A background shell may start the tests with SIGINT ignored, and child processes inherit that.
    code = f"""
import signal, tercet
signal.signal(signal.SIGINT, signal.default_int_handler)
m, t = tercet.load_model("fairy-tales", threads=1)
print("ready", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
    assert process.returncode == 0


def test_the_first_array_runs_no_code_of_numpy() -> None:
    """Ctrl-C within Python code that the native half runs on its own would end as a panic."""
    code = """
import sys, tercet
model, _ = tercet.load_model("fairy-tales", threads=1)
entered = []
sys.setprofile(lambda frame, event, _: entered.append(frame.f_code.co_filename))
model.logits([5])
sys.setprofile(None)
assert entered and not any("numpy" in name for name in entered), entered
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="the test sends a POSIX signal")
def test_ctrl_c_is_heeded_within_a_part_of_a_prompt() -> None:
    """With portable kernels a part of this shape takes many seconds."""
    code = """
import signal, time, tercet
from tercet import _tercet
from tercet.machine import machine_options
signal.signal(signal.SIGALRM, signal.default_int_handler)
model = tercet.Model(_tercet.Model.synthetic("falcon-e-1b", machine_options(threads=1, isa="portable")))
ids = [5] * 256
for call in (lambda: model.logits(ids), lambda: model.generate(ids, 1), lambda: next(model.stream(ids, 1))):
    start = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        call()
        raise SystemExit("not interrupted")
    except KeyboardInterrupt:
        assert time.monotonic() - start < 1.5
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_made_by_fork_works_alone_and_exits_quietly() -> None:
    code = """
import os, tercet
model, tokenizer = tercet.load_model("fairy-tales", threads=2)
ids = tokenizer.encode("Once upon a time")
text = model.generate(ids, 8)
child = os.fork()
if child == 0:
    assert model.generate(ids, 8) == text
    del model
    raise SystemExit(7)
_, status = os.waitpid(child, 0)
assert model.generate(ids, 8) == text
print(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("7\n", "")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the test reads resident memory from /proc")
def test_memory_does_not_grow(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    ids = tokenizer.encode("Once upon a time")

    def generations(count: int) -> None:
        for seed in range(count):
            model.generate(ids, 4, seed=seed, temperature=1.0)
            if seed % 10 == 0:
                model.logits(ids)
                list(model.stream(ids, 3, seed=seed))
                model.generate([ids] * 3, 2)

    generations(200)
    before = resident()
    generations(1000)
    assert resident() - before < 4 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="the test limits the address space")
def test_memory_that_cannot_be_had_is_an_exception() -> None:
    code = """
import resource, tercet
m, t = tercet.load_model("fairy-tales", threads=1)
m.generate(t.encode("Once"), 2)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20), resource.RLIM_INFINITY))
try:
    m.logits([1] * m.context_length)
except MemoryError as error:
    print("refused:", error)
m.generate(t.encode("Once"), 2)
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "refused: " in done.stdout and "alive" in done.stdout, done


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be truncated there")
def test_a_model_that_is_truncated_is_an_exception(tmp_path: Path) -> None:
    code = f"""
import shutil, tercet
shutil.copytree({str(EXAMPLES.parents[1] / "tests/fixtures/bitnet-tiny")!r}, {str(tmp_path / "m")!r})
m, t = tercet.load_model({str(tmp_path / "m")!r}, threads=1)
open({str(tmp_path / "m/model.safetensors")!r}, "w").close()
try:
    m.generate(t.encode("Once"), 2)
except OSError as error:
    print("refused:", error)
other, _ = tercet.load_model("fairy-tales", threads=1)
print("alive", len(other.generate(t.encode("Once"), 2)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "refused: " in done.stdout and "alive" in done.stdout, done


def test_the_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("tercet")
    for command in ([sys.executable, "-m", "tercet"], [str(script)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"tercet {tercet.__version__}\n"
        failed = subprocess.run([*command, "info", "-m", str(tmp_path / "no")], capture_output=True, text=True)
        assert failed.returncode == 2 and "no such file" in failed.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 100


@pytest.mark.parametrize("readme", [EXAMPLES.parents[1] / "README.md", EXAMPLES.parent / "README.md"], ids=["root", "python"])
def test_the_programs_of_the_readmes_run(readme: Path, tmp_path: Path) -> None:
    blocks = readme.read_text(encoding="utf-8").split("```python\n")[1:]
    assert len(blocks) == 2
    program = "\n".join(block.split("```")[0] for block in blocks)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and len(done.stdout) > 100, done.stderr
