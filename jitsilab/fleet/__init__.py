"""Many captures and cases at once: `survey` reads each on a worker that is free and writes a Parquet dataset a table.

`cases` says what the paths name, `remote` brings what lies elsewhere, `times` and `rows` say what is kept of one case,
`dataset` holds the files and what is known to be done, `work` is one case on a worker, `run` hands them out over Dask.
"""

from jitsilab.fleet.run import Survey, survey

__all__ = ["Survey", "survey"]
