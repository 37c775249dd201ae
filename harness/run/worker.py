"""A worker process: reads jobs from standard input, answers with facts, one line each.

It runs the builders' code, so it is a process of its own: what crashes or hangs there is a fact
about a variant, not the end of the run.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Serves jobs until standard input ends."""
    # The run decides when to stop; a terminal's Ctrl-C reaches every process of the group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Model code may print: that goes to standard error, and the answers keep the pipe alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    # Before "ready": a machine whose torch does not work is told apart from a job that fails.
    import torch  # noqa: F401

    from harness.run.perform import Performer
    from harness.run.wire import dump_facts, load_job

    performer = Performer()
    try:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            job = load_job(line)
            print(dump_facts(performer.perform(job)), file=answers, flush=True)
    except BrokenPipeError:
        # The run has ended and waits for nothing: leave without a word, not even a flush at exit.
        os._exit(0)


if __name__ == "__main__":
    main()
