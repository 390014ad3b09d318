"""Reports: a study's results beside the paper's numbers, and any runs beside one another.

paper.json     the paper's numbers and its known inconsistencies
paper.py       to look them up
tables.py      rows of episodes -> the paper's table, ours and theirs
statistics.py  interquartile means and their intervals
figures.py     ratio of safe agents, reward against cost, sweeps, learning curves
markdown.py, latex.py, page.py   the report as text, for a paper, and to look at
"""
