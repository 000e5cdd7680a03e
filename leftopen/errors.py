"""The errors of this package: each message names the cause and the next step."""


class LeftOpenError(Exception):
    """Base of every error that this package raises on purpose."""


class NotLoopback(LeftOpenError):
    """An address outside this machine was asked for."""


class EngineMissing(LeftOpenError):
    """A database server is not installed; the message carries the command that brings it."""


class EngineFailed(LeftOpenError):
    """A server could not be started, or stopped by itself."""


class ConfigRefused(LeftOpenError):
    """A configuration was refused; the lab still runs with its last good one."""


class DataError(LeftOpenError):
    """Data could not be made, read or written."""
