"""`zoo schema`: the JSON Schema of a model-index."""

from __future__ import annotations

from harness.cli.options import command
from harness.cli.output import emit_json
from harness.config import RunConfig


@command()
def schema(config: RunConfig) -> None:
    """Write it to a file, and name that in the first line of an index:
    # yaml-language-server: $schema=./model-index.schema.json
    """
    from harness.docs.index_schema import index_schema

    emit_json(index_schema())
