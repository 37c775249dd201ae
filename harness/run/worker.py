"""A worker process: reads jobs from standard input, answers with facts, one line each.

It runs the builders' code, so it is a process of its own: what crashes or hangs there is a fact
about a variant, not the end of the run.
"""

from __future__ import annotations

import os
import sys

from harness.run import guard


def main() -> None:
    """Serve jobs until standard input ends."""
    answers = guard.answers()

    # Before "ready": this distinguishes a broken torch from a job that fails.
    import torch  # noqa: F401

    from harness.run.jobs import CHANGED, CHECK, LOAD, NOTE, SAME, Interim, WorkerAnswer, load_job
    from harness.run.perform import CheckedPerformer

    def tell(interim: Interim) -> None:
        answers.write(interim.dump() + "\n")
        answers.flush()

    performer = CheckedPerformer(tell)
    own = os.getpid()
    try:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            wanted, _, text = line.rstrip("\n").partition(" ")
            answer = WorkerAnswer(SAME)
            try:
                if wanted == LOAD:
                    performer.load(load_job(text))
                elif wanted == NOTE:
                    performer.note()
                elif text:
                    answer = performer.perform(load_job(text), check=wanted == CHECK)
                else:
                    answer = performer.check()
            except Exception as error:  # noqa: BLE001 - an earlier job may have replaced anything
                answer = WorkerAnswer(CHANGED, changed=f"Python itself ({type(error).__name__})")
            if os.getpid() != own:
                os._exit(0)  # A copy that model code made of this process: it has no say here.
            answers.write(answer.dump() + "\n")  # `print` may be another function by now.
            answers.flush()
    except BrokenPipeError:
        # The run has ended and waits for nothing: leave without a word, not even a flush at exit.
        os._exit(0)


if __name__ == "__main__":
    main()
