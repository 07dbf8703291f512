"""Sample episodes, run methods on them, and report accuracy."""
