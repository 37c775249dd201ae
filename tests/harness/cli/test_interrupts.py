"""Ctrl-C where Python alone would lose it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Catches everything while it is imported, as torch's modules do.
GREEDY = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
except BaseException:
    pass
"""
FINALIZER = """
import os, signal
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
"""


@pytest.mark.parametrize(
    ("module", "use"),
    [(GREEDY, "import module"), (FINALIZER, "import module; module.Closing()")],
    ids=["import", "finalizer"],
)
@pytest.mark.parametrize("rest", ["time.sleep(1)", "pass"])
@pytest.mark.parametrize(("wrapped", "status"), [(True, 130), (False, 0)])
def test_an_interrupt_is_raised_once_it_can_be_heard(tmp_path, module, use, wrapped, status, rest):
    (tmp_path / "module.py").write_text(module)
    begin = "with interrupts.deferred():" if wrapped else "if True:"
    (tmp_path / "program.py").write_text(
        f"import sys, time\nfrom harness.cli import interrupts\ntry:\n    {begin}\n"
        f"        {use}\n        {rest}\nexcept KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    assert not (wrapped and done.stderr)


def test_afterwards_interrupts_are_python_s_own_again():
    code = (
        "import signal; from harness.cli import main; main(['--help']); "
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, "
        "signal.getsignal(signal.SIGALRM) is signal.SIG_DFL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True True"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
