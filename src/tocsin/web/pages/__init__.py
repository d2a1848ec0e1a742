"""The pages: each module reads, makes what its template shows, and names its `PAGES`."""
