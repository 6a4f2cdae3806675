"""What huaweicloud-sdk-python 1.0.28 wants of a Python before 3.10. Import it first."""

import collections
import collections.abc

for name in ("Mapping", "MutableMapping", "Iterable", "Callable", "Sequence"):
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
