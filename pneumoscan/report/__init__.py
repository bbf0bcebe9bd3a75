"""Pages of HTML that open from the disk, with no network: what a scan found, and how good it was, for people.

`page` is the shell that every page has, `worklist` chooses what is worth showing of any number of records, `pictures`
makes what is embedded of them, `worklist_page` is its page. `evaluation_page` is that of an evaluation, of which
`explorer` counts the scores, `charts` fits the plots in, and `mistakes` chooses the pictures.
"""
