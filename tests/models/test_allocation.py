import json
import subprocess
import sys

import pytest

FREED = """
import json, sys
import numpy as np, psutil
from napari_medseg.models.allocation import give_back, keep_freed

def left_of(count, size):
    '''How many of the bytes of freed blocks the process still holds.'''
    process = psutil.Process()
    before = process.memory_info().rss
    blocks = [np.ones(size, np.uint8) for _ in range(count)]
    held = process.memory_info().rss - before
    assert held > 0.9 * count * size, held
    del blocks
    return max(0, process.memory_info().rss - before) / (count * size)

keep_freed()
found = {"large": left_of(4, 12_000_000)}
found["kept"] = left_of(8, 4_000_000)

process = psutil.Process()
blocks = [np.ones(100_000, np.uint8) for _ in range(400)]
held = process.memory_info().rss
del blocks[::2]  # holes between blocks in use
give_back()
found["holes given back"] = (held - process.memory_info().rss) / (200 * 100_000)
print(json.dumps(found))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_maps_of_a_network_are_kept_for_the_next_ones_but_the_largest_and_holes_go_back() -> None:
    ran = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["kept"] > 0.9
    assert found["large"] < 0.1
    assert found["holes given back"] > 0.8
