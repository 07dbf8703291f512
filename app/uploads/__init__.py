"""Uploads: multipart bodies of images, read within limits and answered image by image."""
