"""Valid files of the kinds that people have, each with its right content; `benchmarks.hostile` reads them all.

A module for each family: `tables`, `parts`, `photos`. Each has VARIANTS, a name and a maker for each file. A maker
writes the file (or several) into an empty folder and returns a Variant.
"""

from benchmarks.variants import parts, photos, tables
from benchmarks.variants.variant import Digits, Maker, Variant, fault_of, small_digits

__all__ = ["VARIANTS", "Digits", "Maker", "Variant", "fault_of", "small_digits"]

VARIANTS: dict[str, Maker] = {**tables.VARIANTS, **parts.VARIANTS, **photos.VARIANTS}
