"""Floor 2: anything that answers. `load_system` turns a name into a system; `Scripted` is the public double."""

from gearsy.systems.registry import describe_systems, load_system
from gearsy.systems.scripted import Scripted

__all__ = ["Scripted", "describe_systems", "load_system"]
