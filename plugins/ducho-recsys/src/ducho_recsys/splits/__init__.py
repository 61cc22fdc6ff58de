"""Interactions, filtered and split once, and frozen."""
