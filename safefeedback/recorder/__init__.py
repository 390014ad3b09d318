"""Records behaviour of our own in the real simulator, as files in DSRL's schema.

command.py         `safefeedback collect`
collect.py         the units of work, one after another, into one file
plan.py            what is collected, and how that is written down
ppo_lagrangian.py  how a policy learns; every episode it plays is handed over
thinning.py        which episodes stay
recording.py       episodes in memory and in HDF5
bundle.py          the small files that are shipped in the package
"""
