"""What Ducho's torch plugins share: devices, precision, layers in one pass."""

__version__ = "3.0.0a1"
