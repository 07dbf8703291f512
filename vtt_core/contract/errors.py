"""Errors of the method, shared by app and worker.

VttError
├── InputError (also a ValueError)        something the caller sent
│   ├── ImageError                        one image
│   │   ├── EmptyFileError                image.empty
│   │   ├── NotAnImageError               image.not_an_image
│   │   ├── UnsupportedKindError          image.unsupported_kind
│   │   ├── TruncatedImageError           image.truncated
│   │   ├── AnimatedImageError            image.animated
│   │   ├── ImageTooManyBytesError        image.too_many_bytes
│   │   ├── ImageDimensionsError          image.bad_dimensions
│   │   ├── ImageTooComplexError          image.too_complex
│   │   ├── FormatPackageMissingError     image.missing_package
│   │   └── MetadataNotRemovableError     image.metadata_not_removable
│   ├── ArchiveError                      a zip or folder of classes
│   │   ├── SourcePathError               archive.bad_source
│   │   ├── NotAZipError                  archive.not_a_zip
│   │   ├── NotAFileError                 archive.not_a_file
│   │   ├── UnsafePathError               archive.unsafe_path
│   │   ├── UnknownEncodingError          archive.unknown_encoding
│   │   ├── UnsupportedMethodError        archive.unsupported_method
│   │   ├── ArchiveTooLargeError          archive.too_large
│   │   └── ArchiveLayoutError            archive.bad_layout
│   ├── SupportSetError                   the labelled images together
│   │   ├── TooFewClassesError            support_set.too_few_classes
│   │   ├── TooManyClassesError           support_set.too_many_classes
│   │   ├── EmptyClassError               support_set.empty_class
│   │   ├── TooFewShotsError              support_set.too_few_shots
│   │   ├── TooManyShotsError             support_set.too_many_shots
│   │   ├── BadLabelError                 support_set.bad_label
│   │   ├── SameTokensError               support_set.same_tokens
│   │   ├── DuplicateImageError           support_set.duplicate_image
│   │   ├── ConflictingLabelsError        support_set.conflicting_labels
│   │   └── SeveralProblemsError          support_set.several_problems
│   ├── UnknownClassesError               evaluation.unknown_classes: a model knows none of the classes of its query images
│   ├── GroupsError                       groups.invalid: groups of images, such as patients
│   ├── BandsError                        bands.invalid: which bands of an image are shown
│   ├── DatasetError                      a public data set on disk
│   │   ├── UnknownDatasetError           dataset.unknown
│   │   ├── DatasetLayoutError            dataset.bad_layout
│   │   ├── DatasetFileError              dataset.bad_file
│   │   └── MissingPackageError           dataset.missing_package
│   ├── UnknownRowError                   reproduce.unknown_row
│   ├── MissingRequirementError           reproduce.missing
│   ├── RecipeError                       recipe.invalid
│   ├── UnknownBackboneError              backbone.unknown
│   ├── UnsupportedBackboneError          backbone.unsupported
│   ├── LayerMismatchError                backbone.layer_mismatch
│   ├── PromptError                       prompt.invalid
│   ├── CheckpointMismatchError           checkpoint.mismatch
│   ├── AdapterFormatError                adapter.bad_format
│   ├── ExportError                       the export of an adapter
│   │   ├── UnsupportedExportError        export.unsupported
│   │   ├── ExportExistsError             export.exists
│   │   └── MissingExportPackageError     export.missing_package
│   └── BackboneMismatchError             adapter.backbone_mismatch
├── BackboneUnavailableError              backbone.unavailable: known, but its weights are out of reach
└── VerificationError                     adapter.verification_failed: the written adapter differs from the trained one
"""

from __future__ import annotations

from reprlib import Repr
from typing import ClassVar


def shown(value: object) -> str:
    """Return a short repr of a value that somebody sent, however long or deeply nested it is."""
    return _SHORT.repr(value)


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


