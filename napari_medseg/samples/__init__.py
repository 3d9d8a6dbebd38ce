"""Sample images that come with the package; LICENSES.md beside them says whose they are."""
