"""Map an error of an evaluation to a cause and one line."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor


def explain(error: Exception) -> tuple[str, str]:
    """The cause of a count that failed, and a line that says whose fault it is.

    What a person can act on speaks for itself; only what the model's own code raises is shown with
    the name of its class.
    """
    from harness.datasets import ImageSetError
    from harness.measure.accuracy.classifier import ValidationError
    from harness.measure.devices import DeviceError, is_out_of_memory
    from harness.measure.meta import describe_error
    from zoo.errors import CheckpointError, MismatchedCheckpointError, UnsafeCheckpointError

    words = describe_error(error)
    text = words.partition(": ")[2]
    cause = next(
        (
            cause
            for kind, cause in (
                (MismatchedCheckpointError, "weights.tensors-differ"),
                (UnsafeCheckpointError, "weights.unsafe"),
                (CheckpointError, "weights.unreadable"),
                (ImageSetError, "accuracy.no-data"),
                (ValidationError | DeviceError, "accuracy.undecided"),
            )
            if isinstance(error, kind)
        ),
        None,
    )
    if cause is not None:
        return cause, text
    for is_so, message in (
        (is_out_of_memory(error), f"this machine has not the memory for it: {text or 'none left'}"),
        (
            isinstance(error, BrokenExecutor),
            "a process that decodes images was ended, by the system if memory ran out",
        ),
        (isinstance(error, OSError), f"a file could not be read or written: {text}"),
    ):
        if is_so:
            return "accuracy.undecided", message
    return "build.failed", f"the model's own code failed: {words}"
