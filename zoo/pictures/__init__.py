"""Pictures to run a model on: from files, folders, standard input and servers.

    >>> with Web() as web:
    ...     for picture in find(["cat.jpg", "holidays/", "https://example.org/dog.png"], web):
    ...         print(picture.name)

Nothing is raised for what a picture is or where it lies: what can't be read is `Unreadable`, and
the rest go on.
"""

from zoo.pictures.files import Unreadable
from zoo.pictures.places import Picture, find
from zoo.pictures.web import Web

__all__ = ["Picture", "Unreadable", "Web", "find"]
