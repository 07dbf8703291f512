"""The bundled backbone and the recipe that trained it."""
