"""Every command of `zoo`, and the options that are its own, each once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.config import rules
from harness.config.options import PRECISIONS, Option
from harness.config.rules import ADDRESS, PATH, SWITCH, TEXT, choice, real, whole

# Each with the first sentence of its help; `harness.cli` has a function for each.
COMMANDS: Mapping[str, str] = {
    "init": "Write a first model-index, with what is measured of the variants.",
    "audit": "Check an index by itself, without building or measuring anything.",
    "verify": "Measure variants, and check what is documented against it.",
    "validate": "Measure accuracies on images, as far as it takes to decide the claims.",
    "predictions": "Show what a variant answered on images: worst classes, surest mistakes, pairs.",
    "bench": "Time forward passes: images per second, latency, peak memory; fetch no weights.",
    "report": "Write tables, Pareto plots and a page of what is in the store and what is not yet.",
    "history": "Print a variant's measured figures over time, and where they moved.",
    "diff": "Compare two reports: what changed in claims, measurements and findings, and why.",
    "fix": "Measure variants, and print corrections of their index as a unified diff.",
    "fetch": "Fetch weights into the checkpoint cache, resuming and hashing; print where they are.",
    "manifest": "List all weights with their size and SHA-256 as measured, mirrors included.",
    "train": "Train a variant by the recipe that its index states, or fine-tune its published "
    "weights.",
    "docs": "Write one page per collection from the index, and the tables of other pages.",
    "table": "Print the comparison of variants as Markdown, CSV, LaTeX or HTML.",
    "cards": "Write a model card for each variant, with what was measured, for the Hub.",
    "cite": "Print the BibTeX entry of a variant, which is its collection's as a rule.",
    "classify": "Classify images: the likeliest classes of each, with their probabilities.",
    "features": "Write one feature vector for each image to a file.",
    "add": "Measure a trained checkpoint, and write it into a model-index as a new variant.",
    "list": "List the variants of an index, with their claims in short.",
    "show": "Show everything that an index claims of a variant, and where each claim stands.",
    "explain": "Trace one claim: documented, measured, tried, and what it should say.",
    "dataset": "Say what a place with images is: which dataset, how many images, what is wrong.",
    "rule": "Say what the cause of a finding means, and what to do about it.",
    "schema": "Print the JSON Schema of a model-index, by which editors complete and check one.",
    "cache": "Show, check or empty the store of measurements.",
    "cache info": "Where the measurements are kept, how many there are, and of what kinds.",
    "cache check": "Remove what is damaged among the measurements; the next run makes it anew.",
    "cache clear": "Delete measurements, all by default; the next run makes them anew.",
}


def _one_call(name: str, help: str, field: str = "") -> Option:
    """A switch that says what one call does, which no file and no variable may decide."""
    return Option(name, SWITCH, help, False, field=field, configurable=False)


def _format(*names: str) -> Option:
    help = f"{', '.join(names[:-1])} or {names[-1]}."
    return Option("format", choice("a format here", *names), help, names[0])


def _folder(help: str, default: Path | None = None, name: str = "output") -> Option:
    return Option(name, PATH, help, default, metavar="DIR")


def _own(commands: str, *options: Option) -> list[Option]:
    """These options for each of these commands."""
    return [each.completed(command) for command in commands.split() for each in options]


_OWN = (
    *_own(
        "verify validate bench report fix fetch manifest cite list show explain table cards",
        _one_call("all", "Every variant of the index.", field="every"),
    ),
    *_own("rule", _one_call("all", "List every cause, as without one.", field="every")),
    *_own("verify fetch manifest", _one_call("dry-run", "Show the plan and stop.")),
    *_own(
        "verify",
        _folder("Write the report there as well: page, tables, plots. Default: nowhere."),
        _one_call(
            "write-baseline",
            "Accept the errors and warnings of this run: write them to the file of --baseline, "
            "or to the .yml that follows; known-findings.yml by default.",
        ),
    ),
    *_own(
        "report",
        _folder("Where to write the report.", Path("reports")),
        _one_call(
            "badge",
            "Write badge.json, for shields.io, and badge.svg as well: how many claims hold. A "
            "folder that has them gets them anew without it.",
        ),
        Option(
            "thumbnails",
            SWITCH,
            "Show the most confident mistakes on the images of --data in the page, as thumbnails "
            "of 64 pixels, ten for each variant and dataset at the most. Default: no image is in "
            "the page.",
            False,
        ),
        Option(
            "history",
            SWITCH,
            "Add the run to history.parquet in that folder (history.jsonl without pyarrow), a row "
            "for each figure that was measured, which zoo history and the page show over time. "
            "Runs that are there stay as they are.",
            False,
        ),
    ),
    *_own(
        "history",
        _folder("The folder of the report.", Path("reports"), name="report"),
        _format("table", "json", "csv"),
    ),
    *_own("audit", _one_call("across", "Compare what two or more indexes say of the same.")),
    *_own("dataset explain", _format("table", "json")),
    *_own("manifest", _format("json", "sha256sum")),
    *_own(
        "validate",
        _folder(
            "Write what each variant answered there as well, a Parquet file for each (CSV without "
            "pyarrow): image, label, the five best classes. Default: nowhere.",
            name="predictions",
        ),
    ),
    *_own("validate report", PRECISIONS),
    *_own(
        "predictions",
        Option(
            "compare",
            TEXT,
            "Another variant, or a file of zoo validate --predictions. Default: none.",
            metavar="VARIANT|FILE",
        ),
        _format("table", "json"),
    ),
    *_own("bench rule", _format("table", "json", "csv")),
    *_own(
        "diff",
        _format("table", "json", "markdown", "github"),
        Option(
            "fail-on",
            choice("a kind of change", "regression", "any", rules.NEVER),
            "Exit with 1 for a regression (a new error or warning, an accuracy or a speed that is "
            "certainly worse), for any change, or never.",
            "regression",
            metavar="CHANGE",
        ),
    ),
    *_own("list show", _format("table", "json", "csv", "concise")),
    *_own(
        "verify report",
        Option(
            "source-url",
            ADDRESS,
            "Repository that the page of --output links lines of the index to, such as "
            "https://github.com/owner/name, or a pattern with {path} and {line} in it. Default: "
            "what git calls origin, where its host is known.",
        ),
    ),
    *_own(
        "bench",
        Option(
            "batch",
            rules.BATCHES,
            "Batch sizes with commas between them; best is the one that pays most, as validations "
            "find it. Default: 1,8,32 on a CPU, 1,32,256,best on a GPU.",
            (),
            aliases=("batch-size",),
        ),
        Option("precision", rules.CAST, "Cast the model to float32, bf16 or fp16.", "float32"),
        Option("tf32", SWITCH, "Let a GPU multiply float32 with the 10 bits of TF32.", False),
        Option("memory-format", rules.LAYOUT, "channels_last or contiguous.", "channels_last"),
        Option(
            "compile-mode",
            rules.COMPILE,
            f"How --compile works, which it turns on: {', '.join(rules.COMPILE_MODES)}. It may be "
            "written behind it: --compile max-autotune. Default: default.",
        ),
        Option(
            "seconds",
            rules.duration(0.1),
            "How long to time each batch size: 5s, 1m; a plain number is seconds.",
            rules.USUAL_SECONDS,
            metavar="TIME",
        ),
    ),
    *_own(
        "fix",
        _one_call("write", "Write the files instead of printing the diff."),
        Option(
            "keep-values",
            SWITCH,
            "Let FLOPs stand, and say with which convention and input they were counted.",
            False,
        ),
    ),
    *_own(
        "table cards",
        _folder(
            "Take what was measured from the report in that folder. Default: from the store, of "
            "which the other options say what is asked for.",
            name="report",
        ),
    ),
    *_own(
        "table",
        _format("markdown", "csv", "latex", "html"),
        Option(
            "columns",
            rules.COLUMNS,
            "Columns with commas between them, in this order. Default: those of a report's table "
            "that have a value.",
            (),
        ),
    ),
    *_own(
        "cards",
        replace(_folder("Where to write: DIR/VARIANT/README.md."), required=True),
        Option(
            "report-url",
            rules.REPORT_ADDRESS,
            "Where the report can be read, as the source of the numbers. Default: the address of "
            "--report in the repository that git calls origin, where its host is known.",
        ),
    ),
    *_own(
        "docs",
        _folder("The folder of the pages.", Path("docs/models")),
        Option(
            "page",
            rules.PAGES,
            "A Markdown file whose zoo:table blocks are written as well; may be repeated. Default: "
            "README.md and the pages below docs/, here.",
            (),
            field="others",
        ),
        _one_call("check", "Write nothing; exit with 1 where a page is not up to date."),
    ),
    *_own(
        "classify features add",
        Option("batch", whole(1), "Images per pass at the most.", 32, aliases=("batch-size",)),
    ),
    *_own(
        "classify",
        Option("top", whole(1), "Classes to show for each image.", 5, aliases=("topk",)),
        Option("json", SWITCH, "Print one JSON document.", False, field="as_json"),
    ),
    *_own(
        "features",
        Option("output", PATH, "A .parquet or an .npy file.", short="o", required=True),
        Option(
            "stage",
            whole(),
            "The feature map of stage N, averaged over its pixels: 0 is the finest, -1 the "
            "last. Default: what the classifier is fed.",
        ),
    ),
    *_own(
        "train",
        Option(
            "data",
            PATH,
            "One folder of images per class; or a train and a val folder of that kind.",
            metavar="DIR",
            required=True,
        ),
        _folder(
            "The images to validate on after each epoch. Default: the val folder of --data, if "
            "there is one.",
            name="val",
        ),
        _folder("Where to write. Default: runs/VARIANT."),
        Option("finetune", SWITCH, "Begin with the published weights and a new classifier.", False),
        Option(
            "freeze",
            SWITCH,
            "Train the new classifier alone; with --finetune.",
            False,
            aliases=("freeze-backbone",),
        ),
        Option(
            "freeze-norms",
            SWITCH,
            "Keep the statistics of norms as they are.",
            False,
            aliases=("freeze-bn",),
        ),
        Option("epochs", whole(1), "Passes over the images. Default: the recipe's, or 10."),
        Option(
            "batch-size",
            whole(1),
            "Images per step, of all processes together. Default: 64 for each process.",
        ),
        Option(
            "lr",
            real(above=0),
            "The highest learning rate. Default: the recipe's, by the linear rule.",
            aliases=("learning-rate",),
        ),
        Option(
            "augment",
            choice("an augmentation", "none", "light", "crop", "auto"),
            "none, light, crop or auto. Default: the recipe's; light for fine-tuning.",
        ),
        Option("ema", SWITCH, "Validate and keep a moving average of the weights.", False),
        Option("seed", whole(0), "Of all that is random.", 0),
        Option(
            "resume",
            choice("a way to resume", "auto"),
            "Go on with the training in the output folder, if there is one. Default: begin anew.",
            metavar="auto",
            configurable=False,
        ),
        Option("max-steps", whole(1), "Stop after N optimisation steps. Default: no limit."),
        Option(
            "save-steps",
            whole(1),
            "Keep the state every N steps too. Default: every epoch, and every ten minutes.",
        ),
        Option("tensorboard", SWITCH, "Write TensorBoard's files as well (extra train).", False),
    ),
    *_own(
        "init",
        _one_call("all", "Every variant that the builder has, however many.", field="every"),
        Option(
            "from",
            choice("a package here", "package:timm", "package:torchvision", "package:mmpretrain"),
            "Whose variants they are, and who builds them: package:timm, package:torchvision or "
            "package:mmpretrain. Default: the builder's.",
            metavar="PACKAGE",
            field="origin",
            configurable=False,
        ),
        Option(
            "index", PATH, "The YAML file to write. Default: model-index.yml.", configurable=False
        ),
        Option(
            "image-size",
            rules.IMAGE_SIZE,
            "The input to count FLOPs at, and to document: 224, or 224x288 (height x width). "
            "Default: what the library states; 224 where it states none, as FLOPs Input.",
            configurable=False,
        ),
    ),
    *_own(
        "add",
        Option(
            "from",
            TEXT,
            "Whose architecture the checkpoint has. Required; those that fit are named without it.",
            metavar="VARIANT",
            aliases=("base",),
            field="base",
            configurable=False,
        ),
        Option(
            "name", TEXT, "Of the new variant. Default: the file's, less .pth.", configurable=False
        ),
        Option(
            "index",
            PATH,
            "The YAML file to write to, made where it is missing. Default: model-index.yml "
            "beside the checkpoint.",
        ),
        Option(
            "collection",
            TEXT,
            "Which collection of that file it belongs to. Default: that of --from, where the "
            "file has it.",
        ),
        Option(
            "data",
            rules.IMAGES,
            "Images to measure the accuracy on: a folder with one folder per class, or one of "
            "train and val, of which val is taken; for ImageNet's classes, what zoo verify "
            "takes. Default: none.",
        ),
        Option(
            "dataset",
            TEXT,
            "What to call these images. Default: the folder's name; of a folder called val or "
            "train, that of the one around it.",
        ),
        Option(
            "class-names",
            PATH,
            "The classes, one a line, in the order of the outputs. Default: classes.txt beside "
            "the checkpoint, else the folders of --data, sorted.",
        ),
    ),
    *_own(
        "show",
        _one_call("profile", "What each module costs, as a tree, instead."),
        Option("depth", whole(0), "Levels of the tree. Default: all.", configurable=False),
    ),
    *(
        each.completed("cache clear")
        for each in (
            Option(
                "kind",
                rules.KINDS,
                "Those of these kinds alone, as zoo cache info names them: flops,accuracy. "
                "Default: all.",
                (),
                configurable=False,
            ),
            Option(
                "variant",
                rules.NAMES,
                "Those of these variants alone: names, or quoted globs, with commas between them. "
                "Default: all.",
                (),
                metavar="VARIANT|GLOB",
                configurable=False,
            ),
            Option(
                "older-than",
                rules.AGE,
                "Those alone that were made longer ago: 30d, 12h or 90m; a plain number is days. "
                "Default: of any age.",
                configurable=False,
            ),
            replace(_one_call("yes", "Don't ask."), short="y"),
        )
    ),
)

# By the command, and then by the name.
OWN: Mapping[str, Mapping[str, Option]] = {
    command: {each.name: each for each in _OWN if each.command == command} for command in COMMANDS
}
