"""The auditor's eye for cryptography: what ciphertexts, keys and copies say of themselves.

``ciphertext``, ``encodings``, ``keys`` and ``search`` are pure functions, for the checks of
exercises too; nothing here opens a connection.
"""
