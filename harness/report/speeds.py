"""What a timing depends on, in words: two of the same words can be compared, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zoo._util.text import plural


def environment_words(timing: Mapping[str, Any]) -> str:
    """The machine that made it, and how it was set: for a heading, and to tell others from it."""
    about = timing.get("environment") or {}
    host = _host(about)
    on_gpu = about.get("device") == "cuda"
    device = str(about.get("device_name") or "") if on_gpu else host
    parts = [device or str(about.get("device_name") or "")]
    if on_gpu:
        limit, capability = about.get("power_limit"), about.get("capability")
        parts[0] += f" ({capability})" * bool(capability)
        parts += [
            *_named(about, driver="driver {}", cuda="CUDA {}", cudnn="cuDNN {}"),
            f"{limit:g} W" if isinstance(limit, int | float) else "",
            "MIG" * bool(about.get("mig")),
            "cuDNN's benchmark" * bool(about.get("cudnn_benchmark")),
            f"host {host}" * bool(host),
        ]
    else:
        parts += [*_named(about, cpu_capability="{}")]
    parts += _counts(about)
    parts += [*_named(about, torch="torch {}"), str(timing.get("layout") or "")]
    parts += [f"compiled ({timing['compile']})" if timing.get("compile") else ""]
    return ", ".join(filter(None, parts))


def _host(about: Mapping[str, Any]) -> str:
    """The processor; with its numbers where its name has none, as in a virtual machine."""
    name, model = str(about.get("cpu") or ""), str(about.get("cpu_model") or "")
    known = not model or any(letter.isdigit() for letter in name)
    return name if known else f"{name} ({model})"


def _named(about: Mapping[str, Any], **patterns: str) -> Iterable[str]:
    return (pattern.format(about[key]) for key, pattern in patterns.items() if about.get(key))


def _counts(about: Mapping[str, Any]) -> Iterable[str]:
    words = {"cores": "core", "threads": "thread"}
    return (plural(about[key], word) for key, word in words.items() if about.get(key))


def precision_words(timing: Mapping[str, Any]) -> str:
    """float32, and whether in fewer bits; or a smaller type, and whether the model was cast."""
    precision, amp = timing.get("precision"), timing.get("amp")
    if precision in ("off", None):
        return "TF32" if (timing.get("environment") or {}).get("tf32") else "float32"
    return f"{precision} cast" if amp == "off" else str(precision)


def setting_words(timing: Mapping[str, Any]) -> str:
    """How the model was run: precision, layout, compilation."""
    mode = timing.get("compile")
    compiled = f"compiled ({mode})" if mode else "compiled" if timing.get("compiled") else ""
    layout = timing.get("layout")
    parts = [precision_words(timing), "" if layout == "channels_last" else layout, compiled]
    return ", ".join(map(str, filter(None, parts)))


def answer_words(timing: Mapping[str, Any]) -> str:
    """Whether what was timed answers as the plain model does; empty where nothing is known."""
    found = timing.get("agreement")
    if not found:
        return ""
    return f"{found['same']}/{found['images']}"
