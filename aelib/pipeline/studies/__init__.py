"""Studies: a grid of settings over seeds, through dask.distributed, ending in one table.

grids      the studies as plain data: which settings change, what is read
plan       which run makes what: shared stages once, each job after those it shares with
cells      one job: a run, its stages, the numbers read from them
cluster    the jobs on a Dask cluster, local or any other
table      the numbers with spread, and paired differences with their intervals
study      all of it, from the plan to the files
"""
