"""The VtT method: no web, no queue, no database, no environment, no clock."""
