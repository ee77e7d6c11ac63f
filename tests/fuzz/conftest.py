"""Profiles of the fuzz run: few cases, the same each time, with the other tests; many by ``make fuzz``."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# What the tests share is a module beside them.
sys.path.insert(0, str(Path(__file__).parent))

_COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
}
settings.register_profile("small", max_examples=6, derandomize=True, **_COMMON)
settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ_CASES", "10")), **_COMMON)
settings.load_profile("fuzz" if "FUZZ_CASES" in os.environ else "small")
