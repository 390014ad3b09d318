"""The paper's experiments, one command each: grids of runs that can be interrupted, spread, and read beside the paper.

studies.toml  the experiments as data, which studies.py reads
grid.py       a study -> its cells
cells.py      one cell: the runs of a stack, trained and evaluated; the unit of work
prepare.py    the datasets and label sets that cells need
workers.py    cells on this machine; on_ray.py on a cluster
rows.py       what cells found, as one table
"""
