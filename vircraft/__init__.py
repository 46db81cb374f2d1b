"""Turn binocular infrared-visible video into registered, annotated datasets."""

__version__ = "0.1.0"
