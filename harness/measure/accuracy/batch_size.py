"""The batch size of a model on a device, found while it does its work.

Every size gives the same counts, so that nothing is lost by trying sizes on the images
themselves.
"""

from __future__ import annotations

import threading

# On a CPU a small batch keeps activations in the caches; on a GPU a large one fills the device.
CPU_SIZES = (4, 8, 16)
GPU_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048)
_PAYS = 1.05  # a larger batch takes more memory: it has to be this much faster
_WARM_UPS = 1
_TRIALS = 4


class BatchTuner:
    """Tries sizes, the smallest first, until a larger one no longer pays; then keeps the best.

    Safe to use from several threads.

    Args:
        sizes: the candidates, ascending; a single one is a fixed size.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._lock = threading.Lock()
        self._sizes = sizes
        self._place = 0
        self._left = {"warm-up": _WARM_UPS, "trial": _TRIALS}
        self._speeds: dict[int, float] = {}
        self._decided = sizes[0] if len(sizes) == 1 else None

    @property
    def size(self) -> int:
        """How many images the next batch should have at most."""
        return self._decided or self._sizes[self._place]

    @property
    def trying(self) -> bool:
        """Whether batches are still to be timed."""
        return self._decided is None

    def report(self, size: int, seconds: float) -> None:
        """What a batch took; batches of other sizes than the one being tried don't count."""
        with self._lock:
            if self._decided is not None or size != self._sizes[self._place]:
                return
            if self._left["warm-up"]:
                self._left["warm-up"] -= 1
                return
            self._speeds[size] = max(self._speeds.get(size, 0.0), size / seconds)
            self._left["trial"] -= 1
            if not self._left["trial"]:
                self._next()

    def too_large(self, size: int) -> None:
        """A batch of that size found no memory: from now on at most half of it.

        Raises:
            MemoryError: it was a single image.
        """
        if size <= 1:
            raise MemoryError("there is no memory for a batch of a single image")
        with self._lock:
            if self.size > size // 2:
                self._decided = size // 2

    def _next(self) -> None:
        best = max(self._speeds, key=lambda size: (self._speeds[size], -size))
        for size in sorted(self._speeds):
            if self._speeds[size] * _PAYS >= self._speeds[best]:
                best = size
                break
        last = self._sizes[self._place]
        if self._place + 1 == len(self._sizes) or best != last:
            self._decided = best
            return
        self._place += 1
        self._left = {"warm-up": _WARM_UPS, "trial": _TRIALS}
