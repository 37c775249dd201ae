"""An error that poisons a CUDA context costs one variant, not those after it."""

from __future__ import annotations

import card

COUNT = min(96, card.COMPARED)


def test_the_variants_after_it_are_counted(command, given):
    command.validated_index(("fine_a", "wrong", "fine_b"))
    images = given.folder("errors", COUNT)
    given_to = ("--data", images, "--device", card.DEVICE, "--fail-on", "never")
    document = command("validate", *given_to)
    counted = {each["name"]: each["measurements"]["images"] for each in document["variants"]}
    (about,) = (
        finding
        for finding in document["findings"]
        if (finding["variant"], finding["field"]) == ("wrong", "Top 1 Accuracy")
    )
    figure = ", ".join(f"{name} {images or 'none'}" for name, images in counted.items())
    held = counted == {"fine_a": COUNT, "wrong": None, "fine_b": COUNT}
    card.record("images counted beside a device-side assert", "", figure, f"{COUNT} each", held)
    card.record("what is said of it", "", about["message"][:120])
    assert held, counted
    assert about["status"] != "match"
    assert ("index" if card.ON_CPU else "device-side assert") in about["message"]
