"""The auditor: ``audit(lab)`` looks at a server and says what it found, and what it could not see.

It only looks: nothing is written to the server. This module can be called, so that
``from leftopen import audit`` gives the auditor while ``leftopen.audit`` stays a package.
"""

import sys
import types
from functools import wraps

from leftopen.audit.report import Finding, NotLooked, Report, Severity
from leftopen.audit.run import run

__all__ = ["Finding", "NotLooked", "Report", "Severity", "run"]


class _CallableModule(types.ModuleType):
    @wraps(run)
    def __call__(self, *args: object, **options: object) -> Report:
        return run(*args, **options)


sys.modules[__name__].__class__ = _CallableModule
