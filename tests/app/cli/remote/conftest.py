"""Give tests of `vtt remote` a real application over HTTP, and photos to send."""

from tests.vtt_client.conftest import api, make_api, photos, settings, url

__all__ = ["api", "make_api", "photos", "settings", "url"]
