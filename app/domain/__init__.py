"""Pure rules that app and worker share."""
