"""Read images as they are meant: every kind of pixels becomes the same 8-bit sRGB, or is refused by its kind."""
