"""Where the window keeps its own things in the folder of a project, beside what the ledger keeps there."""

DRAFTS, DRAFT = "drafts", ".draft"
"""Folder of the masks that were not accepted, and the ending of their files."""

LARGE, ABOUT = "large", "about.json"
"""Folder of the masks of large images, and the file in each that says what it is."""
