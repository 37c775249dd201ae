"""Helpers without a topic of their own."""
