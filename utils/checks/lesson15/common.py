"""What several exercises of lesson 15 share."""

from utils.checks.engine.compare import Tolerance

MODULES = Tolerance(absolute=1e-4, relative=1e-4)  # two layers' rounding in 32 bits, with room

LOGARITHMS = Tolerance(absolute=1e-4, relative=1e-4)
