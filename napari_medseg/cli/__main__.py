"""`python -m napari_medseg.cli` is `medseg`."""

from . import main

main()
