"""The auditor: ``audit(lab)`` looks at a server and says what it found, and what it could not see.

It only looks: nothing is written to the server. Of an HTTP service it also tries a few wrong
logins, of an account that does not exist, and tokens that it forged from the given one.
``report = audit(server, ...)`` takes:

    server          a lab, or an address on this machine, as "mongodb://127.0.0.1:27017",
                    "https://127.0.0.1:9200" or "postgresql://127.0.0.1:5432"
    backend         an HTTP service, as "http://127.0.0.1:8000", alone or beside its database; that
                    of a lab is looked at by itself
    dump            a folder with a dump or a backup, which is read; given alone
    token           a bearer token of that service, of somebody with few rights
    user, password  an administrator's login; without one, some checks cannot look. In a
                    PostgreSQL lab the operator's own way in stands in for it
    auth_source     the database in which that account is; "admin" unless told
    client_uri      the address that an application uses; it is read, and never connected to
    client_options  what it says to its driver besides, as {"verify_certs": False}; read alone
    ca              a PEM file: the authority that the server's certificate must lead to
    cert            a PEM file: a client's certificate, with its key in it or in key; for
                    OpenSearch the admin certificate, which stands in for a login
    key             a PEM file: the key of that certificate; of a service alone, what signs tokens
    config          a configuration file of a search cluster, opensearch.yml or elasticsearch.yml;
                    of a service alone, its OpenAPI description
    administrators  further accounts that people administer with
    wanted          addresses beyond loopback at which the server is meant to listen; paths that a
                    service is meant to answer for everyone

The report shows itself. Its parts are report.findings, .not_looked, .passed, .left_out and
.blind_spots; report.table() is a data frame. ``from leftopen import audit`` gives this module,
which can be called.
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
