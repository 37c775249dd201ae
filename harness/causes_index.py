"""The causes of what is wrong in the text of an index, the first rows of `harness.causes`."""

from __future__ import annotations

from zoo.index.types import Severity

# The id, the severity, the meaning, an example and the remedy: see `harness.causes.Cause`.
CauseRow = tuple[str, Severity | None, str, str, str]

INDEX_CAUSES: tuple[CauseRow, ...] = (
    (
        "schema.unreadable",
        "error",
        "A file can't be read as a model-index, so that nothing in it is checked.",
        "A bracket that is never closed, or a file that is not there",
        "Correct the place that the message names.",
    ),
    (
        "schema.duplicate-key",
        "error",
        "A mapping has the same key twice, and readers of YAML differ in which one they keep.",
        "Two `FLOPs:` lines under one `Metadata:`",
        "Delete the line that is not meant.",
    ),
    (
        "schema.duplicate-name",
        "error",
        "Two entries have the same name, so a name no longer says which one is meant.",
        "`Name: resnest50d` twice in one index",
        "Rename one of them, or delete the copy.",
    ),
    (
        "schema.wrong-type",
        "error",
        "A value is not of the kind that its field holds.",
        "`Parameters: many`",
        "Write a value of the kind that the message names.",
    ),
    (
        "schema.out-of-range",
        "error",
        "A value is of the right kind and can't be true.",
        "`Crop Pct: 8.75`, `Top 1 Accuracy: 103%`",
        "Write a value inside the range that the message names.",
    ),
    (
        "schema.missing-name",
        "error",
        "An entry has no name, so that nothing can be built or reported for it.",
        "A `Models:` entry without `Name:`",
        "Give the entry its name.",
    ),
    (
        "schema.unknown-collection",
        "error",
        "A variant says that it is in a collection which the index does not have.",
        "`In Collection: ResNest` where the collection is `ResNeSt`",
        "Write the collection's name as the collection writes it, or add the collection.",
    ),
    (
        "schema.unknown-interpolation",
        "error",
        "The interpolation is none that images are resized with.",
        "`Interpolation: bicubik`",
        "Write nearest, bilinear, bicubic, lanczos, box or hamming.",
    ),
    (
        "schema.quoted-number",
        "note",
        "A number is written as a quoted string; it is read as the number.",
        "`Crop Pct: '0.875'`",
        "Take the quotes away.",
    ),
    (
        "schema.unknown-key",
        "note",
        "The index has a key that no check reads.",
        "`Paramters:` in place of `Parameters:`, or `FLOPs(Backbone):`, which counts a part",
        "Correct the spelling if one of the known keys was meant.",
    ),
    (
        "schema.not-literal",
        "note",
        "A package makes some of its settings as it is imported; these can't be read from its "
        "source, and are not verified.",
        "A loop of timm that adds configurations to a table",
        "Nothing, or document them in an index of your own.",
    ),
    (
        "schema.fraction",
        "note",
        "An accuracy is at most one percent: a fraction or an error rate may have been written.",
        "`Top 1 Accuracy: 0.7915`",
        "Write the percentage of right answers, 79.15.",
    ),
    (
        "schema.missing-dataset",
        "note",
        "A result of a model card names no data set, so that nothing can be held against it.",
        "`metrics:` without a `dataset:` beside them",
        "Add the dataset with its name and type.",
    ),
)
