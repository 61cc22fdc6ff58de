"""Ducho with small pretrained models that come inside wheels: real features without a model hub."""

__version__ = "3.0.0a1"
