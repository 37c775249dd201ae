"""Messages about a FLOPs claim that is not the measured count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.check.compare import digits, grouped, written
from harness.explain.flops import PLAIN, Explanation
from harness.types import WITH_PRODUCTS, WITH_UNKNOWN
from zoo.index.types import Claim

# An explanation that leaves out more than this share of the model is one, but no excuse.
MOST_LEFT_OUT = 0.1

# A figure under these is right without another word.
UNSAID = ("macs", "fvcore")

# So many inputs that a model refuses are named.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class FlopsMessages:
    """Builds the messages about one claim.

    Attributes:
        claim: the claim.
        at: the input that it speaks of, as text.
        convention: the one that the right figure is given in.
        right: that figure.
        variation: how the right figure departs from the convention as named.
        blind: a usual counter that is not recommended for this model, and why, if there is one.
        in_table: it is a cell, beside which no key can be written: a line at the table names it.
    """

    claim: Claim
    at: str
    convention: str
    right: int | float
    variation: str = ""
    blind: str = ""
    in_table: bool = False

    def unexplained(self, fit: Explanation | None, tried: int, not_run: Sequence[str]) -> str:
        """The message where nothing gives the claim, or too much would."""
        return f"{self._takes}; {self._why_not(fit, tried)}{_refused(not_run)}: write {self._named}"

    def exchanged(self, why: str) -> str:
        """The message where the claim has the digits of the parameters, and they those of it."""
        return f"{why}; write {self._named}"

    def _why_not(self, fit: Explanation | None, tried: int) -> str:
        if fit is None:
            return (
                f"none of the {tried} combinations of convention and input that were tried gives "
                f"{self.claim.raw}"
            )
        found = fit.candidate
        count = digits(self.claim)
        return (
            f"{self.claim.raw} would be {found.words} at {found.geometry}, but {count} "
            f"digit{'s are' if count > 1 else ' is'} too few to tell that from chance"
        )

    def explained(self, explanation: Explanation, accepted: Sequence[str]) -> str:
        """What the number is, and what to write; ``accepted`` conventions need no name."""
        return " ".join(self._parts(explanation, accepted))

    def _parts(self, explanation: Explanation, accepted: Sequence[str]) -> Iterator[str]:
        found = explanation.candidate
        where = f" at {found.geometry}" if str(found.geometry) != self.at else ""
        what = f"{self.claim.raw} is {found.words}{where}"
        if where:
            what += f" ({found.geometry.words})"
        if found.left_out > MOST_LEFT_OUT:
            what += f", which leaves out {found.left_out:.0%} of the multiply-accumulates"
        elif not where:
            what += ", and not what a reader expects"
        yield f"{what};"
        if explanation.also:
            others = [f"{c.words} at {c.geometry}" for c in explanation.also[:2]]
            more = len(explanation.also) - len(others)
            yield f"as written it is also {', '.join(others)}{f' and {more} more' if more else ''};"
        yield f"{self._takes}:"
        keep = []
        if self.in_table and (where or found.convention not in accepted):
            keep.append(f"{found.convention} at {found.geometry} named beside the table")
        elif found.convention not in accepted:
            keep.append(f"FLOPs Convention: {found.convention}")
        if where and not self.in_table:
            keep.append(f"FLOPs Input: {found.geometry}")
        changed = found.variation and found.variation not in (WITH_PRODUCTS, WITH_UNKNOWN)
        wrong = found.scale.wrong or found.left_out > MOST_LEFT_OUT
        if changed or found.scale is not PLAIN or not keep:
            how = f"write {self._written}"
            yield how if where or wrong else f"{how}, or say beside the number what it counts"
        elif not where and not wrong:
            yield f"keep the number with {' and '.join(keep)}, or write {self._written}"
        else:
            yield f"write {self._written}, or keep the number with {' and '.join(keep)}"

    @property
    def _takes(self) -> str:
        name = " ".join(filter(None, (self.convention, "counts", self.variation)))
        takes = f"at {self.at} the model takes {grouped(self.right)} as {name}"
        return f"{takes} ({self.blind})" if self.blind else takes

    @property
    def _named(self) -> str:
        """What to write, with its counter; in a table the usual ones need no name."""
        if not self.in_table:
            return f"{self._written} with FLOPs Convention: {self.convention}"
        beside = "" if self.convention in UNSAID else f", and {self.convention} beside the table"
        return f"{self._written}{beside}"

    @property
    def _written(self) -> str:
        """How an index writes the figure: torchvision's are billions."""
        if self.claim.scale:
            whole = self.right * 10**9 if self.convention == "torchvision" else self.right
            return written(self.claim, whole)
        return f"{self.right}G" if self.convention == "torchvision" else f"{self.right}"


def leaves_out(convention: str, share: float) -> str:
    """How much a counter leaves out, and why where that is known."""
    words = f"leaves out {share:.0%} of the multiply-accumulates"
    if convention == "fvcore":
        words += ", in operators that it does not know, such as fused attention"
    return words


def _refused(inputs: Sequence[str]) -> str:
    if not inputs:
        return ""
    named = ", ".join(inputs[:_MOST_NAMED])
    more = len(inputs) - _MOST_NAMED
    return f" (the model can't run at {named}{f' and {more} more' if more > 0 else ''})"
