"""Convert 8-bit colours to sRGB by their ICC profile, and lay transparent pixels on white."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from PIL import Image, ImageCms

Transform = Callable[[Image.Image], Image.Image]
MAX_PROFILE_BYTES = 4 * 2**20
"""Larger profiles are ignored. Printer profiles have up to 3 MB."""
MAX_KEPT = 16
"""Transforms in the cache, of up to 2 MB each."""
WHITE = (255, 255, 255)

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_DEVICE_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_PROBE_STEPS = (0, 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 160, 192, 224, 240, 255)
_MAX_PROBE_DIFFERENCE = 1


def srgb_transform(profile: object, mode: str) -> Transform | None:
    """Return the conversion of a mode to sRGB, or None if the profile asks for no change.

    A profile that is equivalent to sRGB asks for no change. A profile that is damaged, too large or for another colour
    mode is ignored.

    Args:
        profile: bytes of an ICC profile; anything else is ignored.
        mode: L, RGB or CMYK.
    """
    if not isinstance(profile, bytes) or not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return None
    if profile[16:20] != _SPACES.get(mode) or profile[12:16] not in _DEVICE_CLASSES or profile[36:40] != b"acsp":
        return None
    return _kept.get(profile, mode)


def flat_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return an 8-bit image as RGB, converted by its profile and laid on white; the image itself if nothing is to be done.

    Args:
        image: any Pillow mode of at most 8 bits a sample.
        profile: bytes of its ICC profile, or None.

    Raises:
        ValueError: Pillow cannot convert the mode to RGB.
    """
    whole = _with_alpha(image)
    colours = _with_colours(image) if whole is None else whole
    transform = srgb_transform(profile, colours.mode.removesuffix("A")) if profile else None
    if transform is not None:
        colours = transform(_in_mode(colours, colours.mode.removesuffix("A")))
    return on_white(colours, whole)


def on_white(colours: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """Return an image as RGB, as it looks on a white page.

    Args:
        colours: the image, in any mode that Pillow converts to RGB. Its own alpha is ignored.
        alpha: of the same size, in mode L or with an alpha band; 255 is opaque. None means opaque everywhere.
    """
    if alpha is None or _is_opaque(alpha):
        return _in_mode(colours, "RGB")
    page = Image.new("RGB", colours.size, WHITE)
    page.paste(colours if colours.mode == "RGBA" else _in_mode(colours, "RGB"), mask=alpha)
    return page


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in a mode: itself if it has the mode, where Pillow would copy 160 MB of a photo of 40 megapixels."""
    return image if image.mode == mode else image.convert(mode)


def _is_opaque(alpha: Image.Image) -> bool:
    extrema = alpha.getextrema()
    return (extrema if alpha.mode == "L" else extrema[-1]) == (255, 255)


def _with_alpha(image: Image.Image) -> Image.Image | None:
    """Return LA or RGBA, or None if the image has no alpha."""
    has_palette = image.mode != "P" or image.palette is not None  # a damaged file may lack one
    if not has_palette or not image.has_transparency_data:
        return None
    if image.mode in ("LA", "La"):
        return image if image.mode == "LA" else image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _with_colours(image: Image.Image) -> Image.Image:
    """Return L, RGB or CMYK: profiles apply to these."""
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


class _KeptTransforms:
    """Cache of the transforms used last; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transforms: OrderedDict[tuple[bytes, str], Transform | None] = OrderedDict()

    def get(self, profile: bytes, mode: str) -> Transform | None:
        key = (sha256(profile).digest(), mode)
        with self._lock:
            if key in self._transforms:
                self._transforms.move_to_end(key)
                return self._transforms[key]
        transform = _make_transform(profile, mode)  # outside the lock: this takes up to 0.1 s
        with self._lock:
            self._transforms[key] = transform
            while len(self._transforms) > MAX_KEPT:
                self._transforms.popitem(last=False)
        return transform


_kept = _KeptTransforms()


def _make_transform(profile: bytes, mode: str) -> Transform | None:
    try:
        made = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=_INTENT,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        probe = _probe(mode)
        changed = made.apply(probe)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    before, after = probe.convert("RGB").tobytes(), changed.tobytes()
    difference = max(abs(one - other) for one, other in zip(before, after, strict=True))
    return None if difference <= _MAX_PROBE_DIFFERENCE else made.apply


def _probe(mode: str) -> Image.Image:
    """Return an image with colours from all over a mode's space."""
    if mode == "L":
        return Image.frombytes("L", (256, 1), bytes(range(256)))
    steps = _PROBE_STEPS if mode == "RGB" else _PROBE_STEPS[::5]
    colours = [()]  # type: list[tuple[int, ...]]
    for _ in mode:
        colours = [(*colour, step) for colour in colours for step in steps]
    return Image.frombytes(mode, (len(colours), 1), bytes(value for colour in colours for value in colour))
