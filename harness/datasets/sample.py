"""The 20 real ImageNet images that the extra ``sample`` brings: a look, never a proof."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness.datasets.assemble import Entry, image_set
from harness.datasets.classes import UnknownClassError, class_index
from harness.datasets.files import ImageFile
from harness.datasets.types import ImageSet, ImageSetError
from zoo.images.io import reason

_PACKAGE = "foolbox"
_NAME = re.compile(r"foolbox/data/(imagenet_[0-9]+_([0-9]+)\.jpg)")


def sample_set() -> ImageSet:
    """The images, found in the metadata of the package that ships them: it is not imported.

    Raises:
        ImageSetError: the package is not installed, or not whole.
    """
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        raise ImageSetError(
            f"sample: its images come with the package {_PACKAGE}, which is not installed; "
            "pip install 'model-zoo-verify[sample]'"
        ) from None
    entries, labels = [], []
    for file in sorted(package.files or (), key=str):
        match = _NAME.fullmatch(file.as_posix())
        if match is None:
            continue
        try:
            labels.append(class_index(match.group(2)))
        except UnknownClassError as error:
            raise ImageSetError(f"sample: {file}: {error}") from None
        path = Path(str(package.locate_file(file))).resolve()
        try:
            status = path.stat()
        except OSError as error:
            raise ImageSetError(
                f"sample: {path}: {reason(error)}; pip install --force-reinstall {_PACKAGE}"
            ) from None
        # Not the time: the package installed again is the same images.
        version = (int(number) for number in re.findall(r"[0-9]+", package.version))
        source = ImageFile(str(path), status.st_size, status.st_mtime_ns)
        entries.append(Entry(match.group(1), (*version, status.st_size), source))
    return image_set("sample", "sample", entries, labels, can_be_census=False)
