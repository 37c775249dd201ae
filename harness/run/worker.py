"""A worker process: reads jobs from standard input, answers with facts, one line each.

It runs the builders' code, so it is a process of its own: what crashes or hangs there is a fact
about a variant, not the end of the run.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Serve jobs until standard input ends."""
    # The run decides when to stop; a terminal's Ctrl-C reaches every process of the group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Model code may print: that goes to standard error, and the answers keep the pipe alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    # Before "ready": this distinguishes a broken torch from a job that fails.
    import torch  # noqa: F401

    from harness.measure.meta import describe_error
    from harness.run.engine import none_made
    from harness.run.jobs import dump_facts, load_job
    from harness.run.perform import Performer
    from zoo._util.text import foreign

    performer = Performer()
    own = os.getpid()
    try:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            job = load_job(line)
            try:
                facts = performer.perform(job)
            except SystemExit as request:
                status = foreign(" ".join(str(request.code).split()))
                why = f"{job.recipe.name} called for an end of Python (exit status {status})"
                facts = none_made(job, why)
            except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and its like
                why = f"{job.recipe.builder} can't build {job.recipe.name}: {describe_error(error)}"
                facts = none_made(job, why)
            if os.getpid() != own:
                os._exit(0)  # A copy that model code made of this process: it has no say here.
            print(dump_facts(facts), file=answers, flush=True)
    except BrokenPipeError:
        # The run has ended and waits for nothing: leave without a word, not even a flush at exit.
        os._exit(0)


if __name__ == "__main__":
    main()
