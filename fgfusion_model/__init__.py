"""FGFusion, the foreground-guided network that fuses infrared and visible pictures (the paper's Sec. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgfusion_model.network import FGFusion, Fusion

__all__ = ["FGFusion", "Fusion"]


def __getattr__(name: str) -> Any:
    """Import the network, and torch with it, when it is asked for."""
    if name in __all__:
        from fgfusion_model import network

        return getattr(network, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
