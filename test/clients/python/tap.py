"""Operations, run in the order in which they are written; one line of output for each."""

import traceback

_operations = []


def operation(name):
    """Registers a function as an operation."""

    def register(function):
        _operations.append((name, function))
        return function

    return register


def run_all():
    """Runs all operations; a failed one does not stop the rest. Returns how many failed."""
    failed = 0
    print(f"1..{len(_operations)}")
    for name, function in _operations:
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception as error:  # whatever went wrong is the result
            failed += 1
            where = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in where if frame.filename.endswith("operations.py")]
            line = f" (line {ours[-1].lineno})" if ours else ""
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"not ok {name}: {why}{line}", flush=True)
    return failed


def equal(actual, expected):
    """Fails unless both are the same."""
    if actual != expected:
        raise AssertionError(f"{actual!r} instead of {expected!r}")


def holds(condition, what):
    """Fails unless the condition is true."""
    if not condition:
        raise AssertionError(what)
