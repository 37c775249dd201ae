"""Documentation from the source of truth: pages, citations and the reference of the command.

Pages are made of an index's claims alone: nothing is built or measured for them, and neither dates
nor facts of a machine get into them, so that the same index always gives the same bytes.
"""
