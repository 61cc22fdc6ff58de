"""Image features from any timm model, for Ducho."""

__version__ = "3.0.0a1"
