"""Reading checkpoint files as data: one module per container, one interpreter for their pickles.

Nothing in here imports torch, and nothing in here runs what a file asks to run.
"""
