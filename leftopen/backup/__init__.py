"""Backups: dumped with the engine's own means, sealed with age, signed, and restored.

A dump is a folder of plain files. :func:`seal` makes one encrypted file of it, which only the owner
of the private key opens; :func:`sign_manifest` says which files there are, and who said so.
"""

from leftopen.backup.manifest import Manifest, check_manifest, sign_manifest
from leftopen.backup.mongodb import dump_mongodb, restore_mongodb
from leftopen.backup.opensearch import dump_opensearch, restore_opensearch
from leftopen.backup.postgres import dump_postgres, restore_postgres
from leftopen.backup.sealed import open_sealed, seal

__all__ = [
    "Manifest",
    "check_manifest",
    "dump_mongodb",
    "dump_opensearch",
    "dump_postgres",
    "open_sealed",
    "restore_mongodb",
    "restore_opensearch",
    "restore_postgres",
    "seal",
    "sign_manifest",
]
