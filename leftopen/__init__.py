"""Left Open: from databases that stood open to the fixes, on real servers of your own."""

__version__ = "0.1.0"
__all__ = ["audit", "exercise", "open_case"]


def __getattr__(name: str) -> object:
    # Imported when it is first asked for, so that the command line answers at once.
    if name == "open_case":
        from leftopen.cases import open_case

        return open_case
    if name == "exercise":
        from leftopen.checks import exercise

        return exercise
    if name == "audit":
        import importlib

        return importlib.import_module("leftopen.audit")  # a module that can be called
    raise AttributeError(f"module 'leftopen' has no attribute {name!r}")
