"""A trained checkpoint as a new entry of a model-index, all of whose claims were measured here."""
