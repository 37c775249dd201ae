"""Edit YAML and keep every other byte: `zoo fix`, `zoo add`, baselines, and blocks of pages.

`yaml_edit` is the one editor; the other modules say what is to be written where.
"""
