"""Support sets: labelled images that a user sends."""
