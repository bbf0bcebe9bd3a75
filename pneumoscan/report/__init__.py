"""Pages of HTML that open from the disk, with no network: what a scan found, for people.

`page` is the shell that every page has, `worklist` chooses what is worth showing of any number of records, `pictures`
makes what is embedded of them, `render` and the files beside it are the worklist's page.
"""
