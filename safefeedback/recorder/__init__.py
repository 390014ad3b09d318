"""Records behaviour of our own in the real simulator, as files in DSRL's schema.

collect.py         the units of work, one after another, into one file
plan.py            the settings of a collection, and its attributes
ppo_lagrangian.py  trains a policy and passes on every episode that it plays
script.py          which tasks are played by a script instead
driver.py          the scripted driver of MetaDrive's tasks, and an episode by it
walker.py          the scripted ant of AntCircle, and an episode by it; gait.py how it walks, gait_search.py how that was found
scripted.py        a collection of such episodes
thinning.py        selects the episodes to keep
recording.py       episodes in memory and in HDF5
bundle.py          the small files that are shipped in the package
"""
