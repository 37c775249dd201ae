"""What libraries raise when memory is short: each says it in its own words."""

from __future__ import annotations

import re

# Of torch for each kind of device, of the C and C++ libraries, and of CUDA's and AMD's libraries,
# which say so where they allocate for themselves.
_SHORT = re.compile(
    r"out[ _]of[ _]memory|outofmemory|not enough memory|bad_alloc|memory_?allocation"
    r"|(can't|can ?not|could not|couldn't|failed to|unable to) alloc"
    r"|alloc(ation)?_?failed|status_?memory_?error",
    re.IGNORECASE,
)
# Of libraries that have no way for a batch of that size, or no memory to look for one.
_TOO_LARGE = re.compile(
    r"CUDNN_STATUS_NOT_SUPPORTED|unable to find (an|a valid|any)( cudnn)? (engine|algorithm|plan)"
    r"|no (valid )?(engine|algorithm|execution plan)s?\b.*\b(found|worked|available)"
    r"|CUBLAS_STATUS_NOT_INITIALIZED|CUDNN_STATUS_NOT_INITIALIZED"
    r"|miopenStatus(UnknownError|NotImplemented)|canUse32BitIndexMath|int32 index|INT_MAX elements",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException, *, images: int = 1) -> bool:
    """Whether an error says that a device or the machine has no memory left.

    Args:
        error: what was raised.
        images: how many there were in the batch. Some errors say that a batch is too large, and of
            a single image that its operation is not supported at all.
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):  # torch's own.
        return True
    text = str(error)
    return bool(_SHORT.search(text) or (images > 1 and _TOO_LARGE.search(text)))
