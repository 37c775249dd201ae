"""The causes of what is wrong in the text of an index, and at the ends of a model: rows of
`harness.causes`.
"""

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
    (
        "license.missing",
        "note",
        "Variants with weights state no license, or say that it is not known. They are counted in "
        "one note.",
        "An entry without `License`, or with `License: unknown`",
        "Write the license of the weights, of a collection or of a variant.",
    ),
    (
        "license.unknown",
        "note",
        "The license is no expression of SPDX's ids, no id of the Hub, and no usual name of one.",
        "`License: Aapche 2.0`, `License: see the repository`",
        "Write an SPDX id such as Apache-2.0, or LicenseRef-NAME for a license of its own.",
    ),
    (
        "license.contradicted",
        "warning",
        "One variant, or one weights file, stands under licenses that have nothing in common: in "
        "two entries, in its card, or in what its builder states.",
        "`License: MIT` of weights that timm states to be cc-by-nc-4.0",
        "Correct the one that is wrong.",
    ),
    (
        "links.form",
        "warning",
        "A link is no address that could be asked for.",
        "`README: htps://example.org/README.md`, `Paper: www.example.org/paper`",
        "Correct the address.",
    ),
    (
        "links.site-gone",
        "note",
        "A link leads to a site that has closed: none of its pages is there any more.",
        "`URL: https://paperswithcode.com/paper/resnest-split-attention-networks`",
        "Write the address of the page itself, such as the paper's on arXiv.",
    ),
    (
        "links.missing",
        "warning",
        "The server of a link says that there is no such page (404, 410; with `--links`), or the "
        "commit that it names, which is in the repository here, has no such file.",
        "`Code: https://github.com/owner/name/blob/main/models.py` after the file was renamed",
        "Write the address that it has now, best with the commit in it.",
    ),
    (
        "links.anchor",
        "warning",
        "The line of a link is not in the file, at the commit that the link names, or is in the "
        "function of another variant.",
        "`Code: https://github.com/owner/name/blob/1a2b3c4/models.py#L900` of 300 lines",
        "Correct the line.",
    ),
    (
        "links.unreachable",
        None,
        "Whether the page is there could not be seen: no answer, one that is neither yes nor no, "
        "or no network wanted.",
        "A timeout, a 403 or a 429, a certificate that is not valid, `--offline`",
        "Try again later, or open it in a browser.",
    ),
)

MODEL_CAUSES: tuple[CauseRow, ...] = (
    (
        "interface.missing-module",
        "error",
        "The model has no module of the path that is named as its classifier or its first "
        "convolution, so that who changes classes or channels by it fails.",
        "`Classifier: head.fc` for a model whose classifier is `fc`",
        "Write the path of the module as the built model has it.",
    ),
    (
        "interface.outputs",
        "error",
        "Another number of outputs or of input channels than documented.",
        "`Outputs: 1000` for a model of 21,841 classes",
        "Write the measured number.",
    ),
    (
        "interface.size",
        "error",
        "The model does not run at a size that is documented for it.",
        "`Test Image Size: 288` for a model whose windows do not divide it",
        "Write a size that it runs at, or `Sizes: fixed`.",
    ),
    (
        "interface.sizes",
        "warning",
        "The model takes no images of other sizes although its sizes are not said to be fixed; a "
        "note where it does although they are.",
        "`Sizes: any` for a vision transformer that checks its input",
        "Correct `Sizes`.",
    ),
    (
        "interface.pool-size",
        "warning",
        "The features that are pooled have another height and width than documented.",
        "`Pool Size: 7` for a model that pools 8x8 features",
        "Write the measured size.",
    ),
    (
        "parameters.tags-differ",
        "warning",
        "Two checkpoints of one architecture, with the same outputs and input, are built with "
        "different numbers of parameters.",
        "`resnet50.a` and `resnet50.b` where one is built with another stem",
        "Correct the builder, or name the architectures apart.",
    ),
    (
        "interface.unknown",
        None,
        "Nothing in the built model tells what was documented of its input or output.",
        "`Pool Size` for a model that takes a mean",
        "Nothing: it is said so that it is not taken for verified.",
    ),
    (
        "weights.shared-settings",
        "error",
        "One checkpoint stands under two names with another mean, standard deviation or number of "
        "outputs: one file can't have both.",
        "Two entries of one URL, one normalised as ImageNet and one by 0.5",
        "Correct the entry that is wrong.",
    ),
    (
        "across.contradicted",
        "error",
        "Two zoos document one checkpoint differently, in what one file can have no two of: its "
        "parameters, its size, its normalisation, or an accuracy under the same settings; a "
        "warning where one of them leaves the settings of an accuracy open.",
        "One URL in two indexes, with `Parameters: 25.56M` and `Parameters: 26.1M`",
        "Measure it with zoo verify, and correct the zoo that is wrong.",
    ),
    (
        "across.architecture",
        "warning",
        "Two zoos document other parameters, or other FLOPs of one convention and input, for "
        "architectures of one name: a number is wrong, or one name stands for two networks.",
        "`inception_v3` with 23.8M parameters, and with 27.2M where auxiliary classifiers count",
        "Compare the two models; correct the number, or say on the page what the other one is.",
    ),
    (
        "across.differs",
        "note",
        "Two zoos say other things of one checkpoint or architecture, and both may be right: "
        "another size, crop or interpolation to evaluate at, another way to count.",
        "One checkpoint evaluated with `Crop Pct: 0.875` here and `Crop Pct: 0.95` there",
        "Nothing, if both are meant.",
    ),
    (
        "activations.differs",
        "error",
        "The documented activations are not those of the model, under any usual way to count them; "
        "a warning where they are those of its deployed form.",
        "`Activations: 1M` for a ResNet-50 at 224x224, which has 11.11M",
        "Write the measured number, or say beside it what it is of.",
    ),
)
