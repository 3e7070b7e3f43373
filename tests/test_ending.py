"""How commands end: signals, closed pipes and bugs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowspec.cli import ending, main

ROOT = Path(__file__).resolve().parents[1]
WRITING = """
import signal
# a shell starts what runs in its background, or under nohup, with these ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
import sys, time
from types import ModuleType
from flowspec.data.atomic import replacing
from flowspec.cli import main

def run(args):
    with replacing("out.txt") as temporary:
        temporary.write_text("half")
        print("ready", flush=True)
        time.sleep(30)

command = sys.modules["flowspec.cli.models"] = ModuleType("command")  # a light one
command.run = run
sys.exit(main(["models"]))
"""


@pytest.mark.parametrize(("number", "said"), [
    (signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted"),
    (signal.SIGHUP, "ended by SIGHUP"),
])  # fmt: skip
def test_a_signal_leaves_nothing_half_written(number, said, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", WRITING], cwd=tmp_path, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(os.listdir(tmp_path)) == 1
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number and err == f"error: {said}\n"
    assert os.listdir(tmp_path) == []


def failing(monkeypatch, error: BaseException):
    def run(args):
        raise error

    monkeypatch.setattr("flowspec.cli.models.run", run)


@pytest.mark.parametrize(("error", "words"), [
    (KeyError("x"), ("bug in flowspec", "KeyError: 'x'", "report", "--traceback")),
    (RuntimeError("a\nb"), ("bug in flowspec", "RuntimeError: a b")),
    (MemoryError("Unable to allocate 596 GiB"), ("enough memory", "596 GiB")),
    (RuntimeError("RESOURCE_EXHAUSTED: out of memory"), ("enough memory",)),
    (FileNotFoundError(2, "No such file", "x.fits"), ("x.fits: No such file",)),
    (ValueError(""), ("ValueError",)),
])  # fmt: skip
def test_every_failure_is_one_line_and_exit_code_2(error, words, monkeypatch, capsys):
    failing(monkeypatch, error)
    assert main(["models"]) == ending.BAD_INPUT == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("error: ")
    assert all(word in err for word in words), err
    assert main(["models", "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_is_130(monkeypatch, capsys):
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["models"]) == 130 and capsys.readouterr().err == "error: interrupted\n"


def test_handlers_are_those_of_before(monkeypatch):
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    monkeypatch.setattr("flowspec.cli.models.run", lambda args: None)
    assert main(["models"]) == 0
    after = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    assert before == after


LEFT = """
import sys
from pathlib import Path
from types import ModuleType
from flowspec.cli import main

def run(args):
    for _ in range(10_000):
        print("a line of text", flush=True)
        print("a note", file=sys.stderr, flush=True)
    Path("done").touch()

command = sys.modules["flowspec.cli.models"] = ModuleType("command")  # a light one
command.run = run
sys.exit(main(["models"]))
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_who_reads_may_leave_and_the_work_goes_on(stream, tmp_path):
    """`flowspec models | head -1`."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", LEFT], cwd=tmp_path, env=environment,
                          **pipes) as process:
        pipe = getattr(process, stream)
        assert pipe.readline() in (b"a line of text\n", b"a note\n")
        pipe.close()
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "done").exists()
