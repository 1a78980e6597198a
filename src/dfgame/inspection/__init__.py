"""Pictures and videos -> verdicts that say how sure they are, and why they are not.

Reader processes decode files and find faces (`readers`), this one scores them (`pipeline`), and what they say is
judged (`judge`) by the error rates the detector had on faces like them (`conditions`).
"""
