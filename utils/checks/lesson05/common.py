"""What several exercises of lesson 05 share."""

from utils.checks.engine.compare import Tolerance

FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)
