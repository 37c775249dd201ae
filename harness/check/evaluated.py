"""Which images a claim is held against: those of the dataset that it names.

A run may have several datasets. A claim's ``Dataset`` is looked up in `zoo.known_datasets`; one
that names none may speak of ImageNet's validation set. Unknown images are counted, and
contradict nothing (`is_unknown`); those of another known set are counted where there are no others,
and confirm nothing either (`are_others`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from harness.check.base import Evidence, Need
from harness.check.shards import tagged
from harness.types import EvalImages, Fact, Slot
from zoo.index.types import Claim, Variant
from zoo.known_datasets import ACCURACIES, IMAGENET_1K, KNOWN, KnownDataset, known_dataset


@dataclass(frozen=True, slots=True)
class NoImages:
    """Why a claim has no images in this run: the cause of the finding, and its message."""

    cause: str
    message: str


def view(evidence: Evidence, claim: Claim) -> Evidence | NoImages:
    """The evidence with the images of one claim alone, and their counts under plain names."""
    images = _chosen(evidence, claim)
    return images if isinstance(images, NoImages) else view_of(evidence, claim, images)


def view_of(evidence: Evidence, claim: Claim, images: EvalImages) -> Evidence:
    """The evidence with these images alone, evaluated as a claim says it was."""
    setting = setting_of(claim)
    images = replace(images, tag=joined(images.tag, setting))
    if images.made_of is not None:
        source = images.made_of
        images = replace(images, made_of=replace(source, tag=joined(source.tag, setting)))
    ways = evidence.ways.get(setting, {}) if setting else evidence.alternatives
    if images.subset or images.truth:
        # Folders that are synsets, and labels by number: they can't be in another order.
        ways = {name: words for name, words in ways.items() if not name.startswith("labels=")}
    facts: Mapping[Slot, Fact] = evidence.facts
    if images.tag:
        facts = _Tagged(facts, images.tag)
    return replace(evidence, images=images, facts=facts, alternatives=ways, more_images=())


def setting_of(claim: Claim) -> str:
    """How its result was evaluated, where that says so itself; else nothing."""
    shown = (
        (field, value if isinstance(value, tuple) else (value,)) for field, value in claim.settings
    )
    return ", ".join(
        f"{field} {('x' if field == 'Image Size' else ' ').join(map(str, value))}"
        for field, value in shown
    )


def joined(tag: str, setting: str) -> str:
    """The tag of images that are counted in that setting; ``dataset_tag`` takes it apart."""
    return f"{tag};{setting}" if setting else tag


def dataset_tag(tag: str) -> str:
    """The tag of the images alone."""
    return tag.partition(";")[0]


def setting_tag(tag: str) -> str:
    """The setting that they are counted in, empty for the variant's own."""
    return tag.partition(";")[2]


def asked(need: Need, images: EvalImages) -> Need:
    """What is needed of the images of a view, by the names that the run knows."""
    return replace(need, shards=tuple(tagged(shard, images.tag) for shard in need.shards))


def wanted(claim: Claim) -> KnownDataset | None:
    """The set that a claim is about, None where it names one that is not in the table."""
    return KNOWN[IMAGENET_1K] if claim.dataset is None else known_dataset(claim.dataset)


def is_unknown(claim: Claim, images: EvalImages) -> bool:
    """Whether these are not known to be the images that the claim is about."""
    if images.own or images.sample:
        return False
    known = wanted(claim)
    return known is None or images.dataset != known.name


def are_others(claim: Claim, images: EvalImages) -> bool:
    """Whether these are known to be other images than those that the claim is about."""
    known = wanted(claim)
    kin = known is not None and images.family and images.family == known.family
    return is_unknown(claim, images) and bool(images.dataset or (images.other and not kin))


