"""Checkpoints: find, download, verify and load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from zoo.index.types import Variant
    from zoo.weights.types import DownloadProgress


def fetch_weights(name: str) -> Path:
    """The checkpoint of a variant as a file on this machine, fetched where it is not here yet.

    Which file it is says the index that ships in the package, never one of the working folder.

    Raises:
        WeightsError: the index lists no weights for that name, or they can't be had whole.
    """
    from zoo.index import load_index, package_index

    variant = next((v for v in load_index([package_index()]).variants if v.name == name), None)
    if variant is None:
        raise WeightsError(f"the index of this package lists no weights for {name}", "")
    return variant_weights(variant)


def variant_weights(
    variant: Variant,
    *,
    offline: bool = False,
    allow_http: bool = False,
    allow_local: bool = False,
    public_hosts_only: bool = False,
    max_bytes: int | None = None,
    progress: DownloadProgress | None = None,
) -> Path:
    """The checkpoint that a variant's entry names, as `fetch_weights` gives it.

    The file's hash is that of its name, where the name has one, and the one that the index
    states, where it states one. A relative path starts at the folder of the entry's index.

    Args:
        variant: an entry of any index.
        offline: make no request; use the cache alone.
        allow_http: plain http from any host, not only from this machine.
        allow_local: a file outside the index's own folder.
        public_hosts_only: reach no host of this machine, or of a private network.
        max_bytes: a download is cut off there.
        progress: reports the download.

    Raises:
        WeightsError: the entry names no weights, or they can't be had whole.
    """
    from pathlib import Path

    from zoo.weights.fetch import fetch_all
    from zoo.weights.sources import file_name, locate, name_hash
    from zoo.weights.types import DEFAULT_MAX_BYTES, DownloadProgress, Fetched, NotFetched

    name = variant.name
    claim = variant.claim("Weights")
    if claim is None or not isinstance(claim.value, str):
        raise WeightsError(f"the index lists no weights for {name}", "")
    if len(list(variant.claims_of("Weights"))) > 1:
        why = "the index lists several files, and which of them holds the model is not stated"
        raise WeightsError(f"no weights for {name}: {why}", "")
    stated = variant.claim("SHA256")
    refused: list[WeightsError] = []
    # The mirrors, in order, where the file itself can't be had or is another one.
    for place in (claim, *variant.claims_of("Mirrors")):
        if not isinstance(place.value, str):
            continue
        source = locate(
            place.value,
            index_dir=Path(place.location.file).parent,
            allow_http=allow_http,
            allow_local=allow_local,
        )
        outcome = fetch_all(
            [source],
            offline=offline,
            public_hosts_only=public_hosts_only,
            max_bytes=max_bytes or DEFAULT_MAX_BYTES,
            progress=progress or DownloadProgress(),
        )[source]
        if isinstance(outcome, NotFetched):
            refused.append(WeightsError(f"no weights for {name}: {outcome.why}", outcome.cause))
            continue
        assert isinstance(outcome, Fetched)
        assert not isinstance(source, NotFetched)
        # A fetched file is what its name says; one of this machine was only hashed. A mirror may
        # be called otherwise.
        said = (
            ("its name says", name_hash(source.name)),
            ("the name of the file says", name_hash(file_name(claim.value))),
            ("the index states", None if stated is None else stated.value),
        )
        wrong = (
            f"{outcome.path} has the SHA-256 {outcome.sha256}, and {who} {digits}"
            for who, digits in said
            if isinstance(digits, str) and not outcome.sha256.startswith(digits)
        )
        other = next(wrong, None)
        if other is None:
            return outcome.path
        refused.append(WeightsError(f"no weights for {name}: {other}", "weights.hash-mismatch"))
    raise refused[0]


def load_pretrained(model: nn.Module, name: str) -> None:
    """Loads a variant's published weights into a model of its architecture.

    The file is verified before any of it is loaded: its hash, that it holds tensors alone, and
    that they are this model's.

    Raises:
        WeightsError: the file can't be had.
        zoo.errors.CheckpointError: it is not what it should be.
    """
    from zoo.weights.load import load_into

    load_into(model, fetch_weights(name))
