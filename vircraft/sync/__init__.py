"""Put the two streams of a clip on one clock."""

from vircraft.sync.clock import Synchronisation, SyncSettings
from vircraft.sync.synchronise import synchronise

__all__ = ["SyncSettings", "Synchronisation", "synchronise"]