class VttError(Exception):
    """An error that says what was expected, what came instead, and what to do about it.

    Args:
        expected: what would have been right, as a phrase.
        got: what came instead, user values with `!r`.
        remedy: what to do now, as an imperative sentence without its full stop.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{self.title}: expected {expected}, got {got}. {remedy}.")
        self.expected = expected
        self.got = got
        self.remedy = remedy


class InputError(VttError, ValueError):
    """Something that the caller sent is wrong; sending it again unchanged fails again."""

    code = "input.invalid"
    title = "Invalid input"


class ImageError(InputError):
    """One image cannot be used; the others are not touched by it."""

    code = "image.invalid"
    title = "Unusable image"


class EmptyFileError(ImageError):
    """The file holds no bytes."""

    code = "image.empty"
    title = "Empty file"


class NotAnImageError(ImageError):
    """No decoder knows the bytes."""

    code = "image.not_an_image"
    title = "Not a readable image"


class UnsupportedKindError(ImageError):
    """The file is intact and its format is known, but its kind of pixels is not supported."""

    code = "image.unsupported_kind"
    title = "Unsupported kind of image"


class TruncatedImageError(ImageError):
    """The header is that of an image, but the pixels are truncated or damaged."""

    code = "image.truncated"
    title = "Truncated or damaged image"


class AnimatedImageError(ImageError):
    """The file holds several frames, and which one is meant is unknown."""

    code = "image.animated"
    title = "Animated image"


class ImageTooManyBytesError(ImageError):
    """The encoded file is larger than the limit."""

    code = "image.too_many_bytes"
    title = "Image file too large"


class ImageDimensionsError(ImageError):
    """Width, height, their product or their ratio is outside the limits."""

    code = "image.bad_dimensions"
    title = "Image dimensions outside the limits"


class ImageTooComplexError(ImageError):
    """Decoding it would take far more time or memory than an image of this size should."""

    code = "image.too_complex"
    title = "Image too complex"


class FormatPackageMissingError(ImageError):
    """Reading this format needs a package that is not installed."""

    code = "image.missing_package"
    title = "Package for this format missing"


class MetadataNotRemovableError(ImageError):
    """Its metadata cannot be removed without loss, and images are never stored with metadata."""

    code = "image.metadata_not_removable"
    title = "Metadata cannot be removed"


class ArchiveError(InputError):
    """A zip or folder cannot be read as one folder a class."""

    code = "archive.invalid"
    title = "Unusable archive"


class SourcePathError(ArchiveError):
    """The path is neither a folder nor a zip that can be read."""

    code = "archive.bad_source"
    title = "Cannot read the folder or zip"


class NotAZipError(ArchiveError):
    """The bytes are no zip file, or a damaged one."""

    code = "archive.not_a_zip"
    title = "Not a zip file"


class NotAFileError(ArchiveError):
    """An entry is a link, a pipe or a device."""

    code = "archive.not_a_file"
    title = "Not an ordinary file or folder"


class UnsafePathError(ArchiveError):
    """The path of an entry leads outside the zip, or means another path on other systems."""

    code = "archive.unsafe_path"
    title = "Unsafe path in the archive"


class UnknownEncodingError(ArchiveError):
    """The name of a class folder is in an unknown encoding, so its label would be a guess."""

    code = "archive.unknown_encoding"
    title = "Folder names in an unknown encoding"


class UnsupportedMethodError(ArchiveError):
    """Entries of a zip are encrypted, or compressed by an unsupported method."""

    code = "archive.unsupported_method"
    title = "Unsupported compression or encryption"


class ArchiveTooLargeError(ArchiveError):
    """Entry count, unpacked size or compression ratio is over its limit."""

    code = "archive.too_large"
    title = "Folder or zip over the limits"


class ArchiveLayoutError(ArchiveError):
    """Images do not lie in one folder a class."""

    code = "archive.bad_layout"
    title = "Images are not in one folder for each class"


class SupportSetError(InputError):
    """The labelled images, taken together, cannot be learnt from."""

    code = "support_set.invalid"
    title = "Unusable support set"


class TooFewClassesError(SupportSetError):
    """Telling classes apart needs two of them."""

    code = "support_set.too_few_classes"
    title = "Too few classes"


class TooManyClassesError(SupportSetError):
    """More classes than the limit."""

    code = "support_set.too_many_classes"
    title = "Too many classes"


class EmptyClassError(SupportSetError):
    """A class was named but holds no usable image."""

    code = "support_set.empty_class"
    title = "Class without an image"


class TooFewShotsError(SupportSetError):
    """A class has fewer images than asked for."""

    code = "support_set.too_few_shots"
    title = "Too few images in a class"


class TooManyShotsError(SupportSetError):
    """A class has more images than the limit."""

    code = "support_set.too_many_shots"
    title = "Too many images in a class"


class BadLabelError(SupportSetError):
    """A label is empty, too long (in characters or in tokens of the prompt), or holds control characters."""

    code = "support_set.bad_label"
    title = "Unusable label"


class SameTokensError(SupportSetError):
    """The text encoder reads two different labels as the same tokens, so it cannot tell them apart."""

    code = "support_set.same_tokens"
    title = "Two labels that the text encoder reads as the same"


class DuplicateImageError(SupportSetError):
    """The same bytes are already in this class."""

    code = "support_set.duplicate_image"
    title = "Image already in this class"


class ConflictingLabelsError(SupportSetError):
    """The same bytes are already in another class."""

    code = "support_set.conflicting_labels"
    title = "Same image under two labels"


class SeveralProblemsError(SupportSetError):
    """More than one class cannot be used; each problem is named."""

    code = "support_set.several_problems"
    title = "Several classes cannot be used"


class UnknownClassesError(InputError):
    """A model knows none of the classes of the images that it is to be measured on."""

    code = "evaluation.unknown_classes"
    title = "Classes that the model does not know"


class GroupsError(InputError):
    """The groups of images cannot be read."""

    code = "groups.invalid"
    title = "Unusable groups"


class BandsError(InputError):
    """The choice of bands, or their black and white, cannot be read."""

    code = "bands.invalid"
    title = "Unusable bands"


class DatasetError(InputError):
    """A data set for benchmarks cannot be read."""

    code = "dataset.invalid"
    title = "Unusable data set"


class UnknownDatasetError(DatasetError):
    """No data set has this name."""

    code = "dataset.unknown"
    title = "Unknown data set"


class DatasetLayoutError(DatasetError):
    """The folder does not have the layout of the data set's download, or a part is missing."""

    code = "dataset.bad_layout"
    title = "Data set missing, or in another layout"


