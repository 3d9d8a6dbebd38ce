"""Numbers of bytes, for people."""


def in_bytes(size: int) -> str:
    """A number of bytes, for people."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"
