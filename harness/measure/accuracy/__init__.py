"""Measure accuracy: images through a model, batch by batch, and what to try where it is off."""
