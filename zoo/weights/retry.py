"""The retry policy: how many attempts, how an attempt can end, how long to wait between two.

The loop over the attempts is `download.Download.run`.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo._util.text import plural
from zoo.weights.types import UNREACHABLE, Interrupted

if TYPE_CHECKING:
    from zoo.weights.http import HttpClient
    from zoo.weights.sources import HttpSource


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts, retries and backoff of a download. Times are in seconds.

    Attributes:
        connect_s: for resolving a name, for connecting to one address, for a TLS handshake.
        stall_s: for an answer to begin, redirects included; then for each stretch of its body,
            which has to bring ``low_rate`` bytes per second. After it an attempt has failed.
        low_rate: bytes per second.
        attempts: how many in a row may fail without bringing the file further, at ``low_rate``.
        backoff_s, backoff_max_s: wait before the second attempt, doubled each time up to the
            maximum; a random part of up to a half is taken off, so that clients spread out.
        retry_after_max_s: a server that asks for a longer wait is not retried.
        total_s: for one file in all, waiting for another process included.
        plan_s: for the size of a file that is asked for beforehand, with all that it takes.
        redirects: how many are followed.
        mark_bytes: how often the sidecar of a partial file notes the hash of what is there; at
            most this much is lost to a kill.
        stale_days: partial and quarantined files older than this are swept.
        quarantined: how many quarantined files are kept.
        grace_s: how long an interrupt waits for the workers to note where they were.
    """

    connect_s: float = 5.0
    stall_s: float = 30.0
    low_rate: int = 1024
    attempts: int = 5
    backoff_s: float = 0.5
    backoff_max_s: float = 20.0
    retry_after_max_s: float = 120.0
    total_s: float = 4 * 3600.0
    plan_s: float = 3.0
    redirects: int = 5
    mark_bytes: int = 4 << 20
    stale_days: float = 14.0
    quarantined: int = 4
    grace_s: float = 2.0


class PermanentError(Exception):
    """The last word on a URL: no further attempt would help, or none may be made."""

    def __init__(self, cause: str, why: str, *, permanent: bool = True) -> None:
        super().__init__(why)
        self.cause = cause
        self.why = why
        self.permanent = permanent


class TransientError(Exception):
    """An attempt failed; another may succeed.

    Attributes:
        why: one line for a person.
        cause: what the outcome is if no attempt succeeds.
        wait: seconds that the server asks for, or 0 for at once; None for the usual backoff.
        host: the trouble is with the host, not with this file.
        silent: the URL whose server said nothing for too long, if that was the trouble; it may be
            one that another server redirected to.
    """

    def __init__(
        self,
        why: str,
        *,
        cause: str = UNREACHABLE,
        wait: float | None = None,
        host: bool = False,
        silent: str | None = None,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.cause = cause
        self.wait = wait
        self.host = host
        self.silent = silent


class Retries:
    """Retry with backoff: counts failed attempts in a row, and waits between them."""

    def __init__(self, policy: RetryPolicy, stop: threading.Event) -> None:
        self._policy = policy
        self._stop = stop
        self._failed = 0
        self._gained, self._since = 0, time.monotonic()
        self._deadline = time.monotonic() + policy.total_s

    def left(self) -> float:
        """Seconds that this file may still take."""
        return self._deadline - time.monotonic()

    def progressed(self, count: int) -> None:
        """The last attempt brought the file further by so many bytes.

        That it came further counts where it did so at the least rate: a byte an answer is none.
        """
        self._gained += count
        now = time.monotonic()
        if self._gained >= self._policy.low_rate * (now - self._since):
            self._failed, self._gained, self._since = 0, 0, now

    def retry(self, client: HttpClient, source: HttpSource, failure: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            PermanentError: there have been enough attempts, or they took too long; where the host
                broke away, the other URLs on it need not try.
            Interrupted: the run is being stopped.
        """
        self._failed += 1
        policy, why = self._policy, ""
        backoff = min(policy.backoff_max_s, policy.backoff_s * 2.0 ** min(self._failed - 1, 30))
        # Up to half is taken off by chance: many clients that failed together don't return so.
        wait = backoff * random.uniform(0.5, 1.0) if failure.wait is None else failure.wait
        if self._failed >= policy.attempts:
            why = f"{failure.why} ({plural(self._failed, 'attempt')})"
        elif wait > policy.retry_after_max_s:
            why = f"{failure.why}, and asks to come back in {wait:.0f} s"
        elif wait > self.left():
            why = f"{failure.why}; not whole within {policy.total_s:g} s"
        if why:
            if failure.host:
                client.lost(source.key, failure.why)
            raise PermanentError(failure.cause, why, permanent=False)
        if self._stop.wait(wait):
            raise Interrupted
