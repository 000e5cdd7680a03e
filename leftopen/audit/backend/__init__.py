"""The checks of an HTTP service: who is answered, what is told, which tokens are accepted."""

from leftopen.audit.backend.look import Service
from leftopen.audit.backend.run import audit, beside, service

__all__ = ["Service", "audit", "beside", "service"]
