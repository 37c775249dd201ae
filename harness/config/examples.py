"""The examples in the help of each command."""

from __future__ import annotations

from collections.abc import Mapping

# For the help: what is written after ``zoo``, and what it does.
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("verify --all", "check everything that the index here claims"),
        ("verify 'resnet50*' --index package:torchvision --builder torchvision", "of another zoo"),
        ("-q audit model-index/", "options that every command has may come first"),
    ),
    "init": (
        ("init --from package:timm resnet50.a1_in1k", "in model-index.yml, measured"),
        ("init --builder mine --index mine.yml", "all that your own builder has"),
    ),
    "audit": (
        ("audit", "the index of this folder"),
        ("audit model-index/mine.yml docs/", "these files and folders"),
        ("audit --format github --fail-on warning", "as annotations, in a workflow"),
        ("audit --across --index package:timm --index mine.yml", "what two zoos say of the same"),
    ),
    "verify": (
        ("verify --all", "everything, on shapes alone and with the files' headers"),
        ("verify ResNeSt 'efficientnet_*' --offline", "a collection and a glob, without a network"),
        ("verify resnest50d --data imagenet/val", "the accuracy as well"),
        ("verify --all --write-baseline", "accept what is found today, and fail for what is new"),
    ),
    "validate": (
        ("validate resnest50d --data imagenet/val", "until its claims are decided"),
        ("validate --all --data val.tar --budget 2h", "all, for two hours at the most"),
    ),
    "predictions": (
        ("predictions resnest50d --data imagenet/val", "after zoo validate on the same images"),
        ("predictions resnest50d --data val --compare resnest26d", "which images differ"),
    ),
    "bench": (
        ("bench resnest50d --batch 1,8 --seconds 2", "two batch sizes, two seconds each"),
        ("bench --all --device cuda --amp fp16", "all, on the GPU, in half precision"),
    ),
    "report": (
        ("report", "the page and tables of all variants, in reports/"),
        ("report ResNeSt --output site --offline", "one collection, without a network"),
        ("report --history", "the same, and the figures of this run are kept beside it"),
        ("report --data imagenet/val --thumbnails", "with accuracies by class, and mistakes"),
    ),
    "history": (
        ("history resnest50d", "after zoo report --history: each figure, and where it moved"),
        ("history resnest50d FLOPs --format csv", "every run of one figure, for a program"),
    ),
    "diff": (
        ("diff last-night reports", "two folders that zoo report has written"),
        ("diff @HEAD~1 reports", "with the report of an earlier commit"),
        ("diff base.json head.json --format markdown", "as a comment on a pull request"),
    ),
    "fix": (
        ("fix | git apply", "correct what was measured to be wrong"),
        ("fix ResNeSt --write", "the same for one collection, written at once"),
    ),
    "fetch": (
        ("fetch resnest50d", "its weights, and where they are"),
        ("fetch --all --dry-run", "how much there is to fetch"),
    ),
    "manifest": (
        ("manifest > weights.json", "all weights of the index here, for a program"),
        ("manifest --offline --format sha256sum | sha256sum -c", "whether they are still so here"),
    ),
    "train": (
        ("train resnest50d --data pets --finetune", "from the published weights, 10 epochs"),
        ("train resnest50d --data pets --finetune --resume auto", "go on after an interrupt"),
    ),
    "docs": (
        ("docs", "the pages of the index here, in docs/models/"),
        ("docs --check", "whether they are up to date, for continuous integration"),
    ),
    "table": (
        ("table --columns variant,parameters,macs,top1", "for a README, from the store"),
        ("table ResNeSt --format latex --report reports", "for a paper, from a report"),
    ),
    "cards": (
        ("cards --output cards --report reports", "all, with the numbers of that report"),
        ("cards resnest50d --output cards", "one, with what is in the store"),
    ),
    "cite": (("cite resnest50d", "what to put into a .bib file"),),
    "classify": (
        ("classify resnest50d cat.jpg", "the five likeliest classes"),
        ("classify resnest50d photos/ --json --top 1", "a folder, for a program"),
    ),
    "features": (
        ("features resnest50d photos/ -o photos.parquet", "a row for each image"),
        ("features resnest50d photos/ -o photos.npy --stage -1", "of the last feature map"),
    ),
    "add": (
        ("add runs/net/model.pth --from resnest50d", "a new variant in runs/net/model-index.yml"),
        ("add pets.pth --from resnest50d --data pets/val --index pets.yml", "with its accuracy"),
    ),
    "dataset": (
        ("dataset imagenet/val", "which dataset it is, and what to pass for it"),
        ("dataset shards/ --format json", "the same for a program"),
    ),
    "list": (
        ("list", "every variant, with its claims in short"),
        ("list 'resnest*' --format json", "some, for a program"),
    ),
    "show": (
        ("show resnest50d", "its claims, and where each stands"),
        ("show resnest50d --profile --depth 2", "what its modules cost"),
    ),
    "explain": (("explain resnest50d FLOPs", "which counter gives the documented number"),),
    "rule": (
        ("rule flops.convention", "what this cause means"),
        ("rule", "every cause"),
    ),
    "cache": (("cache info", "where the measurements are"),),
    "cache clear": (
        ("cache clear --older-than 30d", "what is older than a month"),
        ("cache clear --kind flops --variant 'resnest*' --yes", "some, without being asked"),
    ),
}
