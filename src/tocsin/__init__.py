"""Tocsin: incident detection and response for Kubernetes clusters."""

__all__ = ["__version__"]

__version__ = "0.1.0"
