"""Licenses by their ids, usual names and addresses."""

from __future__ import annotations

import re
import subprocess
import sys

from zoo.licenses import FAMILY, read_license, states_none

SAME = {
    "Apache-2.0": "Apache 2.0|apache-2.0|Apache License 2.0|Apache License, Version 2.0|APACHE2.0"
    "|Apache-2|the Apache Software License v2.0|ASL 2.0|https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "mit|MIT License|The MIT License (MIT)|Expat MIT|https://opensource.org/licenses/MIT",
    "BSD-3-Clause": 'BSD-3|3-Clause BSD|New BSD|BSD 3-Clause "New" or "Revised" License',
    "CC-BY-NC-4.0": "CC-BY-NC 4.0|cc-by-nc-4.0|CC BY-NC 4.0 International"
    "|Creative Commons Attribution-NonCommercial 4.0"
    "|https://creativecommons.org/licenses/by-nc/4.0/",
    "CC0-1.0": "CC0|cc0-1.0|CC0 1.0 Universal|https://creativecommons.org/publicdomain/zero/1.0/",
    "GPL-3.0-or-later": "GPLv3+|GPL-3.0-or-later|GNU General Public License v3 or later",
    "AGPL-3.0": "AGPLv3|agpl-3.0|GNU Affero General Public License v3.0",
    "MPL-2.0": "MPL 2.0|Mozilla Public License 2.0",
    "MIT OR Apache-2.0": "mit or apache-2.0|MIT / Apache 2.0|MIT OR Apache License 2.0",
    "Apache-2.0 AND CC-BY-NC-4.0": "Apache-2.0 (code), CC-BY-NC-4.0 (weights)",
    "LicenseRef-dinov3-license": "dinov3-license",
    "LicenseRef-gemma": "gemma",
    "GPL-3.0": "GNU GPLv3|https://www.gnu.org/licenses/gpl-3.0.en.html",
    "CC-BY-4.0": "Creative Commons Attribution 4.0 International Public License",
    "PolyForm-Noncommercial-1.0.0": "PolyForm Noncommercial 1.0.0",
    "LicenseRef-creativeml-openrail-m": "CreativeML OpenRAIL-M",
    "LicenseRef-llama3.1": "Llama 3.1 Community License",
    "LicenseRef-fair-noncommercial-research-license": "FAIR Noncommercial Research License",
    "LicenseRef-Style-2": "DocumentRef-spdx-1.2:LicenseRef-Style-2",
}
NO_ID = ("proprietary", "Aapche 2.0", "see the repository", "LICENSE", "x" * 5000, "AND",
         "https://example.org/LICENSE", "\x00", "MIT License agreement of our own")  # fmt: skip


def test_usual_spellings_are_one_expression():
    for expression, spellings in SAME.items():
        for text in (expression, *spellings.split("|")):
            assert getattr(read_license(text), "expression", None) == expression, text


def test_what_names_no_license_is_none_and_a_family_is_known():
    assert [text for text in NO_ID if read_license(text) is not None] == []
    assert [t for t in ("other", "openrail", "bsd", "cc", "gpl") if read_license(t) != FAMILY] == []
    assert all(map(states_none, ("unknown", "", "N/A", "tbd", "NOASSERTION")))
    assert not states_none("other")


def test_every_id_that_spdx_lists_is_itself():
    from packaging.licenses import _spdx

    for row in _spdx.LICENSES.values():
        found = read_license(row["id"])
        assert getattr(found, "expression", None) == row["id"]


def test_licenses_contradict_where_they_have_nothing_in_common():
    for one, other, contradicts in (
        ("MIT", "Apache-2.0", True),
        ("cc-by-4.0", "cc-by-nc-4.0", True),
        ("dinov3-license", "mit", True),
        ("MIT OR Apache-2.0", "apache-2.0", False),
        ("GPL-3.0", "GPL-3.0-or-later", False),
        ("bsd", "BSD-3-Clause", False),
        ("other", "MIT", False),
        ("LicenseRef-DINOv3", "dinov3-license", False),  # a coined name may be the same one's
        ("LicenseRef-Own", "MIT", True),
        ("gemma", "llama3.1", True),
        ("seer-license", "mobileone-license", True),
    ):
        assert read_license(one).contradicts(read_license(other)) is contradicts, (one, other)
        assert read_license(other).contradicts(read_license(one)) is contradicts, (other, one)


def test_the_list_of_licenses_is_loaded_where_one_is_read():
    code = "import sys, zoo.licenses; print([m for m in sys.modules if 'packaging' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\]\s*", done.stdout)
