"""Text and image features from Hugging Face models, for Ducho."""

__version__ = "3.0.0a1"
