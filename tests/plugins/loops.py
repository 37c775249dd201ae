"""Many cases under one test id: an id costs pytest more than most of these cases take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def each(names: str, cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for every case, as ``pytest.mark.parametrize`` does, under one id.

    All cases run; the error names those that fail, and is raised from the first one's. The cases
    share their fixtures, so this is for tests that leave these as they find them.
    """
    words = [name.strip() for name in names.split(",")]
    values = [case if len(words) > 1 else (case,) for case in cases]
    assert values, names

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failures: list[tuple[Any, Exception]] = []
            for case in values:
                try:
                    test(**fixtures, **dict(zip(words, case, strict=True)))
                except Exception as error:  # noqa: BLE001 - raised below, with its case
                    failures.append((case, error))
            if failures:
                shown = "\n".join(f"{names} = {case!r}: {error}" for case, error in failures[:20])
                text = f"{len(failures)} of {len(values)} cases fail:\n{shown}"
                raise AssertionError(text) from failures[0][1]

        signature = inspect.signature(test)
        kept = [p for name, p in signature.parameters.items() if name not in words]
        run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        del run.__wrapped__  # type: ignore[attr-defined]
        return run

    return decorate
