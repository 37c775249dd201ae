"""Measure models and files: each function takes a recipe or a model, and sees no claim."""