def remedy(claim: Claim, images: EvalImages) -> str:
    """What to do about images that are not known to be those of the claim."""
    known = wanted(claim) or KNOWN[IMAGENET_1K]
    give = f"the images of {known.title} as they were published"
    if known.name == IMAGENET_1K:
        give = "ImageNet's validation images under their own names (ILSVRC2012_val_...)"
    kin = bool(images.family) and images.family == known.family
    stated = f", or say {images.stating.format(known.name)} if they are of it"
    stated = "" if images.other and not kin else stated
    return f"the images {images.identity}, so they contradict nothing; give {give}{stated}"


def _chosen(evidence: Evidence, claim: Claim) -> EvalImages | NoImages:
    first, known = evidence.images, wanted(claim)
    if first is not None and first.own:
        return first
    if first is None or known is None:
        given = (
            "the images given are labelled by ImageNet's classes, and the claim is about "
            f"{claim.dataset}"
        )
        nothing = (
            f"accuracy on {claim.dataset or 'its data set'} is measured on images, and this run "
            "was given none"
        )
        none = evidence.no_images or nothing
        return NoImages("accuracy.no-data", none if first is None else given)
    return _of_known(evidence, known, (first, *evidence.more_images))


def _of_known(
    evidence: Evidence, known: KnownDataset, given: tuple[EvalImages, ...]
) -> EvalImages | NoImages:
    first = given[0]
    exact = next((each for each in given if each.dataset == known.name), None)
    if exact is not None:
        return exact
    kin = (each for each in given if each.family and each.family == known.family)
    unknown = (each for each in given if not each.dataset and not each.other)
    found = next(iter((*kin, *unknown)), None)
    if found is not None and (not known.subset or found.subset == known.subset):
        return found
    if known.name == IMAGENET_1K and len({each.digest for each in given}) == 1:
        # They are all there is: what they give is shown, unless it is another claim's affair.
        own = (wanted(each) for each in evidence.variant.claims_of(*ACCURACIES))
        if not any(each is not None and each.name == first.dataset for each in own):
            return first
    return _others_given(known, given)


def _others_given(known: KnownDataset, given: tuple[EvalImages, ...]) -> NoImages:
    """Why none of the given images are those of a set."""
    about = f"the claim is about {known.title}"
    if any(not each.dataset and not each.other for each in given):
        which = next(each for each in given if not each.dataset and not each.other)
        said = f"{about}; say {which.stating.format(known.name)} if they are of it"
        return NoImages("accuracy.unknown-dataset", f"the images {which.identity}, and {said}")
    sets = [KNOWN[each.dataset] for each in given if each.dataset]
    if known.images_of in (each.name for each in sets) and not known.subset:
        message = (
            f"{about}: ImageNet's own images, by their numbers, with other labels; put its "
            "real.json beside them, or install timm, which ships it"
        )
        return NoImages("accuracy.other-dataset", message)
    titles = [each.title for each in sets if not each.images_of]
    titles += [each.family for each in given if each.family]
    what = f"are of {' and '.join(titles)}" if titles else given[0].identity
    return NoImages("accuracy.other-dataset", f"the images given {what}, and {about}: give those")


class _Tagged(Mapping[Slot, Fact]):
    """Facts, of which the counts of one dataset stand under their names without its tag."""

    def __init__(self, facts: Mapping[Slot, Fact], tag: str) -> None:
        self.untagged, self._tag = facts, tag

    def __getitem__(self, slot: Slot) -> Fact:
        kind, which = slot
        if kind == "accuracy" and isinstance(which, str):
            slot = (kind, tagged(which, self._tag))
        return self.untagged[slot]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.untagged)

    def __len__(self) -> int:
        return len(self.untagged)


def of_source(evidence: Evidence) -> Evidence | None:
    """The evidence of a `view` with the images that its own are made of; None where none are."""
    source = None if evidence.images is None else evidence.images.made_of
    if source is None or not isinstance(evidence.facts, _Tagged):
        return None
    return replace(evidence, images=source, facts=_Tagged(evidence.facts.untagged, source.tag))


def names_several(variant: Variant) -> bool:
    return len({claim.dataset for claim in variant.claims_of(*ACCURACIES)}) > 1
