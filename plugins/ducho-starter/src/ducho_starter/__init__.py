"""Ducho with small pretrained models that come inside wheels: features without a hub."""

__version__ = "3.0.0a1"
