"""The panel's sections: each a small widget that reads and writes the panel's state, and knows no other."""
