"""What dsi costs, measured against floors: the same thing done by hand, in turn, in one run. `./run bench` runs it."""
