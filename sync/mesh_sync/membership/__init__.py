"""A node's new key: published, waited for, changed over to, and found again by the others."""
