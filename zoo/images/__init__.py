"""Images to run a model on: from files, folders, standard input and servers.

    >>> with Web() as web:
    ...     for image in find(["cat.jpg", "holidays/", "https://example.org/dog.png"], web):
    ...         print(image.name)

Nothing is raised for one image: what can't be read is an `UnreadableImage`, and the rest go on.
"""

from zoo.images.io import UnreadableImage
from zoo.images.sources import InputImage, Web, find

__all__ = ["InputImage", "UnreadableImage", "Web", "find"]
