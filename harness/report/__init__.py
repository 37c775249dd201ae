"""Reports for a reader: one module per output format, and nothing is judged here."""

from __future__ import annotations

from harness.report.options import Format, Options
from harness.report.registry import UnknownFormatError, formats, get_format

__all__ = ["Format", "Options", "UnknownFormatError", "formats", "get_format"]