class DatasetFileError(DatasetError):
    """A file of the data set was listed but cannot be read."""

    code = "dataset.bad_file"
    title = "Unreadable file of a data set"


class MissingPackageError(DatasetError):
    """Reading the data set needs a package that is not installed."""

    code = "dataset.missing_package"
    title = "Package missing"


class UnknownRowError(InputError):
    """No published row has this id."""

    code = "reproduce.unknown_row"
    title = "Unknown row"


class MissingRequirementError(InputError):
    """Weights or data sets that a published row needs are missing."""

    code = "reproduce.missing"
    title = "Weights or data sets are missing"


class RecipeError(InputError):
    """A hyper-parameter is unknown or outside its range."""

    code = "recipe.invalid"
    title = "Invalid recipe"


class UnknownBackboneError(InputError):
    """No backbone has this id."""

    code = "backbone.unknown"
    title = "Unknown backbone"


class UnsupportedBackboneError(InputError):
    """open_clip knows the model, but its towers are not of a kind that is implemented."""

    code = "backbone.unsupported"
    title = "Unsupported backbone"


class LayerMismatchError(InputError):
    """Layer features of the two towers cannot be paired."""

    code = "backbone.layer_mismatch"
    title = "Layers of the towers do not pair"


class PromptError(InputError):
    """A class prompt does not fit the text tower."""

    code = "prompt.invalid"
    title = "Unusable prompt"


class CheckpointMismatchError(InputError):
    """A checkpoint belongs to another fine-tuning or is damaged."""

    code = "checkpoint.mismatch"
    title = "Checkpoint of another fine-tuning"


class AdapterFormatError(InputError):
    """A folder is no adapter, or one of another format version."""

    code = "adapter.bad_format"
    title = "Not a readable adapter"


class BackboneMismatchError(InputError):
    """An adapter belongs to another backbone, or to other weights of it."""

    code = "adapter.backbone_mismatch"
    title = "Adapter belongs to another backbone"


class ExportError(InputError):
    """An adapter cannot be exported as asked."""

    code = "export.invalid"
    title = "Export not possible"


class UnsupportedExportError(ExportError):
    """The other library's format has no place for what this adapter is made of."""

    code = "export.unsupported"
    title = "This adapter has no export of this kind"


class ExportExistsError(ExportError):
    """There is something at the path that the export would be written to."""

    code = "export.exists"
    title = "Folder of the export exists already"


class MissingExportPackageError(ExportError):
    """The export needs a package that is not installed."""

    code = "export.missing_package"
    title = "Package for exports missing"


class BackboneUnavailableError(VttError):
    """The backbone is known, but its weights are in no cache or file and cannot be downloaded."""

    code = "backbone.unavailable"
    title = "Backbone weights out of reach"


class VerificationError(VttError):
    """The written adapter gives other answers than the trained one."""

    code = "adapter.verification_failed"
    title = "Written adapter differs from the trained one"
