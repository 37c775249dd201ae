"""Check claims against facts: each check takes `Evidence` and yields findings; none measures."""
