"""Documents that were loaded in part: what is fetched later, and how no part is written in the
place of the whole."""
