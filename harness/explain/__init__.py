"""Explain why a documented number differs; which rule explains most of a collection's.

A page is written by one hand with one tool, so where several rules fit a number, the one that fits
its neighbours is the likelier, and the simplest of all rules is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from harness.types import Finding

# So many claims that a rule explains are its page's habit, and no accident.
_HABIT = 3


def preferred_rules(
    findings: Iterable[tuple[str | None, Finding]],
) -> Mapping[tuple[str | None, str], str]:
    """(collection, field) -> the rule that most of its explained findings follow.

    Args:
        findings: each with its variant's collection. Of rules that fit equally many, the one wins
            that is reported first by most.
    """
    votes: dict[tuple[str | None, str], Counter[str]] = {}
    first: Counter[tuple[tuple[str | None, str], str]] = Counter()
    for collection, finding in findings:
        if finding.rules:
            key = (collection, finding.field)
            votes.setdefault(key, Counter()).update(finding.rules)
            first[key, finding.rules[0]] += 1
    preferred = {}
    for key, counted in votes.items():
        ranked = sorted(counted, key=lambda rule: (-counted[rule], -first[key, rule]))
        preferred[key] = ranked[0]
    return preferred


def habits(findings: Iterable[tuple[str | None, Finding]]) -> set[tuple[str | None, str, str]]:
    """(collection, field, rule) of the rules that are certain to explain several claims."""
    counted = Counter((c, f.field, f.rules[0]) for c, f in findings if f.rules)
    return {key for key, count in counted.items() if count >= _HABIT}
