import os
import traceback
from collections.abc import Callable

import pytest


@pytest.fixture
def forked() -> Callable[[Callable[[], str]], str]:
    """Run a task in a process of its own, with the modules that are loaded here, and return what it says."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")

    def run(task: Callable[[], str]) -> str:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                said = task()
            except BaseException:
                said = traceback.format_exc()
            os.write(writing, said.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return said

    return run
