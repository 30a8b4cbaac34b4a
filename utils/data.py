"""Data that every machine with Python has: the standard library describes itself."""

import importlib
import inspect

# Modules that can be imported without doing anything, and have something to find in them.
MODULES = """
argparse ast base64 bisect calendar collections contextlib copy csv datetime decimal difflib
email.utils fnmatch fractions functools getpass glob gzip hashlib heapq html inspect io ipaddress
itertools json keyword linecache locale logging math mimetypes operator os os.path pathlib pickle
platform pprint random re secrets shlex shutil signal socket sqlite3 statistics string struct
subprocess sys tempfile textwrap threading time timeit tokenize traceback types unicodedata
urllib.parse uuid warnings weakref webbrowser zipfile zlib
""".split()  # noqa: SIM905


def standard_library() -> dict[str, str]:
    """What functions and classes of the standard library say of themselves.

    Returns:
        name -> the first paragraph of its documentation, in one line of 200 characters at most:
        about 1,100 of them, a few more or fewer from one version of Python to another.
    """
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            if name.startswith("_") or not callable(thing) or not _belongs(thing, module_name):
                continue
            paragraphs = [" ".join(p.split()) for p in (inspect.getdoc(thing) or "").split("\n\n")]
            if paragraphs[0].startswith(f"{name}("):  # its signature, repeated
                del paragraphs[0]
            if paragraphs and " " in paragraphs[0]:
                found[f"{module_name}.{name}"] = paragraphs[0][:200]
    return found


def _belongs(thing: object, module_name: str) -> bool:
    """True for what a module defines itself, or in its accelerator written in C; no exceptions."""
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return False
    home = (getattr(thing, "__module__", None) or "").lstrip("_").split(".")[0]
    own = module_name.split(".")[0]
    return home == own or (own == "os" and home in {"posix", "nt", "posixpath", "ntpath"})
