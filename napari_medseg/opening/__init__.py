"""Files and folders brought into the window."""
