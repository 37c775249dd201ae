"""What it takes to verify a hundred Hub checkpoints by their headers, against a local server.

    python tests/benchmarks/headers.py [--count 100] [--delay 0.05]

The server answers as the Hub does, and each answer takes ``--delay`` seconds. The checkpoints are
those of the models of this zoo below 50 MB, so that the share of the headers is that of small
models, which is the largest. Goals: at most 2 % of the bytes of a download, at most 8 requests at a
time. A second run of the same is printed beside, and the load of the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))

SHARE_GOAL, AT_A_TIME_GOAL = 0.02, 8
MODELS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "resnest14d")


def main() -> None:
    """Make the checkpoints, serve them, and print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.05)
    options = parser.parse_args()

    from hub_server import hub_running
    from safetensors.torch import save

    import zoo
    from zoo.weights.cache import Cache
    from zoo.weights.fetch import Fetcher
    from zoo.weights.load import examine_header
    from zoo.weights.sources import locate
    from zoo.weights.types import ServerFile

    models = [zoo.create_model(name) for name in MODELS]
    files = [save({k: v.contiguous() for k, v in m.state_dict().items()}) for m in models]
    with hub_running() as hub, tempfile.TemporaryDirectory() as folder:
        os.environ["HF_ENDPOINT"] = hub.endpoint
        hub.slow = options.delay
        for i in range(options.count):
            hub.add(f"org/net{i}", "model.safetensors", files[i % len(files)])
        whole = sum(map(len, hub.files.values()))
        print(f"load {os.getloadavg()[0]:.1f}; {options.count} checkpoints, {whole / 1e6:,.0f} MB")
        sources = [locate(f"hf-hub:org/net{i}", index_dir=None) for i in range(options.count)]
        for turn in ("first", "second"):
            hub.hits.clear()
            hub.sent, hub.most, begun = 0, 0, time.perf_counter()
            with Fetcher(cache=Cache(Path(folder)), headers=True, workers=8) as fetcher:
                outcomes = dict(fetcher.fetch(sources))
            seconds = time.perf_counter() - begun
            fit = 0
            for i, source in enumerate(sources):
                outcome = outcomes[source]
                if isinstance(outcome, ServerFile) and outcome.header is not None:
                    found = examine_header(models[i % len(models)], outcome.header)
                    fit += found.match is not None and found.match.fits
            print(
                f"{turn} run: {fit} of {options.count} hold their model's tensors; "
                f"{hub.sent:,} bytes read, {hub.sent / whole:.2%} (goal {SHARE_GOAL:.0%}); "
                f"{len(hub.hits)} requests, {hub.most} at a time (goal {AT_A_TIME_GOAL}); "
                f"{seconds:.1f} s"
            )


if __name__ == "__main__":
    main()
