"""Proxy of a builder: third-party builders answer from a process of their own.

The builders of this package read files and answer at once. Another distribution's builder may
raise, hang, end the process or import torch when it is only asked for its names; it answers from a
process of its own, and what goes wrong there is one line.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import Any, Protocol, cast

from harness.config import UsageError
from harness.measure.builders import BuilderError, built_in, get_builder, origin_of
from harness.measure.meta import describe_error
from harness.run import guard
from harness.run.sources import default_identity
from zoo._util.text import ForeignOutput, foreign, pass_on

_ANSWER_SECONDS = 30.0
_LEAVE_SECONDS = 1.0
_CHUNK = 2**16
_MOST_PRINTED = 2**16


class BuilderProxy(Protocol):
    """The part of a `harness.measure.builders.Builder` that a run needs before it builds."""

    def knows(self, name: str) -> bool:
        """Whether there is a variant of that name."""

    def names(self) -> list[str]:
        """All variants' names."""

    def identity(self, name: str) -> str:
        """A short text that changes whenever something else could be built."""


@cache
def open_builder(builder: str) -> BuilderProxy:
    """Open the builder of that name.

    Raises:
        BuilderError: there is none, or it can't be used; the message says why.
        UsageError: it hangs or ends its process as it is loaded.
    """
    if built_in(builder):
        return cast("BuilderProxy", get_builder(builder))  # Those all say who they are.
    return _RemoteBuilder(builder)


class _RemoteBuilder:
    """A third-party builder, in a process that starts with it."""

    def __init__(self, builder: str) -> None:
        self._builder = builder
        self._process = guard.start(
            "harness.run.builder_proxy:serve", builder, text=True, encoding="utf-8"
        )
        self._printing = threading.Thread(target=self._pass_on, daemon=True)
        self._printing.start()
        atexit.register(self._leave)
        self._ask("ready")

    def _end(self) -> None:
        guard.end(self._process)

    def _leave(self) -> None:
        """End it, and let what it printed be seen."""
        self._end()
        self._printing.join(_LEAVE_SECONDS)

    def _pass_on(self) -> None:
        """Show what the builder prints, up to a limit; read all of it, or it would wait."""
        printed, shown = 0, ForeignOutput()
        assert self._process.stderr is not None
        pipe = self._process.stderr.fileno()
        with suppress(ValueError, OSError):  # Closed by now.
            while chunk := os.read(pipe, _CHUNK):
                pass_on(shown(chunk[: max(0, _MOST_PRINTED - printed)]))
                printed += len(chunk)

    def knows(self, name: str) -> bool:
        return bool(self._ask("knows", name))

    def names(self) -> list[str]:
        return list(map(str, self._ask("names")))

    def identity(self, name: str) -> str:
        return str(self._ask("identity", name))

    def _ask(self, method: str, *arguments: str) -> Any:
        """The answer to one question.

        Raises:
            BuilderError: it raised an error, which may be about this question alone.
            UsageError: it hung or ended its process.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._end()

        timer = threading.Timer(_ANSWER_SECONDS, give_up)
        timer.start()
        try:
            process.stdin.write(json.dumps([method, *arguments]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # An interrupt: the answer would be taken for that of another.
            self._end()
            raise
        finally:
            timer.cancel()
        asked = "as it was loaded" if method == "ready" else f"when asked {method}{arguments!r}"
        asked = asked.replace(",)", ")")
        if not line.endswith("\n"):
            how = (
                f"did not answer within {_ANSWER_SECONDS:g} seconds"
                if late.is_set()
                else f"ended its process (status {process.wait()})"
            )
            self._printing.join(_LEAVE_SECONDS)
            # No other question would be answered either.
            raise UsageError(f"--builder: the builder {self._builder} {how} {asked}")
        answer = json.loads(line)
        if "error" in answer:
            how = "can't be used" if method == "ready" else f"failed {asked}"
            whose = "" if answer["ours"] else f"the builder {self._builder} {how}: "
            raise BuilderError(f"{whose}{answer['error']}")
        return answer["is"]


def serve() -> None:
    """Serve requests about the builder named on the command line, until input ends."""
    answers = guard.answers()
    builder: Any = None
    identity = cache(lambda: default_identity(builder, origin_of(sys.argv[1])))
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            if method == "ready":
                builder = get_builder(sys.argv[1])
                _complain_of(builder)
                answer = {"is": True}
            elif method == "identity" and not hasattr(builder, "identity"):
                answer = {"is": identity()}
            else:
                answer = {"is": _plain(method, getattr(builder, method)(*arguments))}
        except BaseException as error:  # noqa: BLE001 - whatever a builder raises is reported
            answer = {"error": _one_line(error), "ours": isinstance(error, BuilderError)}
        print(json.dumps(answer), file=answers, flush=True)


def _complain_of(builder: Any) -> None:
    missing = [m for m in ("knows", "names", "build") if not hasattr(builder, m)]
    if missing:
        raise BuilderError(f"{type(builder).__name__} has no method {' or '.join(missing)}")


def _plain(method: str, answer: Any) -> Any:
    if method == "names":
        return [str(name) for name in answer]
    return bool(answer) if method == "knows" else str(answer)


def _one_line(error: BaseException) -> str:
    return foreign(error) if isinstance(error, BuilderError) else describe_error(error)
