"""The service: a page and an HTTP API that inspect what is uploaded, one file after the other.

Uploads are received (`uploads`) and looked at by a process of its own (`probe`), wait in an embedded database
(`store`) and are inspected by one thread (`worker`). `guard` stands before all of it, `api` and `pages` are what is
seen from outside, `app` puts them together, `run` listens.
"""
