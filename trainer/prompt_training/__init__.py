"""How the network behind clicks and scribbles is trained: drawn cases, and a user that is simulated."""
