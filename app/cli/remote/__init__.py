"""Commands that talk to a running service, one file per kind of resource."""
